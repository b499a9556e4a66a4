/** Cuts a stream of bytes into lines. A line that never ends is cut as well: nobody's memory is somebody else's to fill. */
const NEWLINE = 0x0a
const MAX_LINE_BYTES = 1 << 16

export class Lines {
  #held: Uint8Array[] = []
  #heldBytes = 0

  /** @returns the lines that are whole by now, without their ends. */
  push(bytes: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = []
    let from = 0
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      lines.push(this.#whole(bytes.subarray(from, at)))
      from = at + 1
    }
    this.#hold(bytes.subarray(from))
    if (this.#heldBytes > MAX_LINE_BYTES) lines.push(this.#whole())
    return lines
  }

  /** What stands behind the last end of a line; undefined where nothing does. */
  rest(): Uint8Array | undefined {
    return this.#heldBytes === 0 ? undefined : this.#whole()
  }

  #hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
  }

  #whole(last: Uint8Array = new Uint8Array()): Uint8Array {
    const line = Buffer.concat([...this.#held, last])
    this.#held = []
    this.#heldBytes = 0
    return line
  }
}
