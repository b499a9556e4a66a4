/**
 * Many conversations on one connection: pieces of each, by its number, both ways. What each of them is, is the runtime's as ever; here they are
 * only kept apart. One that nobody reads holds the connection up, as one connection does.
 */
import { Uint8ArrayList } from 'uint8arraylist'
import { TAG } from '../../protocols/exec/frames.ts'
import { FAN, FAN_TAG } from '../../protocols/local/fan-caps.ts'
import { LOCAL } from '../../protocols/local/frames.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { type ByteLink, type Frame, FrameLink } from '../base/frames.ts'
import { memoryLinks } from '../base/memory-link.ts'
import { wireOf } from './door.ts'

/** Serves one conversation from its first frame on. */
type Serve = (first: Frame, link: FrameLink, o: { signal: AbortSignal }) => Promise<void>

interface Conversation {
  readonly near: ByteLink
  readonly done: Promise<void>
  readonly leave: () => void
}

const INDEX_BYTES = 4
/** Of one piece: a frame holds it with its head. */
const PIECE_BYTES = 1 << 17

/** Resolves when the client has hung up and everything it asked for is over. */
export async function serveMany(serve: Serve, link: FrameLink, o: { signal: AbortSignal }): Promise<void> {
  const many = new Many(serve, link, o.signal)
  try {
    for (let frame = await link.read(); frame !== undefined; frame = await link.read()) await many.take(frame)
  } finally {
    await many.leave()
  }
}

class Many {
  readonly #open = new Map<number, Conversation>()
  /** Numbers grow: a piece of one that is over begins nothing. */
  #last = -1

  constructor(
    private readonly serve: Serve,
    private readonly link: FrameLink,
    private readonly signal: AbortSignal,
  ) {}

  async take({ tag, payload }: Frame): Promise<void> {
    if (payload.byteLength < INDEX_BYTES) throw new ErrandError('BAD_FRAME', 'a piece without a number')
    const index = payload.getUint32(0)
    const known = this.#open.get(index)
    if (tag === FAN_TAG.pieceGone) return known?.leave()
    if (tag === FAN_TAG.pieceEnd) return await known?.near.end()
    if (tag !== FAN_TAG.piece) throw new ErrandError('BAD_REQUEST', `a frame 0x${tag.toString(16)} among pieces`)
    const conversation = known ?? this.#begin(index)
    const wait = conversation?.near.write(payload.sublist(INDEX_BYTES))
    if (wait !== undefined) await wait
  }

  async leave(): Promise<void> {
    for (const { leave } of this.#open.values()) leave()
    await Promise.all([...this.#open.values()].map(({ done }) => done))
  }

  #begin(index: number): Conversation | undefined {
    if (index <= this.#last) return undefined
    this.#last = index
    if (this.#open.size >= FAN.maxPieces) {
      void this.link.write(FAN_TAG.pieceGone, headOf(index))
      return undefined
    }
    const [near, far] = memoryLinks()
    const gone = new AbortController()
    const leave = (): void => gone.abort(new ErrandError('CLIENT_GONE', 'the caller hung up'))
    void this.#serve(new FrameLink(far, LOCAL.maxFrameBytes), AbortSignal.any([gone.signal, this.signal]))
    const done = this.#pump(index, near)
      .catch(() => undefined)
      .finally(() => this.#open.delete(index))
    const conversation = { near, done, leave }
    this.#open.set(index, conversation)
    return conversation
  }

  /** Never rejects. */
  async #serve(link: FrameLink, signal: AbortSignal): Promise<void> {
    try {
      const first = await link.read()
      if (first?.tag === FAN_TAG.many) throw new ErrandError('BAD_REQUEST', 'many conversations in one of many')
      if (first !== undefined) await this.serve(first, link, { signal })
    } catch (thrown) {
      void link.write(TAG.refused, Buffer.from(JSON.stringify(wireOf(asErrand(thrown)))))
    }
    await link.end()
  }

  async #pump(index: number, near: ByteLink): Promise<void> {
    const head = headOf(index)
    for await (const chunk of near.source) {
      for (let at = 0; at < chunk.byteLength; at += PIECE_BYTES) {
        const piece = chunk.subarray(at, Math.min(at + PIECE_BYTES, chunk.byteLength))
        const wait = this.link.write(FAN_TAG.piece, new Uint8ArrayList<ArrayBufferLike>(head, piece))
        if (wait !== undefined) await wait
      }
    }
    await this.link.write(FAN_TAG.pieceEnd, head)
  }
}

function headOf(index: number): Uint8Array {
  const head = new Uint8Array(INDEX_BYTES)
  new DataView(head.buffer).setUint32(0, index)
  return head
}
