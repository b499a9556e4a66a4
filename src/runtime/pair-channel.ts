/** What the key of a pairing is good for: one sealed message each way, and the words that both screens show. Keys by HKDF, seals by ChaCha20-Poly1305. */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import type { Answer, Start } from '../../protocols/pair/messages.ts'
import { encode } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'

const CIPHER = 'chacha20-poly1305'
const TAG_BYTES = 16
const KEY_BYTES = 32
/** A key seals one message in its life, so its nonce may be anything. */
const NONCE = new Uint8Array(12)

/** Who sealed it. */
export type Side = 'joiner' | 'inviter'

/** One pairing, seen from either side after the key is agreed. */
export class PairChannel {
  readonly #key: Uint8Array
  /** Everything that was said in clear: a byte changed on the way makes another transcript, and every seal of it worthless. */
  readonly #transcript: Uint8Array

  constructor(sessionKey: Uint8Array, said: { readonly start: Start; readonly answer: Answer }) {
    this.#key = sessionKey
    this.#transcript = createHash('sha256').update(encode(said.start)).update(encode(said.answer)).digest()
  }

  seal(by: Side, plain: Uint8Array): Uint8Array {
    const cipher = createCipheriv(CIPHER, this.#derive(`errand pair v1 ${by}`, KEY_BYTES), NONCE, { authTagLength: TAG_BYTES })
    cipher.setAAD(this.#transcript, { plaintextLength: plain.length })
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** @throws WRONG_CODE unless the other side sealed exactly this in this pairing. */
  open(by: Side, sealed: Uint8Array): Uint8Array {
    try {
      const at = sealed.length - TAG_BYTES
      const decipher = createDecipheriv(CIPHER, this.#derive(`errand pair v1 ${by}`, KEY_BYTES), NONCE, { authTagLength: TAG_BYTES })
      decipher.setAAD(this.#transcript, { plaintextLength: at })
      decipher.setAuthTag(sealed.subarray(at))
      return Buffer.concat([decipher.update(sealed.subarray(0, at)), decipher.final()])
    } catch (cause) {
      throw new ErrandError('WRONG_CODE', 'what the other device says was changed on the way', { cause })
    }
  }

  /** For two people to compare: this very pairing, of these two devices. */
  check({ joiner, inviter }: { readonly joiner: string; readonly inviter: string }): string {
    return checkWords(this.#derive(`errand pair v1 check\0${joiner}\0${inviter}`, 6))
  }

  #derive(info: string, bytes: number): Uint8Array {
    return new Uint8Array(hkdfSync('sha256', this.#key, this.#transcript, info, bytes))
  }
}

/** Two words and a number: 11 + 11 + 6.5 bits of what they stand for. */
export function checkWords(from: Uint8Array): string {
  const [first, second, third] = [0, 2, 4].map((at) => Buffer.from(from).readUInt16BE(at))
  return `${wordlist[(first ?? 0) % wordlist.length]} · ${wordlist[(second ?? 0) % wordlist.length]} · ${10 + ((third ?? 0) % 90)}`
}
