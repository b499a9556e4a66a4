/** Two ends of a pipe inside one process, with the back pressure of a real one: how a device runs its own commands through the same door. */
import { Uint8ArrayList } from 'uint8arraylist'
import type { ByteLink } from './frames.ts'

/** Bytes in flight before a writer has to wait. */
const WINDOW_BYTES = 1 << 18

class Channel {
  #queue = new Uint8ArrayList<ArrayBufferLike>()
  #ended = false
  /** Nobody reads any more: what is written goes nowhere, as on a socket whose other side has closed. */
  #left = false
  #error: Error | undefined
  #readable: () => void = () => {}
  /** Everybody who waits: stdout and stderr of a command share one channel. */
  #writers: (() => void)[] = []

  write(bytes: Uint8ArrayList): Promise<void> | undefined {
    if (this.#error !== undefined) throw this.#error
    if (this.#ended || this.#left) return undefined
    this.#queue.append(bytes)
    this.#readable()
    if (this.#queue.byteLength < WINDOW_BYTES) return undefined
    return new Promise((resolve) => this.#writers.push(resolve))
  }

  end(): void {
    this.#ended = true
    this.#readable()
  }

  abort(error: Error): void {
    this.#error ??= error
    this.#readable()
    this.#wakeWriters()
  }

  #wakeWriters(): void {
    for (const wake of this.#writers.splice(0)) wake()
  }

  async *read(): AsyncGenerator<Uint8ArrayList> {
    try {
      for (;;) {
        if (this.#error !== undefined) throw this.#error
        if (this.#queue.byteLength > 0) {
          yield this.#taken()
          this.#wakeWriters()
        } else if (this.#ended) return
        else {
          await new Promise<void>((resolve) => {
            this.#readable = resolve
          })
        }
      }
    } finally {
      this.#left = true
      this.#wakeWriters()
    }
  }

  #taken(): Uint8ArrayList {
    const chunk = this.#queue
    this.#queue = new Uint8ArrayList<ArrayBufferLike>()
    return chunk
  }
}

export function memoryLinks(): [ByteLink, ByteLink] {
  const there = new Channel()
  const back = new Channel()
  const link = (out: Channel, inward: Channel): ByteLink => ({
    source: inward.read(),
    write: (bytes) => out.write(bytes),
    end: async () => out.end(),
    abort: (error) => {
      out.abort(error)
      inward.abort(error)
    },
  })
  return [link(there, back), link(back, there)]
}
