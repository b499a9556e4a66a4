/**
 * The executor's side of a command: verifies, records, runs, streams, records again. Transport-agnostic: frames in, frames out.
 * Every caller comes through here, other devices and this one alike. Spec: protocols/exec/README.md.
 */
import { Attach, EXEC, Open, TAG } from '../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Frame, FrameLink } from '../base/frames.ts'
import type { TaskId } from '../tasks/machine.ts'
import type { Executor, OutputSink } from '../tasks/ports.ts'
import type { Attachments } from './attachments.ts'
import { ExecAdmission, type ExecAdmissionOn, type ExecCaller } from './exec-admission.ts'
import { ExecSession, type SessionOn } from './exec-session.ts'
import { Starter, type StarterOn } from './exec-start.ts'
import type { WaitingList } from './waiting-list.ts'

export interface ExecDoorOn extends ExecAdmissionOn, StarterOn, SessionOn {
  readonly executor: Executor
  readonly audit: StarterOn['audit']
  readonly attachments: Attachments
  readonly waiting: Pick<WaitingList, 'keep' | 'keeps' | 'forget' | 'take'>
}

export class ExecDoor {
  readonly #admission: ExecAdmission
  readonly #starter: Starter
  readonly #serving = new Set<Promise<void>>()
  #closed = false

  constructor(private readonly on: ExecDoorOn) {
    this.#admission = new ExecAdmission(on)
    this.#starter = new Starter(on)
  }

  /** From now on every request is refused; what runs goes on. */
  close(): void {
    this.#closed = true
  }

  /** Resolves when every caller was told how its command ended: a command is over a moment before its caller knows. */
  async idle(): Promise<void> {
    while (this.#serving.size > 0) await Promise.all(this.#serving)
  }

  /** Goes on with a task that stood in the queue when an earlier daemon went. @returns false where its request was not kept. @throws DENIED */
  async requeue(task: TaskId, sink: OutputSink): Promise<boolean> {
    const request = await this.on.waiting.take(task)
    if (request === undefined) return false
    const asker = { sink, mandate: undefined, signal: new AbortController().signal, queued: () => undefined, waits: () => undefined }
    const again = await this.#admission.again(request)
    void this.#starter.begin(again, asker).catch(() => undefined) // how it failed is filed with the task
    return true
  }

  async serve(link: FrameLink, caller: ExecCaller, { signal }: { signal: AbortSignal }): Promise<void> {
    const first = await this.#first(link).catch(async (thrown: unknown) => void (await refuse(link, thrown, caller)))
    if (first === undefined) return await link.end().catch(() => undefined)
    // Counted from here on: a stream that was opened ahead of its command must not hold up a drain.
    const serving = this.#serve(link, { first, caller, signal }).finally(() => this.#serving.delete(serving))
    this.#serving.add(serving)
    await serving
  }

  async #serve(link: FrameLink, { first, caller, signal }: { first: Frame; caller: ExecCaller; signal: AbortSignal }): Promise<void> {
    try {
      if (first.tag === TAG.attach) await this.on.attachments.serve(link, { asked: bodyOf(Attach, first), caller, signal })
      else await this.#run(link, { open: bodyOf(Open, first), caller, signal })
    } catch (thrown) {
      await refuse(link, thrown, caller)
    } finally {
      await link.end().catch(() => undefined)
    }
  }

  async #run(link: FrameLink, { open, caller, signal }: { open: Open; caller: ExecCaller; signal: AbortSignal }): Promise<void> {
    this.#refuseWhenClosed()
    const admitted = await this.#admission.admit(open, caller)
    this.#refuseWhenClosed()
    const session = new ExecSession(link, { caller, signal, task: admitted.task }, this.on)
    await session.run(await this.#starter.begin({ ...admitted, caller }, session), admitted.about)
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new ErrandError('DRAINING', 'this device is stopping and takes no new work', { retryable: true })
  }

  async #first(link: FrameLink): Promise<Frame> {
    const timeout = this.on.clock.after(EXEC.openMs, () => link.abort(new Error('no request in time')))
    const first = await link.read().finally(timeout)
    if (first?.tag !== TAG.open && first?.tag !== TAG.attach) throw new ErrandError('UNSUPPORTED', 'an exec stream begins with an open or an attach frame')
    return first
  }
}

function bodyOf<S extends typeof Open | typeof Attach>(schema: S, { payload }: Frame): ReturnType<typeof decodeAs<S>> {
  return decodeAs(schema, payload.subarray(), EXEC.maxFrameBytes)
}

async function refuse(link: FrameLink, thrown: unknown, caller: ExecCaller): Promise<void> {
  const error = asErrand(thrown)
  caller.patience?.refused(error)
  try {
    await link.write(TAG.refused, encode(error.toWire('device')))
  } catch {
    // The caller is gone; the refusal is in the log.
  }
}
