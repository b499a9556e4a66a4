/**
 * What the executor says on the stream of one command, in as few pieces as can be: every piece costs both daemons an encryption,
 * a system call and a wake-up, at the very moment in which the command itself wants the processor.
 * Decides nothing; `ExecDoor` says what is told and when it may be.
 */
import { type Accepted, type Ended, TAG } from '../../protocols/exec/messages.ts'
import { encode } from '../../protocols/wire.ts'
import type { Clock } from '../base/clock.ts'
import type { FrameLink } from '../base/frames.ts'
import type { OutputSink } from '../tasks/ports.ts'

/** A command that is over within this is accepted and ended in one piece; longer ones are accepted this much later. */
const HOLD_MS = 10

export class Answer implements OutputSink {
  #held: Uint8Array | undefined
  #cancel = (): void => {}
  #isAccepted = false
  #accept: () => void = () => undefined
  readonly #whenAccepted = new Promise<void>((resolve) => {
    this.#accept = resolve
  })

  constructor(
    private readonly link: FrameLink,
    private readonly clock: Clock,
  ) {}

  /** Told with the first output or with the end, `HOLD_MS` later at most. @param lost called when the caller is gone by then. */
  acceptedSoon(accepted: Accepted, lost: () => void): void {
    this.#held = encode(accepted)
    this.#begin()
    this.#cancel = this.clock.after(HOLD_MS, () => void this.#release().catch(lost))
  }

  /** Told at once: whoever has stdin to send waits for it. */
  async accepted(accepted: Accepted): Promise<void> {
    const told = this.link.write(TAG.accepted, encode(accepted))
    this.#begin()
    await told
  }

  /** A command may print before its start was told: that waits for the telling. */
  output(fd: 1 | 2, chunk: Uint8Array): Promise<void> | undefined {
    const tag = fd === 1 ? TAG.stdout : TAG.stderr
    return this.#isAccepted ? this.#say(tag, chunk) : this.#whenAccepted.then(() => this.#say(tag, chunk))
  }

  async ended(ended: Ended): Promise<void> {
    await this.#say(TAG.ended, encode(ended))
  }

  /** A command that will have no end to tell of was accepted all the same. */
  close(): void {
    void this.#release().catch(() => undefined)
  }

  #begin(): void {
    this.#isAccepted = true
    this.#accept()
  }

  async #release(): Promise<void> {
    const held = this.#take()
    if (held !== undefined) await this.link.write(TAG.accepted, held)
  }

  #say(tag: number, payload: Uint8Array): Promise<void> | undefined {
    const held = this.#take()
    return held === undefined ? this.link.write(tag, payload) : this.link.writeAll([TAG.accepted, held], [tag, payload])
  }

  #take(): Uint8Array | undefined {
    const held = this.#held
    this.#held = undefined
    this.#cancel()
    return held
  }
}
