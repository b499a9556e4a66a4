/**
 * The client's end of a framed connection: the same bytes as `base/frames.ts`, without the libraries that read and write them there.
 * A command line starts anew for every command, and loading those takes it longer than all the frames it reads (docs/decisions/0013);
 * a property test holds both to the same bytes. Knows no tags and no sockets.
 */
import { ErrandError } from '../base/errors.ts'

/** What a framed connection goes over: the client's part of a ByteLink. */
export interface QuickPipe {
  readonly source: AsyncIterable<Uint8Array>
  write(bytes: Iterable<Uint8Array>): Promise<void> | undefined
  abort(error: Error): void
}

export interface QuickFrame {
  readonly tag: number
  /** The bytes behind the tag, in pieces as they came. Owned by the reader. */
  readonly payload: readonly Uint8Array[]
}

/** Of a length, as the libraries have it: enough for every safe integer. */
const MAX_PREFIX_BYTES = 8
const NOTHING = new Uint8Array()

export class QuickLink {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #held: Uint8Array[] = []
  #heldBytes = 0
  /** The length of the frame that comes next, once its prefix is read. */
  #wanted: number | undefined

  /** @param maxFrameBytes longest frame that is accepted, tag included; a longer one is refused before it is buffered. */
  constructor(
    private readonly pipe: QuickPipe,
    private readonly maxFrameBytes: number,
  ) {
    this.#chunks = pipe.source[Symbol.asyncIterator]()
  }

  /** The next frame, or undefined once the other side has closed. @throws what the pipe throws; an error when the bytes are not frames. */
  async read(): Promise<QuickFrame | undefined> {
    for (;;) {
      const frame = this.#cut()
      if (frame !== undefined) return frame
      const next = await this.#chunks.next()
      if (next.done !== true) this.#hold(next.value)
      else if (this.#wanted === undefined && this.#heldBytes === 0) return undefined
      else throw new Error('Unexpected end of input')
    }
  }

  /** Resolves (or is undefined) when the next frame may be written. @throws TOO_LARGE for one that the other side would not take. */
  write(tag: number, payload: Uint8Array = NOTHING): Promise<void> | undefined {
    if (payload.length >= this.maxFrameBytes) throw tooLarge(payload.length, this.maxFrameBytes)
    const head = []
    let rest = payload.length + 1
    for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) head.push((rest % 0x80) + 0x80)
    const first = Uint8Array.of(...head, rest, tag)
    return this.pipe.write(payload.length === 0 ? [first] : [first, payload])
  }

  abort(error: Error): void {
    this.pipe.abort(error)
  }

  #hold(chunk: Uint8Array): void {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
  }

  #cut(): QuickFrame | undefined {
    this.#wanted ??= this.#prefix()
    if (this.#wanted === undefined || this.#heldBytes < this.#wanted) return undefined
    const bytes = this.#wanted
    this.#wanted = undefined
    const tag = this.#take(1)[0]?.[0]
    if (bytes === 0 || tag === undefined) throw new ErrandError('BAD_FRAME', 'a frame without a tag')
    return { tag, payload: this.#take(bytes - 1) }
  }

  /** @returns undefined while a part of it is missing. */
  #prefix(): number | undefined {
    let length = 0
    let scale = 1
    let at = 0
    for (const chunk of this.#held) {
      for (const byte of chunk) {
        length += (byte % 0x80) * scale
        scale *= 0x80
        at += 1
        if (byte === 0 && at > 1) throw new Error('Message length is not minimal')
        if (byte < 0x80) return this.#taken(at, length)
        if (at === MAX_PREFIX_BYTES) throw new Error('Message length length too long')
      }
    }
    return undefined
  }

  #taken(prefixBytes: number, length: number): number {
    if (length > this.maxFrameBytes) throw new Error('Message length too long')
    this.#take(prefixBytes)
    return length
  }

  /** @param bytes of those that are held. */
  #take(bytes: number): Uint8Array[] {
    const taken: Uint8Array[] = []
    let left = bytes
    for (let first = this.#held[0]; left > 0 && first !== undefined; first = this.#held[0]) {
      const part = first.length > left ? first.subarray(0, left) : first
      if (part === first) this.#held.shift()
      else this.#held[0] = first.subarray(left)
      if (part.length > 0) taken.push(part)
      left -= part.length
    }
    this.#heldBytes -= bytes - left
    return taken
  }
}

function tooLarge(bytes: number, max: number): ErrandError {
  return new ErrandError('TOO_LARGE', `a request of ${bytes} bytes where ${max} are taken`, {
    hint: 'send what is long as input of the command, or put it into a file there',
  })
}
