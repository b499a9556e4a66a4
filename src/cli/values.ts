/** Values of options, checked while the command line is read: a wrong one is a usage error before anything else happens. */
import { InvalidArgumentError } from 'commander'
import { systemClock } from '../base/clock.ts'
import { parseDuration } from '../base/duration.ts'
import { parseSize } from '../base/size.ts'

/** @returns milliseconds. */
export function duration(text: string): number {
  try {
    return parseDuration(text)
  } catch {
    throw new InvalidArgumentError('Write a number and a unit, like 90s, 10m, 8h or 2d.')
  }
}

/** @returns whole bytes, at least one. */
export function size(text: string): number {
  try {
    const bytes = parseSize(text)
    if (bytes > 0) return bytes
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError('Write a number and a unit, like 500kB, 64MiB or 2GiB.')
}

export function list(text: string, before: readonly string[] = []): string[] {
  return [...before, text]
}

/** TCP multiaddrs, repeatable: the form that runtime.yaml takes as well. */
export function addresses(text: string, before: readonly string[] = []): string[] {
  if (/^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d{1,5}(\/p2p\/[A-Za-z0-9]+)?$/.test(text)) return [...before, text]
  throw new InvalidArgumentError('Write a TCP address like /ip4/192.168.1.7/tcp/4701.')
}

/** K=V, repeatable. */
export function pairs(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write NAME=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

export function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('Write a whole number.')
  return value
}

export function uuid(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw new InvalidArgumentError('Write a UUID.')
  return text.toLowerCase()
}

/** A time: an ISO date or date and time, or how long ago as a duration. Kept as text; `timeOf` turns it into an instant. */
export function time(text: string): string {
  if (isDuration(text) || !Number.isNaN(Date.parse(text))) return text
  throw new InvalidArgumentError('Write a time like 2026-01-31T12:00:00Z, or how long ago, like 2h.')
}

/** @returns ISO 8601 UTC. */
export function timeOf(text: string, now: number): string {
  return new Date(isDuration(text) ? now - parseDuration(text) : Date.parse(text)).toISOString()
}

function isDuration(text: string): boolean {
  return /^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text)
}

/** A time to come: an ISO date or date and time, or in how long as a duration. @returns milliseconds since the epoch. */
export function start(text: string): number {
  const at = isDuration(text) ? systemClock.now() + parseDuration(text) : Date.parse(text)
  if (!Number.isNaN(at)) return at
  throw new InvalidArgumentError('Write a time like 2026-01-31T12:00:00Z, or in how long, like 2h.')
}

/** What was said; an option that was not given is not sent. */
export function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
