/**
 * The way of one command's output to its caller: in the exec stream at first, and over the exec-host's own door once it is a lot,
 * so that neither daemon's event loop carries the bulk. A caller that cannot come there stays where it is. Spec: protocols/exec/README.md.
 */
import { type At, type Ended, TAG } from '../../protocols/exec/messages.ts'
import { BULK } from '../../protocols/host/frames.ts'
import { encode } from '../../protocols/wire.ts'
import type { Random } from '../base/clock.ts'
import type { FrameLink } from '../base/frames.ts'
import type { Executor, OutputSink, RunningCommand } from '../tasks/ports.ts'

const ID_BYTES = 16
const KEY_BYTES = 32

export interface OutputOn {
  readonly executor: Pick<Executor, 'admit' | 'follow'>
  readonly random: Random
}

export class OutputWay {
  #bytes = 0
  #isOffered = false
  #resumed: Promise<Ended | undefined> = Promise.resolve(undefined)

  /** @param address where the exec-host may listen for this caller; null: nowhere. */
  constructor(
    private readonly link: Pick<FrameLink, 'write'>,
    private readonly answer: OutputSink,
    private readonly at: { readonly task: string; readonly address: string | null },
    private readonly on: OutputOn,
  ) {}

  readonly sink: OutputSink = {
    output: (fd, chunk) => {
      this.#bytes += chunk.byteLength
      if (this.#bytes > BULK.afterBytes && !this.#isOffered) void this.#offer()
      return this.answer.output(fd, chunk)
    },
  }

  /** The caller has come to the other door: nothing more is sent here. */
  async moved(running: RunningCommand): Promise<void> {
    const offset = await running.hold()
    if (offset !== undefined) await this.link.write(TAG.bulkMoved, encode({ offset } satisfies At))
  }

  /** The other door failed: what follows the offset comes here again. */
  resume(from: number): void {
    const following = this.on.executor.follow(this.at.task, from, this.answer)
    this.#resumed = following.then(
      (run) => run.ended,
      () => undefined, // over meanwhile: the caller misses bytes, and sees that it does
    )
  }

  /** Resolves when nothing more is to be sent here. */
  async settled(): Promise<void> {
    await this.#resumed
  }

  async #offer(): Promise<void> {
    this.#isOffered = true
    const { task, address } = this.at
    if (address === null) return
    const [id, key] = [this.on.random(ID_BYTES), this.on.random(KEY_BYTES)]
    const port = await this.on.executor.admit({ task, id, key, address })
    if (port !== null) await this.link.write(TAG.bulk, encode({ port, id, key }))
  }
}
