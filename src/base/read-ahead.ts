/** Chunks that arrive by callback, read in a loop: asks the sender to pause while enough of them waits for the reader. One reader. */

export class ReadAhead {
  readonly #queue: Uint8Array[] = []
  #queuedBytes = 0
  #isFull = false
  #over = false
  #error: Error | undefined
  #wake: (() => void) | undefined

  /** @param bytes the sender is paused while this much waits. */
  constructor(
    private readonly sender: { pause(): unknown; resume(): unknown },
    private readonly bytes: number,
  ) {}

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (this.#queuedBytes >= this.bytes && !this.#isFull) {
      this.#isFull = true
      this.sender.pause()
    }
    this.#wake?.()
  }

  /** What was pushed before is still read; then the error, if there is one. */
  finish(error?: Error): void {
    this.#over = true
    this.#error ??= error
    this.#wake?.()
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#queue.shift()
      if (chunk !== undefined) {
        this.#took(chunk)
        yield chunk
        continue
      }
      if (this.#error !== undefined) throw this.#error
      if (this.#over) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  #took({ length }: Uint8Array): void {
    this.#queuedBytes -= length
    if (this.#queuedBytes >= this.bytes || !this.#isFull) return
    this.#isFull = false
    this.sender.resume()
  }
}
