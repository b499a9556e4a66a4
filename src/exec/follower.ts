/** Sends the output of one job to one reader, from an offset on, at the reader's pace; then how it ended. */
import type { Ended } from '../../protocols/exec/messages.ts'
import { HOST_TAG } from '../../protocols/host/frames.ts'
import { encode } from '../../protocols/wire.ts'
import type { FrameLink } from '../base/frames.ts'
import type { Printed } from '../tasks/ports.ts'
import type { Job, Reader } from './job.ts'

interface FollowOptions {
  /** Goes no further than this. */
  readonly to?: number
  /** Makes the reader leave; only for one that can come back another way. */
  readonly drop?: () => void
}

export class Follower implements Reader {
  readonly drop: (() => void) | undefined
  #position: number
  #isHeld = false
  #isGone = false
  #wake: () => void = () => {}

  constructor(
    private readonly job: Job,
    private readonly link: Pick<FrameLink, 'write'>,
    from: number,
    private readonly o: FollowOptions = {},
  ) {
    this.#position = from
    this.drop = o.drop
  }

  get position(): number {
    return Math.min(this.#position, this.job.spool.end) // who asks for more than there is has not read ahead
  }

  /** Resolves with how the job ended once all is sent; undefined when the reader left or took the rest elsewhere. */
  async follow(): Promise<Ended | undefined> {
    const { job } = this
    let ended: Ended | undefined
    const unhook = job.spool.onGrowth(() => this.#wake())
    void job.ended.then((how) => {
      ended = how
      this.#wake()
    })
    job.join(this)
    try {
      while (!this.#isGone && !this.#isHeld && this.#position < (this.o.to ?? Number.POSITIVE_INFINITY)) {
        const isLast = ended !== undefined
        const next = job.spool.near(this.#position) ?? (await job.spool.read(this.#position))
        if (next.length > 0) await this.#send(next)
        else if (isLast) return ended
        else await this.#news(() => ended !== undefined)
      }
      return undefined
    } finally {
      unhook()
      job.leave(this)
    }
  }

  /** Sends nothing more, and says from which offset on it did not. */
  hold(): number {
    this.#isHeld = true
    this.#wake()
    return this.#position
  }

  /** The reader is gone. */
  leave(): void {
    this.#isGone = true
    this.#wake()
  }

  async #send(pieces: readonly Printed[]): Promise<void> {
    for (const { fd, bytes, offset } of pieces) {
      if (this.#isHeld || this.#isGone) return
      if (offset > this.#position) void this.link.write(HOST_TAG.at, encode({ offset }))
      const wait = this.link.write(fd === 1 ? HOST_TAG.stdout : HOST_TAG.stderr, bytes)
      this.#position = offset + bytes.length
      if (wait !== undefined) await Promise.race([wait, this.#leaving()])
      this.job.advanced()
    }
  }

  #leaving(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        if (this.#isGone || this.#isHeld) resolve()
      }
    })
  }

  /** Resolves with the next byte, the end, or the reader's leave. */
  #news(isOver: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      if (isOver() || this.#isGone || this.#isHeld || this.job.spool.end > this.#position) resolve()
    })
  }
}
