/** How often a right may be used: a bound beside its policy, in the meta of the link that says it, counted by the executor. Counts nothing itself. */
import { RATE, RATE_META } from '../../protocols/authority/messages.ts'
import type { AnyRecord, Delegation } from './token.ts'

/** So many uses at once, and as many again in so many seconds. */
export interface Rate {
  readonly count: number
  readonly seconds: number
}

const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const
type Unit = keyof typeof UNITS

/** `10/m`; undefined for what is none. */
export function parseRate(text: string): Rate | undefined {
  const [, count = '', unit = ''] = /^(\d{1,7})\/([smhd])$/.exec(text) ?? []
  const rate = { count: Number(count), seconds: UNITS[unit as Unit] ?? 0 }
  return isRate(rate) ? rate : undefined
}

export function sayRate({ count, seconds }: Rate): string {
  const unit = (Object.keys(UNITS) as Unit[]).find((one) => UNITS[one] === seconds)
  return `${count}/${unit ?? `${seconds}s`}`
}

/** Undefined where the link says none. One that cannot be read refuses the chain (`badRate`). */
export function rateIn(meta: AnyRecord | undefined): Rate | undefined {
  const said = meta?.[RATE_META]
  if (!Array.isArray(said) || said.length !== 2) return undefined
  const rate = { count: said[0], seconds: said[1] }
  return isRate(rate) ? rate : undefined
}

/** What is wrong with the rate of a link; undefined where nothing is. */
export function badRate(meta: AnyRecord | undefined): string | undefined {
  if (meta?.[RATE_META] === undefined || rateIn(meta) !== undefined) return undefined
  return `"${RATE_META}" is a number of uses and a number of seconds`
}

export function rateMeta(rate: Rate | undefined): AnyRecord {
  return rate === undefined ? {} : { [RATE_META]: [rate.count, rate.seconds] }
}

/** In words, the first rate of a chain that a right would go beyond. No rate at all is beyond any. */
export function rateBeyond(rate: Rate | undefined, chain: readonly Pick<Delegation, 'meta'>[]): string | undefined {
  for (const { meta } of chain) {
    const held = rateIn(meta)
    if (held === undefined || (rate !== undefined && isWithin(rate, held))) continue
    return `${rate === undefined ? 'any number of uses' : `a rate of ${sayRate(rate)}`}, and it has ${sayRate(held)}`
  }
  return undefined
}

/** Neither more at once nor more in the long run. */
function isWithin(rate: Rate, held: Rate): boolean {
  return rate.count <= held.count && rate.count * held.seconds <= held.count * rate.seconds
}

function isRate({ count, seconds }: { readonly count: unknown; readonly seconds: unknown }): boolean {
  return isWhole(count, RATE.maxCount) && isWhole(seconds, RATE.maxSeconds)
}

function isWhole(value: unknown, most: number): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= most
}
