/** Inputs for the doors: valid bytes bent in ways that decoders break on. Seeded: one seed, one door and one number are one input. */
import { decode, encode } from '@ipld/dag-cbor'
import { isMap } from '../../protocols/authority/messages.ts'

export interface Dice {
  /** A whole number from 0 to below `n`. */
  below(n: number): number
  pick<T>(from: readonly T[]): T
}

/** Mulberry32 over a hash of the text: small, fast, the same everywhere. */
export function diceOf(text: string): Dice {
  let state = 2_166_136_261
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 16_777_619)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (n: number): number => next() % n
  return {
    below,
    pick: (from) => {
      const one = from[below(from.length)]
      if (one === undefined) throw new TypeError('nothing to pick from')
      return one
    },
  }
}

type Bend = (bytes: Uint8Array, dice: Dice, seeds: readonly Uint8Array[]) => Uint8Array

/** Heads that promise more than there is, floats, tags, endless items. */
const LIES = [
  '5bffffffffffffffff',
  '9bffffffffffffffff',
  'bbffffffffffffffff',
  '1bffffffffffffffff',
  '3bffffffffffffffff',
  'fb7ff0000000000000',
  'f97e00',
  '9f',
  'bf',
  '5f',
  'd82a',
  'f7',
  'ff',
]
const MOST_BYTES = 70_000

const BENDS: readonly Bend[] = [
  (bytes, dice) => changed(bytes, dice, (byte) => byte ^ (1 << dice.below(8))),
  (bytes, dice) => changed(bytes, dice, () => dice.pick([0, 0x17, 0x18, 0x1b, 0x40, 0x5f, 0x60, 0x7f, 0x80, 0xa0, 0xbf, 0xf6, 0xfb, 0xff])),
  (bytes, dice) => bytes.subarray(0, dice.below(bytes.length + 1)),
  (bytes, dice) => spliced(bytes, dice.below(bytes.length + 1), random(dice, 1 + dice.below(16)), 0),
  (bytes, dice) => spliced(bytes, dice.below(bytes.length + 1), new Uint8Array(), 1 + dice.below(16)),
  (bytes, dice) => spliced(bytes, dice.below(bytes.length + 1), Buffer.from(dice.pick(LIES), 'hex'), dice.below(3)),
  (bytes, dice, seeds) => {
    const other = dice.pick(seeds)
    return spliced(bytes, dice.below(bytes.length + 1), other.subarray(dice.below(other.length + 1)), MOST_BYTES)
  },
  (bytes, dice) => spliced(bytes, dice.below(bytes.length + 1), bytes.subarray(0, dice.below(bytes.length + 1)), 0),
  (bytes, dice) => reshaped(bytes, dice),
  (bytes, dice) => reshaped(bytes, dice),
]

/** Rarely: nothing but noise, or one thing many times over. */
const WHOLE: readonly ((dice: Dice) => Uint8Array)[] = [
  (dice) => random(dice, dice.below(200)),
  (dice) => new Uint8Array(dice.below(MOST_BYTES)).fill(dice.pick([0x81, 0xa1, 0x9f, 0xd8, 0x5b, 0x28, 0x7b, 0x00, 0xff])),
  (dice) => Buffer.from('{"a":'.repeat(dice.below(8_000))),
]

/** The input number `n` of a door. */
export function inputOf(door: string, o: { readonly seed: number; readonly n: number; readonly seeds: readonly Uint8Array[] }): Uint8Array {
  const dice = diceOf(`${o.seed} ${door} ${o.n}`)
  if (dice.below(50) === 0) return dice.pick(WHOLE)(dice)
  let bytes = dice.pick(o.seeds)
  for (let left = dice.below(4); left > 0; left--) bytes = dice.pick(BENDS)(bytes, dice, o.seeds)
  return Uint8Array.from(bytes.subarray(0, MOST_BYTES))
}

function random(dice: Dice, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => dice.below(256))
}

function changed(bytes: Uint8Array, dice: Dice, change: (byte: number) => number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const at = dice.below(Math.max(1, copy.length))
  copy[at] = change(copy[at] ?? 0)
  return copy
}

function spliced(bytes: Uint8Array, at: number, put: Uint8Array, drop: number): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + drop)])
}

/** Takes the bytes for what they are and changes one value inside, so that what comes out is well formed again. */
function reshaped(bytes: Uint8Array, dice: Dice): Uint8Array {
  for (const [read, write] of FORMS) {
    try {
      return write(bent(read(bytes), dice, 0))
    } catch {
      // not of this form, or nothing that it can hold: another one is tried
    }
  }
  return bytes
}

const FORMS: readonly (readonly [(bytes: Uint8Array) => unknown, (value: unknown) => Uint8Array])[] = [
  [(bytes) => decode(bytes), (value) => encode(value)],
  [(bytes) => JSON.parse(Buffer.from(bytes).toString()), (value) => Buffer.from(JSON.stringify(value))],
]

const ODD: readonly unknown[] = [
  ...[null, true, 0, -1, 1, 2 ** 53, 1.5, '', '\u0000', '\ud800', 'a'.repeat(5_000), '__proto__', 'did:key:z6Mk', `did:key:z6Mk${'1'.repeat(44)}`],
  ...[
    [],
    {},
    [[[[[[[[[[]]]]]]]]]],
    Object.fromEntries([['__proto__', 1]]),
    { constructor: {} },
    new Uint8Array(),
    new Uint8Array(64),
    Array(300).fill(0),
    '*'.repeat(900),
    '.a'.repeat(20),
  ],
]

export function bent(value: unknown, dice: Dice, depth: number): unknown {
  const size = Array.isArray(value) ? value.length : isMap(value) ? Object.keys(value).length : 0
  if (size === 0 || depth > 8 || dice.below(5) === 0) return dice.pick(ODD)
  if (Array.isArray(value)) {
    const at = dice.below(value.length)
    return value.map((item, i) => (i === at ? bent(item, dice, depth + 1) : item))
  }
  const entries = Object.entries(value as object)
  const at = dice.below(entries.length)
  const what = dice.below(4)
  if (what === 0) return Object.fromEntries(entries.filter((_, i) => i !== at))
  if (what === 1) return Object.fromEntries([...entries, [dice.pick(['x', '', 'constructor', 'meta', 'nbf']), dice.pick(ODD)]])
  return Object.fromEntries(entries.map(([key, inner], i) => [key, i === at ? bent(inner, dice, depth + 1) : inner]))
}
