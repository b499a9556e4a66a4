/**
 * From an admitted request to a running command: a place, the start in the log and in the task's history (one commit, durable before
 * anything is spawned), then the process. Does not talk to the caller but for its place in the queue.
 */

import type { EntryDetails } from '../../protocols/audit/messages.ts'
import type { Waits } from '../../protocols/exec/messages.ts'
import type { Judged, SpoolBounds } from '../../protocols/host/messages.ts'
import { shapeOf } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import { grantIn } from '../authority/mandate.ts'
import type { Revocations } from '../authority/revocations.ts'
import { sessionIdIn } from '../authority/session.ts'
import type { Admission } from '../authority/verify.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import type { Did } from '../identity/identity.ts'
import type { Carry, TaskBook } from '../tasks/book.ts'
import { type Change, endedByError, type Submitted, type Task, type TaskId } from '../tasks/machine.ts'
import type { Executor, OutputSink, PreparedCommand } from '../tasks/ports.ts'
import type { ApprovalWait } from './approval-wait.ts'
import type { Approvals } from './approvals.ts'
import { type Asked, type Check, deniedBy, passAll, type Refused, type Stopped } from './checks.ts'
import { askedOf, type Request } from './exec-admission.ts'
import { judgedAnew, refusedFact, startOf, taskExists } from './exec-again.ts'
import type { LiveCommand, LiveCommands } from './live.ts'
import type { Mandates } from './mandates.ts'
import type { Leave, Places } from './places.ts'
import { whyDead } from './rests.ts'
import { submissionFor } from './submission.ts'
import { whileWanted } from './while-wanted.ts'

/** A report in the queue may be on the disk so much later. */
const QUEUED_WITHIN_MS = 500

/** Requests that wait for a place, for whoever comes after this daemon. */
export interface WaitingRequests {
  /** Whether the next daemon would go on with it. */
  keeps(request: Request): boolean
  /** Resolves when it is durable; at once for a request that is not kept. */
  keep(request: Request): Promise<void>
  forget(task: TaskId): void
}

export interface StarterOn {
  readonly self: Did
  readonly executor: Pick<Executor, 'prepare'>
  readonly book: TaskBook
  readonly audit: { append(fact: Fact, along?: readonly Op[]): Promise<unknown> }
  readonly revocations: Revocations
  readonly clock: Clock
  /** Puts names in the place of the DIDs in a sentence. */
  readonly named: (text: string, reader: Did) => string
  readonly live: LiveCommands
  /** Asked again at the start: the answer may have changed while the request waited. */
  readonly checks: readonly Check[]
  readonly places: Places
  readonly waiting: WaitingRequests
  readonly approvals: Pick<Approvals, 'lacks' | 'restsOn' | 'forget'>
  readonly approval: Pick<ApprovalWait, 'wait'>
  readonly mandates: Mandates
  /** What a detached command's output may take, and what happens then. */
  readonly spool: SpoolBounds
}

/** Who asked, as far as the start needs it. */
export interface Asker {
  readonly sink: OutputSink
  /** What it sent for the time in which it may be gone. */
  readonly mandate: Uint8Array | undefined
  readonly signal: AbortSignal
  queued(place: number): void
  waits(waits: Omit<Waits, 'task'>): void
}

interface Starting {
  readonly prepared: PreparedCommand
  readonly admission: Admission
  readonly caller: Did
  readonly asker: Asker
  readonly fact: Fact
  /** What was gone by when the start was written down. */
  readonly applied: string
}

export class Starter {
  readonly #starting = new Set<TaskId>()

  constructor(private readonly on: StarterOn) {}

  /** @throws ErrandError TASK_EXISTS, TOO_BUSY, DENIED, what the executor throws; then nothing runs and the task is filed as failed. */
  async begin(request: Request, asker: Asker): Promise<LiveCommand> {
    const submission = this.#submission(request)
    if (this.#starting.has(submission.id)) throw taskExists(submission.id)
    this.#starting.add(submission.id)
    try {
      return await this.#begin(submission, request, asker)
    } finally {
      this.#starting.delete(submission.id)
      this.on.live.forget(submission.id)
      this.on.approvals.forget(submission.id)
    }
  }

  async #begin(submission: Submitted, request: Request, asker: Asker): Promise<LiveCommand> {
    if (request.waits !== undefined) await this.#approval(submission, { request, refused: request.waits }, asker)
    const atOnce = this.on.places.tryTake(request.caller.did)
    const leave = atOnce ?? (await this.#queue(submission, request, asker))
    const hasWaited = request.waits !== undefined || atOnce === undefined || request.isOld === true
    try {
      const live = await this.#start(submission, hasWaited ? await this.#anew(request, asker) : request, asker)
      void live.over.catch(() => undefined).then(leave)
      return live
    } catch (thrown) {
      leave()
      throw thrown
    } finally {
      if (hasWaited) this.on.waiting.forget(submission.id)
    }
  }

  #submission({ admission, caller, about }: Request): Submitted {
    const args = shapeOf(ExecRunArgs, admission.invocation.args)
    return submissionFor(args, about, { device: this.on.self, submittedBy: caller.did, createdAt: this.on.clock.now() })
  }

