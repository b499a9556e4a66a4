/** Those who take what a task's line brings: somebody at the local face, in its JSON frames, and a submission that only waits for its yes. */
import { type Accepted, type At, type Bulk, type Ended, type Queued, type StdinCredit, TAG, type Waits } from '../../protocols/exec/messages.ts'
import type { BulkOffer, ExecAccepted, ExecOutcome } from '../../protocols/local/messages.ts'
import type { ErrandError } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { Hearer, LineFor } from './line.ts'

/** What a line says of its task, for whoever keeps a copy of it. */
export interface News {
  started(at: number): void
  queued(place: number): void
  waits(message: string): void
}

export const NO_NEWS: News = { started: () => undefined, queued: () => undefined, waits: () => undefined }

export class NearHearer implements Hearer {
  constructor(
    private readonly near: FrameLink,
    private readonly at: LineFor,
    private readonly on: News & { readonly before: () => Promise<unknown> },
  ) {}

  output(tag: number, payload: Frame['payload']): Promise<void> | undefined {
    return this.near.write(tag, payload)
  }

  async accepted({ startTime }: Accepted): Promise<void> {
    await this.on.before()
    if (startTime > 0) this.on.started(startTime)
    await this.#tell(TAG.accepted, { task: this.at.task, device: this.at.name, startTime: new Date(startTime).toISOString() } satisfies ExecAccepted)
  }

  queued(queued: Queued): void {
    this.on.queued(queued.place)
    void this.on.before().then(
      () => this.#tell(TAG.queued, queued),
      () => undefined,
    )
  }

  waits(waits: Waits): void {
    this.on.waits(waits.message)
    void this.on.before().then(
      () => this.#tell(TAG.waits, waits),
      () => undefined,
    )
  }

  credit(credit: StdinCredit): Promise<void> | undefined {
    return this.#tell(TAG.stdinCredit, credit)
  }

  bulk({ port, id, key }: Bulk, host: string | null): Promise<void> | undefined {
    if (host === null) return undefined
    return this.#tell(TAG.bulk, { host, port, id: Buffer.from(id).toString('hex'), key: Buffer.from(key).toString('hex') } satisfies BulkOffer)
  }

  moved(at: At): Promise<void> | undefined {
    return this.#tell(TAG.bulkMoved, at)
  }

  skipped(at: At): Promise<void> | undefined {
    return this.#tell(TAG.at, at)
  }

  mustStay(fault: ErrandError): Promise<void> | undefined {
    return this.#tell(TAG.detached, { task: this.at.task, fault: fault.toWire('device') })
  }

  /** The last word: it goes on by itself. */
  async detached(): Promise<void> {
    await this.#tell(TAG.detached, { task: this.at.task })
  }

  down(waitMs: number): Promise<void> | undefined {
    return this.#tell(TAG.lineDown, { waitMs })
  }

  back(): Promise<void> | undefined {
    return this.#tell(TAG.lineBack, {})
  }

  async ended(ended: Ended): Promise<void> {
    const { exitCode, signal, why, startTime, endTime, stdoutBytes, stderrBytes, message, droppedBytes } = ended
    const outcome: ExecOutcome = {
      task: this.at.task,
      device: this.at.name,
      exitCode,
      signal,
      why,
      ...(message === undefined ? {} : { message }),
      source: why === 'exit' ? 'command' : 'device',
      startTime: new Date(startTime).toISOString(),
      endTime: new Date(endTime).toISOString(),
      durationMs: endTime - startTime,
      stdoutBytes,
      stderrBytes,
      ...(droppedBytes === undefined ? {} : { droppedBytes }),
    }
    await this.#tell(TAG.ended, outcome)
  }

  async failed(error: ErrandError): Promise<void> {
    const wire = error.toWire(error.fields['source'] === 'device' ? 'device' : 'errand')
    const device = this.at.name === '' ? {} : { device: this.at.name }
    await Promise.resolve(this.#tell(TAG.refused, { ...wire, fields: { ...wire.fields, ...device } })).catch(() => undefined)
  }

  #tell(tag: number, value: unknown): Promise<void> | undefined {
    return this.near.write(tag, Buffer.from(JSON.stringify(value)))
  }
}

/** Takes no output; says when the device has taken the task on. */
export class QuietHearer implements Hearer {
  readonly taken: Promise<void>
  #take: () => void = () => undefined

  constructor(private readonly on: News) {
    this.taken = new Promise((resolve) => {
      this.#take = resolve
    })
  }

  output(): undefined {
    return undefined
  }

  accepted({ startTime }: Accepted): undefined {
    if (startTime > 0) this.on.started(startTime)
    this.#take()
  }

  queued({ place }: Queued): void {
    this.on.queued(place)
    this.#take()
  }

  waits({ message }: Waits): void {
    this.on.waits(message)
    this.#take()
  }
}
