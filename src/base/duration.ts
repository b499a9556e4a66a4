/** Durations as people type them: 90s, 10m, 8h, 2d. */
import { ErrandError } from './errors.ts'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** @returns milliseconds. @throws BAD_DURATION for anything but a positive number with a unit. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim())
  const ms = match === null ? Number.NaN : Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
  if (!Number.isFinite(ms) || ms < 1 || ms > 3_650 * UNIT_MS.d) {
    throw new ErrandError('BAD_DURATION', `not a duration: ${JSON.stringify(text)}`, { hint: 'write a number and a unit, like 90s, 10m, 8h or 2d' })
  }
  return Math.round(ms)
}

/** The time that is left of something, as a person would say it: 8h and not 7h59m when it began a moment ago. Never for a bound that is to be kept. */
export function sayAbout(ms: number): string {
  const step = ms >= UNIT_MS.d ? UNIT_MS.h : ms >= 10 * UNIT_MS.m ? UNIT_MS.m : UNIT_MS.s
  return sayDuration(Math.max(UNIT_MS.s, Math.round(ms / step) * step))
}

/** The two largest units of a span, as a person says it: 7h58m, 2d, 45s. */
export function sayDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`
  const parts: string[] = []
  let rest = Math.round(ms / 1_000) * 1_000
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const n = Math.floor(rest / UNIT_MS[unit])
    rest -= n * UNIT_MS[unit]
    if (n > 0) parts.push(`${n}${unit}`)
    else if (parts.length > 0) break
    if (parts.length === 2) break
  }
  return parts.join('')
}
