/** The client's end of many conversations on one connection: each as if it had one of its own. Client side only; loaded when somebody asks for it. */
import { FAN_TAG } from '../../protocols/local/fan-caps.ts'
import { LOCAL } from '../../protocols/local/frames.ts'
import type { Faces } from './exec-options.ts'
import { connectionFault, gone } from './fault.ts'
import { type QuickFrame, QuickLink } from './quick-link.ts'

/** Of one conversation, read ahead of whoever takes it. */
const READ_AHEAD_BYTES = 1 << 18
const INDEX_BYTES = 4

export class ManyFaces implements Faces {
  readonly #open = new Map<number, Piece>()
  #at: ReturnType<Faces['take']> | undefined
  #next = 0
  #fault: Error | undefined

  constructor(private readonly faces: Faces) {}

  get socketPath(): string {
    return this.faces.socketPath
  }

  take(): ReturnType<Faces['take']> {
    const index = this.#next++
    const { link } = this.#connected()
    const head = new Uint8Array(INDEX_BYTES)
    new DataView(head.buffer).setUint32(0, index)
    const piece = new Piece()
    this.#open.set(index, piece)
    if (this.#fault !== undefined) piece.fail(this.#fault)
    const leave = (): void => {
      if (!this.#open.delete(index)) return
      piece.fail(gone())
      void link.write(FAN_TAG.pieceGone, head)
    }
    const pipe = {
      source: piece.read(),
      write: (bytes: Iterable<Uint8Array>) => link.write(FAN_TAG.piece, Buffer.concat([head, ...bytes])),
      abort: leave,
    }
    return { link: new QuickLink(pipe, LOCAL.maxFrameBytes), socket: { destroy: leave } }
  }

  prepare(): void {}

  close(): void {
    this.#at?.socket.destroy()
    this.#at = undefined
  }

  #connected(): ReturnType<Faces['take']> {
    if (this.#at !== undefined) return this.#at
    const at = this.faces.take()
    this.#at = at
    void at.link.write(FAN_TAG.many, Buffer.from('{}'))
    void this.#read(at.link)
    return at
  }

  async #read(link: QuickLink): Promise<void> {
    try {
      for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
        const wait = this.#take(frame)
        if (wait !== undefined) await wait
      }
      throw gone()
    } catch (thrown) {
      this.#fault = connectionFault(thrown, this.socketPath)
      for (const piece of this.#open.values()) piece.fail(this.#fault)
    }
  }

  #take({ tag, payload }: QuickFrame): Promise<void> | undefined {
    const bytes = Buffer.concat(payload)
    const index = bytes.readUInt32BE(0)
    const piece = this.#open.get(index)
    if (tag === FAN_TAG.piece) return piece?.push(bytes.subarray(INDEX_BYTES))
    this.#open.delete(index)
    piece?.end()
    return undefined
  }
}

/** What came of one conversation and is not read yet. */
class Piece {
  readonly #chunks: Uint8Array[] = []
  #bytes = 0
  #isOver = false
  #fault: Error | undefined
  #came: () => void = () => undefined
  #taken: () => void = () => undefined

  /** @returns a promise when whoever reads is behind. */
  push(chunk: Uint8Array): Promise<void> | undefined {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.#came()
    if (this.#bytes < READ_AHEAD_BYTES || this.#fault !== undefined) return undefined
    return new Promise((resolve) => {
      this.#taken = resolve
    })
  }

  end(): void {
    this.#isOver = true
    this.#came()
  }

  fail(error: Error): void {
    this.#fault ??= error
    this.#came()
    this.#taken()
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#bytes -= chunk.length
        this.#taken()
        yield chunk
      } else if (this.#fault !== undefined) throw this.#fault
      else if (this.#isOver) return
      else {
        await new Promise<void>((resolve) => {
          this.#came = resolve
        })
      }
    }
  }
}
