/**
 * The executor's side of a command: verifies, records, runs, streams, records again. Transport-agnostic: frames in, frames out.
 * Every caller comes through here, other devices and this one alike. Spec: protocols/exec/README.md.
 */
import { At, type Ended, EXEC, Open, TAG } from '../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import type { Admission } from '../authority/verify.ts'
import type { Random } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { FrameLink } from '../base/frames.ts'
import type { Did } from '../identity/identity.ts'
import type { Board } from '../tasks/board.ts'
import { endOf, type TaskId } from '../tasks/machine.ts'
import type { Executor, RunningCommand } from '../tasks/ports.ts'
import { Answer } from './answer.ts'
import { denial } from './denial.ts'
import { type Admitted, ExecAdmission, type ExecAdmissionOn, type ExecCaller } from './exec-admission.ts'
import { OutputWay } from './exec-output.ts'
import { Input } from './input.ts'

export interface ExecDoorOn extends ExecAdmissionOn {
  readonly executor: Executor
  readonly board: Board
  readonly random: Random
  /** Where the exec-host may open a door for a caller that came from this address; null: nowhere. */
  readonly besideDoor: (address: string) => string | null
  /** Commands at once, over all callers. */
  readonly slots: number
}

const SPOOL = { maxBytes: 64 << 20, policy: 'block' } as const

interface Live {
  readonly admission: Admission
  /** As declared: program and arguments. */
  readonly command: readonly string[]
  readonly running: RunningCommand
  readonly answer: Answer
  readonly way: OutputWay
}

export class ExecDoor {
  readonly #admission: ExecAdmission
  readonly #live = new Map<string, Live>()
  readonly #serving = new Set<Promise<void>>()
  #starting = 0
  #closed = false

  constructor(private readonly on: ExecDoorOn) {
    this.#admission = new ExecAdmission(on)
  }

  freeSlots(): number {
    return Math.max(0, this.on.slots - this.#live.size - this.#starting)
  }

  /** From now on every request is refused; what runs goes on. */
  close(): void {
    this.#closed = true
  }

  stopAll(): void {
    for (const { running } of this.#live.values()) running.stop('lost')
  }

  /** Ends every command that rests on a chain which is dead by now. @returns their tasks. */
  stopRevoked(): string[] {
    const stopped: string[] = []
    for (const [task, { admission, running }] of this.#live) {
      if (this.on.revocations.kills(admission.chain) === undefined) continue
      running.stop('revoked')
      stopped.push(task)
    }
    return stopped
  }

  /** Resolves when every caller was told how its command ended: a command is over a moment before its caller knows. */
  async idle(): Promise<void> {
    while (this.#serving.size > 0) await Promise.all(this.#serving)
  }

  async serve(link: FrameLink, caller: ExecCaller, { signal }: { signal: AbortSignal }): Promise<void> {
    const open = await this.#readOpen(link).catch(async (thrown: unknown) => void (await refuse(link, thrown)))
    if (open === undefined) return await link.end().catch(() => undefined)
    // Counted from here on: a stream that was opened ahead of its command must not hold up a drain.
    const serving = this.#serve(link, { open, caller, signal }).finally(() => this.#serving.delete(serving))
    this.#serving.add(serving)
    await serving
  }

  async #serve(link: FrameLink, { open, caller, signal }: { open: Open; caller: ExecCaller; signal: AbortSignal }): Promise<void> {
    let started = (): void => {}
    try {
      this.#refuseWhenClosed()
      const admitted = await this.#admission.admit(open, caller)
      started = this.#takePlace()
      const live = await this.#start(link, { ...admitted, caller })
      started()
      await this.#run(link, admitted.task, live, signal)
    } catch (thrown) {
      await refuse(link, thrown)
    } finally {
      started()
      await link.end().catch(() => undefined)
    }
  }

  /** Only who may run something takes a place: streams that say nothing, or nothing allowed, must not keep others out. @returns gives it back, once. */
  #takePlace(): () => void {
    this.#refuseWhenClosed()
    if (this.#live.size + this.#starting >= this.on.slots) {
      throw new ErrandError('TOO_BUSY', `all ${this.on.slots} places of this device are taken`, { retryable: true, hint: 'try again in a moment' })
    }
    this.#starting++
    let held = true
    return () => {
      if (held) this.#starting--
      held = false
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new ErrandError('DRAINING', 'this device is stopping and takes no new work', { retryable: true })
  }

  async #readOpen(link: FrameLink): Promise<Open> {
    const timeout = this.on.clock.after(EXEC.openMs, () => link.abort(new Error('no request in time')))
    const first = await link.read().finally(timeout)
    if (first?.tag !== TAG.open) throw new ErrandError('UNSUPPORTED', 'an exec stream begins with an open frame')
    return decodeAs(Open, first.payload.subarray(), EXEC.maxFrameBytes)
  }

  /** The start is durable in the log before anything is spawned; and the right still holds after the wait for the disk. */
  async #start(link: FrameLink, o: Admitted & { readonly caller: ExecCaller }): Promise<Live> {
    const { admission, spec, task, caller, warrant } = o
    const at = this.on.clock.now()
    const command = [spec.exe, ...spec.argv]
    this.#reserve(task, { command, submittedBy: caller.did, createdAt: at })
    const base = { actor: caller.did, task, grant: admission.chain.at(-1)?.cid ?? null }
    const details = { command, from: caller.address, requestedBy: caller.did, policyApplied: admission.chain.map((one) => one.cid).join(' ') }
    let recorded = false
    const prepared = this.on.executor.prepare({ task, spec, warrant, attached: true, spool: SPOOL })
    try {
      await this.on.audit.append({ ...base, action: 'exec.start', result: 'allowed', details: { ...details, startTime: at } })
      recorded = true
      this.#refuseDead(admission)
      const answer = new Answer(link, this.on.clock)
      const way = new OutputWay(link, answer, { task, address: this.on.besideDoor(caller.address) }, this.on)
      const running = await prepared.start(way.sink)
      const live = { admission, command, running, answer, way }
      this.#live.set(task, live)
      if (this.on.revocations.kills(admission.chain) !== undefined) running.stop('revoked')
      this.on.board.note(task, { t: 'started', at: running.startTime })
      return live
    } catch (thrown) {
      prepared.drop()
      const error = asErrand(thrown, 'SPAWN_FAILED')
      this.on.board.note(task, { t: 'ended', at: this.on.clock.now(), to: 'FAILED', why: error.code, exitCode: null })
      if (recorded)
        await this.on.audit.append({
          ...base,
          action: 'exec.end',
          result: 'failed',
          details: { command, why: error.code, reason: error.message, startTime: at },
        })
      throw error
    }
  }

