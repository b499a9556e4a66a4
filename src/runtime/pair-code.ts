/**
 * A short code, `7-velvet-canoe-piano-fossil`: a number that is announced, so that the inviter can be found, and four words that are secret.
 * 4 words of the 2,048 of BIP-39 are 44 bits, for one guess.
 */
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { distance } from 'fastest-levenshtein'
import { PAIR } from '../../protocols/pair/messages.ts'
import type { Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'

export interface ShortCode {
  readonly plate: number
  /** What goes into the PAKE. */
  readonly words: string
}

/** The list has 2^11 words, so a 16-bit number falls on each of them equally often. */
export function makeWords(random: Random): string {
  const drawn = Buffer.from(random(PAIR.words * 2))
  return Array.from({ length: PAIR.words }, (_, i) => wordlist[drawn.readUInt16BE(i * 2) % wordlist.length]).join('-')
}

/** A number that no other open code of this device has. */
export function makePlate(random: Random, taken: (plate: number) => boolean): number {
  for (;;) {
    const plate = 1 + (Buffer.from(random(4)).readUInt32BE(0) % PAIR.maxPlate)
    if (!taken(plate)) return plate
  }
}

export function sayCode({ plate, words }: ShortCode): string {
  return `${plate}-${words}`
}

/**
 * Reads what a person typed: any case, dashes or spaces. A word that is in no code is named before anything is tried, for the try is the only one.
 * @throws BAD_CODE
 */
export function readShortCode(typed: string): ShortCode {
  const [number = '', ...words] = typed
    .trim()
    .toLowerCase()
    .split(/[\s\-–—_.,]+/)
  const plate = /^\d{1,3}$/.test(number) ? Number(number) : 0
  if (plate < 1) throw bad('a short code begins with a number, like 7-velvet-canoe-piano-fossil')
  if (words.length !== PAIR.words)
    throw bad(`a short code has a number and ${PAIR.words} words; this one has ${words.length === 1 ? '1 word' : `${words.length} words`}`)
  const whole = words.map(wholeWord)
  return { plate, words: whole.join('-') }
}

/** The first four letters of each word of the list are its own. */
function wholeWord(word: string): string {
  if (wordlist.includes(word)) return word
  const begun = word.length >= 4 ? wordlist.filter((known) => known.startsWith(word)) : []
  if (begun.length === 1 && begun[0] !== undefined) return begun[0]
  const near = nearest(word)
  throw bad(`"${word.slice(0, 24)}" is in no code`, near === undefined ? undefined : `did you mean "${near}"? nothing was tried yet: type the code again`)
}

function bad(message: string, hint = 'nothing was tried yet: type the code again as the other screen shows it'): ErrandError {
  return new ErrandError('BAD_CODE', message, { hint })
}

function nearest(word: string): string | undefined {
  const near = wordlist.map((known) => ({ known, far: distance(word.slice(0, 16), known) })).sort((a, b) => a.far - b.far)[0]
  return near !== undefined && near.far <= 2 ? near.known : undefined
}
