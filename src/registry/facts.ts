/**
 * What a device is known to be, and whether an expression fits it. Rests on the device's own signed words and on what owners say of it, never
 * on what anybody else claims. Three answers: fits, does not, and not known; what is not known fits nothing, nor does its opposite. Pure.
 */
import type { Expression, Op, Term } from './expression.ts'
import { LEVELS, numberOf } from './terms.ts'

export interface DeviceFacts {
  /** Its name, its DID and its PeerId. */
  readonly names: readonly string[]
  readonly trust: string
  /** The device's own; those that owners gave it count before them. */
  readonly labels: Readonly<Record<string, string>>
  /** Absent: it has said nothing that counts. */
  readonly said?: {
    readonly os: string
    readonly arch: string
    readonly cpus: number
    readonly memoryBytes: number
    /** Absent, as those below: it did not look, or is of a version that says nothing of it. */
    readonly gpus?: number | undefined
    readonly tools?: readonly string[] | undefined
    readonly sandbox?: string | undefined
  }
}

/** undefined: not known. */
export type Fit = boolean | undefined

export function fits(of: Expression, facts: DeviceFacts): Fit {
  if (of.t === 'term') return termFits(of, facts)
  if (of.t === 'not') return opposite(fits(of.of, facts))
  const inner = of.of.map((one) => fits(one, facts))
  const decides = of.t === 'or' // one that is true decides an or, one that is false an and
  if (inner.includes(decides)) return decides
  return inner.includes(undefined) ? undefined : !decides
}

function opposite(fit: Fit): Fit {
  return fit === undefined ? undefined : !fit
}

function termFits(term: Term, facts: DeviceFacts): Fit {
  const held = HELD[term.name]?.(facts, term.key ?? '')
  if (held === undefined) return undefined
  if (term.op === undefined || term.value === undefined) return isThere(held)
  if (term.op === '!=') return opposite(compared({ ...term, op: '=' }, held))
  return compared(term, held)
}

type Held = string | number | readonly string[] | null

/** What there is of each name; null where it is known that there is nothing, undefined where it is not known. */
const HELD: Readonly<Record<string, (facts: DeviceFacts, key: string) => Held | undefined>> = {
  device: ({ names }) => names,
  trust: ({ trust }) => trust,
  label: ({ labels, said }, key) => (Object.hasOwn(labels, key) ? labels[key] : said === undefined ? undefined : null),
  os: ({ said }) => said && [said.os, ...(ALSO[said.os] ?? [])],
  arch: ({ said }) => said && [said.arch, ...(ALSO[said.arch] ?? [])],
  cpus: ({ said }) => said?.cpus,
  memory: ({ said }) => said?.memoryBytes,
  gpu: ({ said }) => said?.gpus,
  sandbox: ({ said }) => said?.sandbox,
  tool: ({ said }, key) => (said?.tools === undefined ? undefined : said.tools.includes(key) ? key : null),
}

/** As people say it who do not know what Node.js calls it. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  darwin: ['macos'],
  win32: ['windows'],
  x64: ['x86_64', 'amd64'],
  arm64: ['aarch64'],
}

/** A bare name is "has": some of it, where it is a number; another level than the lowest, where it is one. */
function isThere(held: Held): boolean {
  if (held === null) return false
  if (typeof held === 'number') return held > 0
  return !Object.values(LEVELS).some(([lowest]) => held === lowest)
}

function compared({ name, op = '=', value = '' }: Term, held: Held): Fit {
  if (held === null) return false
  if (typeof held === 'object') return held.includes(String(value))
  const levels = name === 'trust' || name === 'sandbox' ? LEVELS[name] : undefined
  if (levels !== undefined) return ordered(op, levels.indexOf(String(held)), levels.indexOf(String(value)))
  const [left, right] = [numberIn(held), numberIn(value)]
  if (left !== undefined && right !== undefined) return ordered(op, left, right)
  return op === '=' && held === value
}

function numberIn(value: string | number): number | undefined {
  return typeof value === 'number' ? value : numberOf(value)
}

function ordered(op: Op, left: number, right: number): boolean {
  if (op === '=') return left === right
  if (op === '<') return left < right
  if (op === '<=') return left <= right
  return op === '>' ? left > right : left >= right
}

/** What decides which of several devices is taken. */
export interface Busy {
  readonly name: string
  /** Commands that may start there now; undefined where it is not known. */
  readonly freeSlots: number | undefined
  /** Load average of a minute, and commands of ours that its last words cannot know of yet. */
  readonly load: number
  readonly cpus: number
}

/** Least busy first: those with free places, then by load for each of their CPUs, then by name. */
export function byBusiness(a: Busy, b: Busy): number {
  const full = Number(a.freeSlots === 0) - Number(b.freeSlots === 0)
  if (full !== 0) return full
  const load = a.load / Math.max(1, a.cpus) - b.load / Math.max(1, b.cpus)
  return load === 0 ? a.name.localeCompare(b.name) : load
}
