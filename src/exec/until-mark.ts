/** A stream that ends with a mark: what comes before it goes on, as soon as it cannot be the mark's own beginning. Pure. */

export class UntilMark {
  #held: Buffer = Buffer.alloc(0)
  #isOver = false

  /** @param mark not empty. */
  constructor(private readonly mark: Uint8Array) {}

  /** @returns what is sure by now; once it is over, nothing more. */
  push(chunk: Uint8Array): { readonly bytes: Uint8Array; readonly isOver: boolean } {
    if (this.#isOver) return { bytes: new Uint8Array(), isOver: true }
    const all = Buffer.concat([this.#held, chunk])
    const at = all.indexOf(this.mark)
    this.#isOver = at >= 0
    const sure = at >= 0 ? at : Math.max(0, all.length - this.mark.length + 1)
    this.#held = this.#isOver ? Buffer.alloc(0) : all.subarray(sure)
    return { bytes: all.subarray(0, sure), isOver: this.#isOver }
  }
}
