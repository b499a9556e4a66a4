/**
 * Tagged frames over any byte pipe: `varint length ‖ tag ‖ payload`, the same on a libp2p stream and on the local socket.
 * Back pressure is kept in both directions: nothing is read ahead of the reader, and a write says when the next may follow.
 */
import * as lp from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import { Uint8ArrayList } from 'uint8arraylist'
import { ErrandError } from './errors.ts'

/** A duplex pipe of bytes. `write` returns a promise only when the caller has to wait before writing more. */
export interface ByteLink {
  readonly source: AsyncIterable<Uint8Array | Uint8ArrayList>
  write(bytes: Uint8ArrayList): Promise<void> | undefined
  /** Half close: everything written is delivered, reading goes on. */
  end(): Promise<void>
  /** Drops the pipe in both directions; data in flight may be lost. */
  abort(error: Error): void
}

export interface Frame {
  readonly tag: number
  /** The bytes behind the tag. Owned by the reader. */
  readonly payload: Uint8ArrayList
}

export class FrameLink {
  readonly #frames: AsyncIterator<Uint8ArrayList>

  /** @param maxFrameBytes longest frame that is accepted, tag included; a longer one is refused before it is buffered. */
  constructor(
    private readonly link: ByteLink,
    maxFrameBytes: number,
  ) {
    this.#frames = pipe(link.source, (source) => lp.decode(source, { maxDataLength: maxFrameBytes }))[Symbol.asyncIterator]()
  }

  /** The next frame, or undefined once the other side has closed. @throws BAD_FRAME when the bytes are not frames. */
  async read(): Promise<Frame | undefined> {
    const next = await this.#frames.next().catch((cause: unknown) => {
      if (cause instanceof ErrandError) throw cause // the link's own word on how it ended
      throw new ErrandError('BAD_FRAME', `unreadable frame: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    })
    if (next.done === true) return undefined
    if (next.value.byteLength === 0) throw new ErrandError('BAD_FRAME', 'a frame without a tag')
    return { tag: next.value.get(0), payload: next.value.sublist(1) }
  }

  /** Resolves (or is undefined) when the next frame may be written. */
  write(tag: number, payload: Uint8Array | Uint8ArrayList = new Uint8Array()): Promise<void> | undefined {
    return this.link.write(frameOf(tag, payload))
  }

  /** Several frames as one write. */
  writeAll(...frames: readonly (readonly [tag: number, payload: Uint8Array])[]): Promise<void> | undefined {
    const bytes = new Uint8ArrayList<ArrayBufferLike>()
    for (const [tag, payload] of frames) bytes.append(frameOf(tag, payload))
    return this.link.write(bytes)
  }

  async end(): Promise<void> {
    await this.link.end()
  }

  abort(error: Error): void {
    this.link.abort(error)
  }
}

function frameOf(tag: number, payload: Uint8Array | Uint8ArrayList): Uint8ArrayList {
  const body = new Uint8ArrayList<ArrayBufferLike>(Uint8Array.of(tag))
  if (payload.byteLength > 0) body.append(payload)
  return lp.encode.single(body)
}