  async #queue(submission: Submitted, request: Request, asker: Asker): Promise<Leave> {
    return await whileWanted(this.on.live, { request, asker }, async (signal) => {
      await this.on.waiting.keep(request)
      const known = await this.#known(submission)
      await this.#write(submission, this.#inQueue(known, request.caller.did), { known })
      return await this.#wait(request, asker, signal)
    })
  }

  async #approval(submission: Submitted, { request, refused }: { request: Request; refused: Refused }, asker: Asker): Promise<void> {
    const { waiting, approval } = this.on
    const write = async (changes: (known: Task | undefined) => Change[], carry?: Carry): Promise<void> => {
      const known = await this.#known(submission)
      await this.#write(submission, changes(known), { known, ...(carry === undefined ? {} : { carry }) })
    }
    await whileWanted(this.on.live, { request, asker }, async (signal) => {
      await waiting.keep(request)
      try {
        await approval.wait({ submission, request, refused, write, signal, isKept: waiting.keeps(request), tell: (waits) => asker.waits(waits) })
      } catch (thrown) {
        waiting.forget(submission.id)
        throw thrown
      }
    })
  }

  #inQueue(known: Task | undefined, caller: Did): Change[] {
    const at = this.on.clock.now()
    const waiting: Change = { t: 'waiting', at, why: 'queue', place: this.on.places.placeFor(caller) }
    return known?.state === 'WAITING' ? [waiting] : [{ t: 'planned', at }, waiting]
  }

  async #wait(request: Request, asker: Asker, signal: AbortSignal): Promise<Leave> {
    const { book, places, clock } = this.on
    const id = request.task
    const moved = (place: number): void => {
      asker.queued(place)
      void book.note(id, [{ t: 'waiting', at: clock.now(), why: 'queue', place }], { withinMs: QUEUED_WITHIN_MS }).catch(() => undefined)
    }
    try {
      return await places.take({ caller: request.caller.did, moved, signal })
    } catch (thrown) {
      this.on.waiting.forget(id)
      await this.#noteRefused(request, asErrand(thrown))
      throw thrown
    }
  }

  /** @throws DENIED, written down. */
  async #anew(request: Request, asker: Asker): Promise<Request> {
    try {
      return judgedAnew(request, asker, this.on)
    } catch (thrown) {
      await this.#noteRefused(request, asErrand(thrown))
      throw thrown
    }
  }

  async #noteRefused(request: Request, error: ErrandError): Promise<void> {
    const { book, clock, audit } = this.on
    const carry: Carry | undefined = error.code === 'DENIED' ? (ops) => audit.append(refusedFact(request, error), ops) : undefined
    await book.note(request.task, [endedByError(error, clock.now(), 'refused')], carry === undefined ? {} : { carry })
  }

  /** The start is durable in the log before anything is spawned; and the right still holds after the wait for the disk. */
  async #start(submission: Submitted, request: Request, asker: Asker): Promise<LiveCommand> {
    const { admission, spec, task, caller, warrant, about } = request
    const at = this.on.clock.now()
    const { applied, held } = await this.#applied(admission, caller.did)
    const details = {
      ...{ command: submission.command, from: caller.address, requestedBy: caller.did, startTime: at },
      policyApplied: [applied, ...admission.chain.map((one) => one.cid)].filter((one) => one !== '').join(' '),
      ...this.#restsOn(task),
      ...(held === '' ? {} : { sandbox: held }),
    }
    const { chain } = admission
    const fact: Fact = {
      ...{ actor: caller.did, task, session: sessionIdIn(chain), grant: grantIn(chain) },
      ...{ action: 'exec.start', result: 'allowed', details },
    }
    const spool: SpoolBounds = about.detached ? this.on.spool : { ...this.on.spool, policy: 'block' }
    const prepared = this.on.executor.prepare({ task, spec, warrant, attached: !about.detached, spool })
    try {
      // Whether an ended task has this id, the book finds out when it takes the submission down; that is asked of the disk once only.
      const known = this.on.book.lives(submission.id) ? await this.#known(submission) : undefined
      await this.#write(submission, startOf(known, at), { known, carry: (ops) => this.on.audit.append(fact, ops) })
    } catch (thrown) {
      prepared.drop()
      throw thrown
    }
    return await this.#spawn(submission, { prepared, admission, caller: caller.did, asker, fact, applied })
  }

  /** The people whose yes it takes to run, for the log. */
  #restsOn(task: TaskId): Pick<EntryDetails, 'intent' | 'approvedBy'> {
    const rests = this.on.approvals.restsOn(task)
    return rests === undefined ? {} : { intent: rests.intent, approvedBy: rests.approvedBy.join(' ') }
  }

  async #spawn(submission: Submitted, o: Starting): Promise<LiveCommand> {
    try {
      this.#refuseDead(o)
      const judged = await this.#pass(o)
      if (this.on.live.isUnwanted(submission.id)) throw new ErrandError('CANCELLED', 'the task was cancelled before it started')
      return this.on.live.add(submission.id, o.admission, await o.prepared.start(o.asker.sink, judged))
    } catch (thrown) {
      o.prepared.drop()
      const error = asErrand(thrown, 'SPAWN_FAILED')
      const end = endedByError(error, this.on.clock.now(), 'spawn-failed')
      const details = { command: submission.command, why: error.code, reason: error.message, startTime: o.fact.details?.['startTime'] }
      await this.on.book.note(submission.id, [end], {
        carry: (ops) => this.on.audit.append({ ...o.fact, action: 'exec.end', result: 'failed', details }, ops),
      })
      throw thrown
    }
  }

  /** One id, one command: a second one under it would hide behind the first, from `ps`, from drain and from a revocation. */
  async #known(submission: Submitted): Promise<Task | undefined> {
    const known = await this.on.book.get(submission.id)
    if (known === undefined) return undefined
    const isSame = known.submittedBy === submission.submittedBy && known.session === submission.session && known.device === this.on.self
    const isWaiting = known.state === 'PENDING' || known.why === 'queue' || known.why === 'approval'
    const isOurs = isWaiting && isSame
    if (!isOurs) throw taskExists(submission.id, known.state)
    return known
  }

  async #write(submission: Submitted, changes: readonly Change[], { known, ...options }: { known: Task | undefined; carry?: Carry }): Promise<void> {
    const { book } = this.on
    if (known === undefined && (await book.submit(submission, { changes, ...options })).isNew) return
    await this.#known(submission) // what this device asked of itself was just being written down
    await book.note(submission.id, changes, options)
  }

  /** For the record of the start. A no is none yet: it is said, and written down, by the checks after the wait for the disk. */
  async #applied(admission: Admission, caller: Did): Promise<{ readonly applied: string; readonly held: string }> {
    const seen = await passAll(this.on.checks, askedOf(admission, caller), 'start').catch(() => undefined)
    return { applied: seen?.applied ?? '', held: seen?.held ?? '' }
  }

  /** @returns what the executor has to keep to. @throws DENIED, also when what was written down is not what it went by in the end. */
  async #pass({ admission, caller, applied }: Starting): Promise<Judged> {
    const asked = askedOf(admission, caller)
    const seen = await passAll(this.on.checks, asked, 'start')
    if (!seen.ok) this.#refuseLacking(asked, seen)
    const written = applied.split(' ')
    if ((seen.applied ?? '').split(' ').every((one) => one === '' || written.includes(one))) return seen.judged ?? {}
    const why = 'the policy of this device changed while the command was starting'
    throw new ErrandError('DENIED', why, { hint: 'run it again', retryable: true, fields: { reason: 'POLICY_CHANGED' } })
  }

  /** Also for those who waited long. */
  #refuseDead({ admission, caller }: Pick<Starting, 'admission' | 'caller'>): void {
    const why = whyDead(admission, { ...this.on, named: (text) => this.on.named(text, caller) })
    if (why !== undefined) throw why
  }

  /** What waits for a yes passes with enough of them, as far as those who gave them still may. @throws DENIED */
  #refuseLacking(asked: Asked, stopped: Stopped): void {
    const lacking = stopped.waitsFor === undefined ? stopped : this.on.approvals.lacks(asked, stopped)
    if (lacking !== undefined) throw deniedBy({ ...lacking, step: stopped.step })
  }
}
