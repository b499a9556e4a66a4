/** What a person says to errand itself while every key goes to a device: `~` at the beginning of a line, as in ssh and rlogin. Pure. */

const TILDE = 0x7e
export type Said = 'hang-up' | 'detach' | 'help'
const SAYS: Readonly<Record<string, Said>> = { '.': 'hang-up', d: 'detach', '?': 'help' }

export class Escapes {
  #isAtBegin = true
  #isEscaped = false

  /** @returns what goes on, and what was said; what follows a word to errand in the same chunk is dropped: it was typed for nobody. */
  push(chunk: Uint8Array): { readonly bytes: Uint8Array; readonly said: Said | undefined } {
    const out: number[] = []
    for (const byte of chunk) {
      const said = this.#isEscaped ? SAYS[String.fromCharCode(byte)] : undefined
      if (said !== undefined) {
        this.#isEscaped = false
        return { bytes: Uint8Array.from(out), said }
      }
      this.#take(byte, out)
    }
    return { bytes: Uint8Array.from(out), said: undefined }
  }

  #take(byte: number, out: number[]): void {
    if (this.#isEscaped) {
      out.push(...(byte === TILDE ? [TILDE] : [TILDE, byte]))
      this.#isEscaped = false
      this.#isAtBegin = false
      return
    }
    this.#isEscaped = this.#isAtBegin && byte === TILDE
    if (!this.#isEscaped) out.push(byte)
    this.#isAtBegin = byte === 0x0d || byte === 0x0a
  }
}
