/**
 * The recovery words of a mesh: 24 words of BIP-39 (256 bits and a checksum), and the key that they stand for. Written on paper, never kept by a
 * machine; the key is derived for one mesh, so that the same words open no other.
 */
import { hkdfSync } from 'node:crypto'
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { Identity } from './identity.ts'

export const PHRASE_WORDS = 24

/** @param entropy 32 random bytes. */
export function phraseOf(entropy: Uint8Array): string[] {
  if (entropy.length !== 32) throw new TypeError(`${PHRASE_WORDS} words stand for 32 bytes, not ${entropy.length}`)
  return entropyToMnemonic(entropy, wordlist).split(' ')
}

export type ReadPhrase = { readonly ok: true; readonly identity: Identity } | { readonly ok: false; readonly why: string }

/** The key of what somebody typed, or what is wrong with it; which words were typed is never said. */
export function readPhrase(typed: string, mesh: Uint8Array): ReadPhrase {
  const words = typed
    .normalize('NFKD')
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  if (words.length !== PHRASE_WORDS) return { ok: false, why: `there are ${PHRASE_WORDS} words, and ${words.length} were typed` }
  const strange = words.findIndex((word) => !wordlist.includes(word))
  if (strange >= 0) return { ok: false, why: `word ${strange + 1} is none of the list` }
  try {
    const entropy = mnemonicToEntropy(words.join(' '), wordlist)
    return { ok: true, identity: new Identity(new Uint8Array(hkdfSync('sha256', entropy, mesh, 'errand recovery v1', 32))) }
  } catch {
    return { ok: false, why: 'a word is another one, or two are in each other’s place' }
  }
}
