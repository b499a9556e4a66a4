/**
 * The way of one command's output to its caller: in the exec stream at first, and over the exec-host's own door once it is a lot,
 * so that neither daemon's event loop carries the bulk. A caller that cannot come there stays where it is. Spec: protocols/exec/README.md.
 */
import { type At, TAG } from '../../protocols/exec/messages.ts'
import { BULK } from '../../protocols/host/frames.ts'
import { encode } from '../../protocols/wire.ts'
import type { Random } from '../base/clock.ts'
import type { FrameLink } from '../base/frames.ts'
import type { Executor, OutputSink, RunningCommand } from '../tasks/ports.ts'

const ID_BYTES = 16
const KEY_BYTES = 32
/** Offered and not taken, since the reader stood still for longer than a ticket is good: offered again when so many times as much has gone here. */
const AGAIN_AT = 16

export interface OutputOn {
  readonly executor: Pick<Executor, 'admit' | 'expel' | 'follow' | 'printed'>
  readonly random: Random
}

export class OutputWay {
  #bytes = 0
  /** The other door is offered when so much has gone. */
  #offerAt: number = BULK.afterBytes
  /** The one order in which the output moves: each step once an offer, whatever the caller says how often. */
  #where: 'here' | 'offered' | 'there' = 'there'
  #isCut = false
  #isExpelled = false
  /** What lets the reader in at the other door. */
  readonly #tickets: Uint8Array[] = []
  #cut: () => void = () => undefined
  readonly #whenCut = new Promise<void>((resolve) => {
    this.#cut = resolve
  })
  /** Who sends here now: the command itself, later perhaps somebody who joined it. */
  #source: RunningCommand | undefined
  #resumed: Promise<unknown> = Promise.resolve()

  /** @param address where the exec-host may listen for this caller; null: nowhere. */
  constructor(
    private readonly link: Pick<FrameLink, 'write'>,
    private readonly answer: OutputSink,
    private readonly at: { readonly task: string; readonly address: string | null },
    private readonly on: OutputOn,
  ) {}

  readonly sink: OutputSink = {
    output: (fd, chunk) => {
      if (this.#isCut) return undefined // kept where it came from, for whoever comes back
      this.#bytes += chunk.byteLength
      if (this.#bytes > this.#offerAt) void this.#offer().catch(() => undefined)
      try {
        const wait = this.answer.output(fd, chunk)
        return wait === undefined ? undefined : Promise.race([wait.catch(() => this.cut()), this.#whenCut])
      } catch {
        this.cut() // a reader that is gone ends nothing
        return undefined
      }
    },
    skipped: (offset) => void tell(this.link, TAG.at, { offset } satisfies At),
  }

  /** The command sends here from its first byte on. Without it nothing comes here, until `resume`. */
  carries(running: RunningCommand): void {
    this.#source = running
    this.#where = 'here'
  }

  /** The stream is gone. What was not taken stays with the exec-host, which waits a while for somebody to come back for it. */
  cut(): void {
    if (this.#isCut) return
    this.#isCut = true
    this.#cut()
    void this.#source?.hold()
  }

  /** The reader has lost its right: nothing more comes here, nor out of the exec-host's door. */
  expel(): void {
    this.cut()
    this.#isExpelled = true
    for (const ticket of this.#tickets) this.on.executor.expel(this.at.task, ticket)
  }

  /** The caller has come to the other door: nothing more is sent here. */
  async moved(): Promise<void> {
    if (this.#where !== 'offered') return
    this.#where = 'there'
    const offset = await this.#source?.hold()
    if (offset !== undefined) await this.link.write(TAG.bulkMoved, encode({ offset } satisfies At))
  }

  /** What follows the offset comes here, from now on; only when it goes elsewhere now, for every time costs a reader in the exec-host. */
  resume(from: number): void {
    if (this.#where !== 'there') return
    this.#where = 'here'
    // Over meanwhile: what it printed is kept. Bytes that are not there any more the caller misses, and sees that it does.
    this.#resumed = this.#follow(from).catch(() => this.#read(from).catch(() => undefined))
  }

  /** Resolves when nothing more is to be sent here. */
  async settled(): Promise<void> {
    await Promise.race([this.#resumed, this.#whenCut])
  }

  async #follow(from: number): Promise<void> {
    const run = await this.on.executor.follow(this.at.task, from, this.sink)
    this.#source = run
    if (this.#isCut) void run.hold()
    await run.ended
  }

  async #read(from: number): Promise<void> {
    let at = from
    for await (const { fd, bytes, offset } of this.on.executor.printed(this.at.task, from)) {
      if (offset > at) this.sink.skipped?.(offset)
      at = offset + bytes.length
      await this.sink.output(fd, bytes)
      if (this.#isCut) return
    }
  }

  async #offer(): Promise<void> {
    this.#offerAt *= AGAIN_AT
    const { task, address } = this.at
    if (address === null) return
    if (this.#isExpelled) return
    const [id, key] = [this.on.random(ID_BYTES), this.on.random(KEY_BYTES)]
    this.#tickets.push(id)
    const port = await this.on.executor.admit({ task, id, key, address })
    if (port === null || this.#isExpelled || this.#where === 'there') return
    this.#where = 'offered'
    await this.link.write(TAG.bulk, encode({ port, id, key }))
  }
}

/** Says something to a caller who may be gone. */
export async function tell(link: Pick<FrameLink, 'write'>, tag: number, value: object): Promise<void> {
  try {
    await link.write(tag, encode(value))
  } catch {
    // Gone: whoever comes back is told again.
  }
}
