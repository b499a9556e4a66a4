/**
 * Carries bytes between a forward stream and a TCP connection, both ways at once, until both directions have ended or one side cuts it. Back-pressure
 * is that of the two ends: nothing is read that cannot be written.
 */
import { EndedForward, FORWARD, FORWARD_TAG as TAG } from '../../protocols/forward/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import { type Clock, pause } from '../base/clock.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { Pipe } from '../base/pipe.ts'

export interface End {
  readonly why: EndedForward['why']
  readonly message?: string
}

export interface Counted {
  bytesIn: number
  bytesOut: number
}

/** How long the last word may take to leave; a reader that never reads gets none. */
const LAST_WORD_MS = 1_000
const RESET: End = { why: 'reset' }

export class Carriage {
  readonly counted: Counted = { bytesIn: 0, bytesOut: 0 }
  #settle: (end: End) => void = () => undefined
  readonly #cut = new Promise<End>((resolve) => {
    this.#settle = resolve
  })
  #hasSentAll = false
  #hasGotAll = false

  constructor(
    private readonly link: FrameLink,
    private readonly pipe: Pipe,
    private readonly on: { readonly clock: Clock; readonly total: Counted },
  ) {}

  /** Ends it at once, whatever is under way. */
  cut(end: End): void {
    this.#settle(end)
  }

  /** Resolves with how it ended, when both ends are closed. Never rejects. @param signal aborts when the stream is gone. */
  async run({ signal }: { signal: AbortSignal }): Promise<End> {
    const gone = (): void => this.cut(RESET)
    signal.addEventListener('abort', gone, { once: true })
    if (signal.aborted) gone()
    const cut = (): void => this.cut(RESET)
    // Whoever has ended its own direction and then went for good takes nothing more; what was cut before that, reading says.
    void this.pipe.closed.then(() => this.#hasSentAll && !this.#hasGotAll && cut())
    const out = this.#out()
    const into = new Promise<void>((resolve) => void this.#into(resolve).catch(cut))
    const whole = Promise.all([out, into]).then((): End => ({ why: 'closed' }))
    const end = await Promise.race([whole.catch(() => RESET), this.#cut])
    if (end.why !== 'closed') this.pipe.abort(new Error(end.why))
    const said = this.#say(end).catch(() => false)
    if (end.why === 'closed')
      await Promise.race([said, this.#cut]) // a slow reader gets every byte, however long it takes
    else if (!(await Promise.race([said, pause(this.on.clock, LAST_WORD_MS)]))) this.link.abort(new Error('the last word was not taken'))
    signal.removeEventListener('abort', gone)
    return end
  }

  /** From the connection to the stream. */
  async #out(): Promise<void> {
    for await (const chunk of this.pipe.source) {
      for (let at = 0; at < chunk.byteLength; at += FORWARD.maxDataBytes) {
        const piece = chunk.subarray(at, Math.min(chunk.byteLength, at + FORWARD.maxDataBytes))
        this.#count('bytesOut', piece.byteLength)
        await this.link.write(TAG.data, piece)
      }
    }
    this.#hasSentAll = true
    await this.link.write(TAG.end)
  }

  /** From the stream to the connection. Goes on listening behind the end: the other side may still cut it. @param all called at the end of what is sent. */
  async #into(all: () => void): Promise<void> {
    for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) {
      if (frame.tag === TAG.data && !this.#hasGotAll) await this.#take(frame)
      else if (frame.tag === TAG.end) {
        this.#hasGotAll = true
        void this.pipe.end()
        all()
      } else if (frame.tag === TAG.ended) return this.#ended(frame)
    }
    if (!this.#hasGotAll) this.cut(RESET)
  }

  async #take({ payload }: Frame): Promise<void> {
    this.#count('bytesIn', payload.byteLength)
    const taken = this.pipe.write(payload)
    if (taken !== undefined) await taken
  }

  #ended({ payload }: Frame): void {
    const { why } = decodeAs(EndedForward, payload.subarray(), FORWARD.maxFrameBytes)
    if (why !== 'closed' || !this.#hasGotAll) this.cut(RESET)
  }

  #count(way: keyof Counted, bytes: number): void {
    this.counted[way] += bytes
    this.on.total[way] += bytes
  }

  async #say({ why, message }: End): Promise<boolean> {
    await this.link.write(TAG.ended, encode({ why, ...(message === undefined ? {} : { message: message.slice(0, 1_024) }), ...this.counted, connections: 1 }))
    await this.link.end()
    return true
  }
}
