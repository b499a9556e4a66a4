/** The names that `--on` knows of devices, what kind of thing each is, and how its values are written. Pure. */
import { TRUST_LEVELS } from '../../protocols/member/orders.ts'
import { SANDBOX_LEVELS } from '../../protocols/task/limits.ts'
import { nearestOf } from '../base/nearest.ts'
import { parseSize } from '../base/size.ts'

/** `label`: text, and a number where both sides are one. `flag`: there or not. `level`: text with an order. */
export type Kind = 'text' | 'number' | 'size' | 'flag' | 'label' | 'trust' | 'sandbox'

export const KINDS: Readonly<Record<string, Kind>> = {
  os: 'text',
  arch: 'text',
  cpus: 'number',
  memory: 'size',
  gpu: 'number',
  tool: 'flag',
  label: 'label',
  device: 'text',
  trust: 'trust',
  sandbox: 'sandbox',
}

export const NAMES: readonly string[] = Object.keys(KINDS)

export interface BadValue {
  readonly fault: string
  readonly hint?: string
}

/** Weakest first, as far as an order is known. */
export const LEVELS: Readonly<Record<'trust' | 'sandbox', readonly string[]>> = {
  trust: TRUST_LEVELS,
  sandbox: SANDBOX_LEVELS,
}

/** A value as it is compared. @param op `<` and its kin compare labels as numbers. */
export function readValue(kind: Kind, text: string, op: string): string | number | BadValue {
  if (kind === 'number') return numberOf(text) ?? { fault: `${JSON.stringify(text)} is no number` }
  if (kind === 'size') return sizeOf(text)
  if (kind === 'trust' || kind === 'sandbox') return levelOf(kind, text)
  if (kind === 'label' && /[<>]/.test(op)) return numberOf(text) ?? { fault: `${op} compares numbers, and ${JSON.stringify(text)} is none` }
  return text
}

export function numberOf(text: string): number | undefined {
  return /^\d{1,15}(\.\d{1,6})?$/.test(text) ? Number(text) : undefined
}

const SHORT_UNITS: Readonly<Record<string, string>> = { k: 'KiB', m: 'MiB', g: 'GiB', t: 'TiB' }

/** 8G and 8GiB are the same; 8GB is what it says. */
function sizeOf(text: string): number | BadValue {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)([KkMmGgTt])$/.exec(text) ?? []
  try {
    return parseSize(unit === '' ? text : `${digits}${SHORT_UNITS[unit.toLowerCase()] ?? ''}`)
  } catch {
    return { fault: `${JSON.stringify(text)} is no size`, hint: 'write a number and a unit, like 512M, 8G or 2GiB' }
  }
}

function levelOf(kind: 'trust' | 'sandbox', text: string): string | BadValue {
  const levels = LEVELS[kind]
  if (levels.includes(text)) return text
  const near = nearestOf(text, levels)
  return { fault: `${JSON.stringify(text)} is no level`, hint: near === undefined ? `the levels are ${levels.join(', ')}` : `did you mean ${near}?` }
}