  /** One id, one command: a second one under it would hide behind the first, from `ps`, from drain and from a revocation. */
  #reserve(id: TaskId, facts: { command: readonly string[]; submittedBy: Did; createdAt: number }): void {
    const known = this.on.board.get(id)
    const isOurs = known?.state === 'PENDING' && known.device === this.on.self && known.submittedBy === facts.submittedBy
    if (known !== undefined && !isOurs) throw new ErrandError('TASK_EXISTS', `a task with the id ${id} exists already`)
    this.on.board.open({ id, device: this.on.self, ...facts })
    this.on.board.note(id, { t: 'planned', at: facts.createdAt })
  }

  #refuseDead({ chain }: Admission): void {
    const dead = this.on.revocations.kills(chain)
    if (dead === undefined) return
    const detail = this.on.named(`the grant was revoked by ${dead.revocation.by}`)
    throw denial({ ok: false, code: 'REVOKED', detail, grant: dead.link.cid, expiresAt: dead.link.exp }, this.on.clock.now())
  }

  async #run(link: FrameLink, task: TaskId, live: Live, signal: AbortSignal): Promise<void> {
    const { admission, running, answer, way } = live
    const lost = (): void => running.stop('lost')
    signal.addEventListener('abort', lost, { once: true })
    if (signal.aborted) lost()
    const expired = this.#stopAtExpiry(admission, running)
    try {
      const accepted = { task, startTime: Math.round(running.startTime) }
      if (admission.invocation.args['stdin'] === true) await answer.accepted(accepted).catch(lost)
      else answer.acceptedSoon(accepted, lost)
      void this.#readInput(link, live)
      const ended = await running.ended
      await way.settled()
      await this.#end(task, live, ended)
      await answer.ended(ended)
    } finally {
      answer.close()
      this.#live.delete(task)
      expired()
      signal.removeEventListener('abort', lost)
    }
  }

  /** A right ends when it says, and so does what runs on it. */
  #stopAtExpiry({ expiresAt }: Admission, running: RunningCommand): () => void {
    if (expiresAt === null) return () => {}
    return this.on.clock.after(Math.max(0, expiresAt * 1_000 - this.on.clock.now()), () => running.stop('revoked'))
  }

  async #readInput(link: FrameLink, { running, way }: Live): Promise<void> {
    const input = new Input(link, running)
    try {
      for (let frame = await link.read(); frame !== undefined; frame = await link.read()) {
        const { tag, payload } = frame
        if (tag === TAG.stdin) input.take(payload.subarray())
        else if (tag === TAG.stdinEnd) input.end()
        else if (tag === TAG.cancel) running.stop('cancelled')
        else if (tag === TAG.bulkTake) void way.moved(running)
        else if (tag === TAG.resumeAt) way.resume(decodeAs(At, payload.subarray(), EXEC.maxFrameBytes).offset)
      }
      input.end()
    } catch {
      running.stop('lost')
    }
  }

  async #end(task: TaskId, { admission, command }: Live, ended: Ended): Promise<void> {
    const { iss } = admission.invocation
    const { exitCode, signal, why, startTime, endTime } = ended
    this.on.board.note(task, { t: 'ended', at: endTime, to: endOf(why, exitCode), why, exitCode })
    await this.on.audit.append({
      actor: iss,
      action: 'exec.end',
      result: why === 'exit' && exitCode === 0 ? 'ok' : 'failed',
      task,
      grant: admission.chain.at(-1)?.cid ?? null,
      details: {
        command: [...command],
        why,
        startTime,
        durationMs: endTime - startTime,
        requestedBy: iss,
        ...(exitCode === null ? {} : { exitCode }),
        ...(signal === null ? {} : { signal }),
      },
    })
  }
}

async function tell(link: FrameLink, tag: number, value: unknown): Promise<void> {
  await link.write(tag, encode(value))
}

async function refuse(link: FrameLink, thrown: unknown): Promise<void> {
  try {
    await tell(link, TAG.refused, asErrand(thrown).toWire('device'))
  } catch {
    // The caller is gone; the refusal is in the log.
  }
}
