/** From callbacks to a loop: values are handed over one by one, and whoever hands one over may wait until it was taken. Buffers nothing by itself. */

export class Handover<T> implements AsyncIterable<T> {
  readonly #items: { readonly value: T; readonly taken: () => void }[] = []
  #wake: () => void = () => undefined
  #over: { readonly error?: unknown } | undefined

  /** Resolves when the reader has come for the value, or will never come. */
  put(value: T): Promise<void> {
    if (this.#over !== undefined) return Promise.resolve()
    return new Promise((resolve) => {
      this.#items.push({ value, taken: resolve })
      this.#wake()
    })
  }

  /** What was put before is still read. */
  end(): void {
    this.#over ??= {}
    this.#wake()
  }

  fail(error: unknown): void {
    this.#over ??= { error }
    this.#wake()
  }

  /** One reader. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        const next = this.#items.shift()
        if (next !== undefined) {
          next.taken()
          yield next.value
        } else if (this.#over !== undefined) {
          if ('error' in this.#over) throw this.#over.error
          return
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        }
      }
    } finally {
      this.end()
      for (const { taken } of this.#items.splice(0)) taken()
    }
  }
}
