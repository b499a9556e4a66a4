/** Three words of a key, for people to compare by eye: 33 bits of its hash over the BIP-39 English list. */
import { createHash } from 'node:crypto'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { publicKeyOf } from '../identity/identity.ts'

export function wordsOf(did: string): string {
  const hash = createHash('sha256').update('errand words v1').update(publicKeyOf(did)).digest()
  return [0, 2, 4].map((at) => wordlist[hash.readUInt16BE(at) % wordlist.length]).join('-')
}
