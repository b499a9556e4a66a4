/** Sizes as people type them: 64MiB, 1 GiB, 500kB, or a plain number of bytes. */
import { ErrandError } from './errors.ts'

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  TB: 1_000_000_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
  TiB: 1_099_511_627_776,
  // As systemd and container engines take them.
  K: 1_024,
  M: 1_048_576,
  G: 1_073_741_824,
  T: 1_099_511_627_776,
}

/** @returns whole bytes. @throws BAD_SIZE for anything but a number that is not negative, with or without a unit. */
export function parseSize(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text.trim()) ?? []
  const bytes = Math.round(Number(digits) * (UNIT_BYTES[unit] ?? Number.NaN))
  if (!Number.isSafeInteger(bytes)) {
    throw new ErrandError('BAD_SIZE', `not a size: ${JSON.stringify(text)}`, { hint: 'write a number and a unit, like 500kB, 64MiB or 2GiB' })
  }
  return bytes
}

/** In the largest unit that divides it: 64MiB, 1000B. */
export function saySize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const size = UNIT_BYTES[unit] ?? 1
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`
  }
  return `${bytes}B`
}
