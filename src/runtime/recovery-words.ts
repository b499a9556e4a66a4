/** What the client does with recovery words: a bundle of its own, since keys and tokens are half as large as all other commands together. Throws nothing. */
import { signDelegation } from '../authority/token.ts'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import { asDid, type Identity } from '../identity/identity.ts'
import { phraseOf, readPhrase } from '../identity/phrase.ts'
import { signStep } from '../registry/owner-chain.ts'

/** Devices that are away give their root to the new owner when they come back; until then this carries it. */
const GIFT_SECONDS = 365 * 86_400
const NONCE_BYTES = 16

/** New words for a mesh, and the DID that they stand for. */
export function newPhrase(mesh: Uint8Array): { readonly words: readonly string[]; readonly did: string } {
  const words = phraseOf(random(32))
  const read = readPhrase(words.join(' '), mesh)
  return { words, did: read.ok ? read.identity.did : '' }
}

/** The key that words stand for. */
export type Words = Identity

export { readPhrase }

/** Everything that the words hold, to a new owner. */
export function giftOf(words: Identity, owner: string): Uint8Array {
  const exp = Math.floor(clock.now() / 1_000) + GIFT_SECONDS
  return signDelegation(words, { aud: asDid(owner), sub: null, cmd: '/', pol: [], exp, nonce: random(NONCE_BYTES) }).bytes
}

export { signStep }
