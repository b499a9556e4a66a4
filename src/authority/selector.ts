/**
 * Selectors of the UCAN policy language: a path into the arguments of an invocation.
 * After `Selectors` in the UCAN Delegation specification 1.0; strict where the text leaves room: a selector begins with a dot and has no second one in a row.
 */
import { isMap } from '../../protocols/authority/messages.ts'

export const SELECTOR_LIMITS = { chars: 256, segments: 16 } as const

type Segment =
  | { readonly t: 'field'; readonly name: string; readonly optional: boolean }
  | { readonly t: 'index'; readonly at: number; readonly optional: boolean }
  | { readonly t: 'slice'; readonly from: number | undefined; readonly to: number | undefined; readonly optional: boolean }
  | { readonly t: 'values'; readonly optional: boolean }

export type Selector = readonly Segment[]

/** Nothing is there. Not `undefined`, so that no forgotten check can take it for a value. */
export const UNRESOLVED: unique symbol = Symbol('unresolved')

const FIELD = /^\.([A-Za-z_][A-Za-z0-9_]*)(\?*)/
const BRACKET = /^\[(?:("(?:[^"\\]|\\.)*")|(-?\d{1,9})|(-?\d{1,9})?:(-?\d{1,9})?|)\](\?*)/
const MAX_CACHED = 2_048
const cache = new Map<string, Selector>()

/** @returns the segments, or undefined when the text is no selector. */
export function parseSelector(text: string): Selector | undefined {
  const known = cache.get(text)
  if (known !== undefined) return known
  const parsed = text.length > SELECTOR_LIMITS.chars ? undefined : segmentsOf(text)
  if (parsed === undefined) return undefined
  if (cache.size >= MAX_CACHED) cache.clear()
  cache.set(text, parsed)
  return parsed
}

function segmentsOf(text: string): Selector | undefined {
  if (text === '.') return []
  if (!text.startsWith('.')) return undefined
  const segments: Segment[] = []
  let rest = text.startsWith('.[') ? text.slice(1) : text
  while (rest !== '') {
    const field = FIELD.exec(rest)
    const bracket = field === null ? BRACKET.exec(rest) : null
    const segment = field === null ? (bracket === null ? undefined : bracketed(bracket)) : named(field)
    if (segment === undefined || segments.length === SELECTOR_LIMITS.segments) return undefined
    segments.push(segment)
    rest = rest.slice((field ?? bracket)?.[0].length)
  }
  return segments
}

function named(match: RegExpExecArray): Segment {
  return { t: 'field', name: match[1] ?? '', optional: match[2] !== '' }
}

function bracketed(match: RegExpExecArray): Segment | undefined {
  const [whole, quoted, index, from, to, mark] = match
  const optional = mark !== ''
  if (quoted !== undefined) {
    const name = unquote(quoted)
    return name === undefined ? undefined : { t: 'field', name, optional }
  }
  if (index !== undefined) return { t: 'index', at: Number(index), optional }
  if (whole.startsWith('[]')) return { t: 'values', optional }
  if (from === undefined && to === undefined) return undefined
  return { t: 'slice', from: from === undefined ? undefined : Number(from), to: to === undefined ? undefined : Number(to), optional }
}

function unquote(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/**
 * Follows a selector into a value. What an optional segment does not find is `null`; what any other does not find is UNRESOLVED.
 * @param spend is asked before anything is copied, with what it costs; false ends the walk.
 */
export function select(selector: Selector, value: unknown, spend: (steps: number) => boolean): unknown {
  let at = value
  for (const segment of selector) {
    if (!spend(costOf(segment, at))) return UNRESOLVED
    const next = step(segment, at)
    if (next === UNRESOLVED && !segment.optional) return UNRESOLVED
    at = next === UNRESOLVED ? null : next
  }
  return at
}

/** A step for what is copied, 16 values each; looking is free. */
function costOf({ t }: Segment, value: unknown): number {
  if (t === 'field' || t === 'index') return 0
  return 1 + ((isList(value) ? value.length : isMap(value) ? Object.keys(value).length : 0) >> 4)
}

function step(segment: Segment, value: unknown): unknown {
  switch (segment.t) {
    case 'field':
      return isMap(value) && Object.hasOwn(value, segment.name) ? value[segment.name] : UNRESOLVED
    case 'index':
      return isList(value) ? itemAt(value, segment.at) : UNRESOLVED
    case 'slice':
      return isList(value) ? value.slice(segment.from ?? 0, segment.to) : UNRESOLVED
    case 'values':
      return isMap(value) ? Object.values(value) : isList(value) ? value : UNRESOLVED
  }
}

function itemAt(list: readonly unknown[] | Uint8Array, index: number): unknown {
  const at = index < 0 ? list.length + index : index
  return at >= 0 && at < list.length ? list[at] : UNRESOLVED
}

function isList(value: unknown): value is readonly unknown[] | Uint8Array {
  return Array.isArray(value) || value instanceof Uint8Array
}
