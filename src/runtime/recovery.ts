/**
 * What a daemon finds when it comes up: tasks that should live. Those that still run in an exec-host are taken over; those that ended
 * meanwhile get their end; of those that nobody can tell about it is said that they are lost. Those that only waited for a place, or for an approval, wait on. Never counted as a success, never run again.
 */
import type { Ended } from '../../protocols/exec/messages.ts'
import { progressOf } from '../../protocols/task/progress.ts'
import type { Fact } from '../audit/facts.ts'
import { expiryOf } from '../authority/chain.ts'
import { decodeDelegation, parseInvocation } from '../authority/token.ts'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import { asDid, type Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { TaskBook } from '../tasks/book.ts'
import type { Change, Task, TaskId } from '../tasks/machine.ts'
import type { Executor, OutputSink, RunningCommand } from '../tasks/ports.ts'
import type { ExecDoor } from './exec-door.ts'
import type { LiveCommands, Resting } from './live.ts'
import type { Places } from './places.ts'
import type { Submitter } from './submit.ts'

/** What the executor knows of a task from before. */
interface Left {
  readonly ended: Ended | null
  readonly startTime: number
  readonly invocation: Uint8Array
  readonly proofs: readonly Uint8Array[]
}

export interface RecoveryOn {
  readonly self: Did
  readonly executor: Pick<Executor, 'follow'> & { left(task: string): Left | undefined }
  readonly book: TaskBook
  readonly live: LiveCommands
  readonly places: Pick<Places, 'seize'>
  readonly door: Pick<ExecDoor, 'requeue'>
  readonly submitter: Pick<Submitter, 'watchEnd'>
  readonly directory: Pick<Directory, 'nameOf'>
  readonly audit: { append(fact: Fact, along?: readonly Op[]): Promise<unknown> }
  readonly clock: Clock
}

const RECORD_MS = 2_000
const LOOK_MS = 20

export class Recovery {
  constructor(private readonly on: RecoveryOn) {}

  /** @param running tasks that an exec-host of an earlier daemon still runs. Resolves when each task that lived is looked after. */
  async recover(running: readonly { readonly task: string }[]): Promise<void> {
    const found = new Set(running.map(({ task }) => task))
    const stoodInQueue = (task: Task): boolean => (task.why === 'queue' || task.why === 'approval') && task.device === this.on.self && !found.has(task.id)
    const looked = await Promise.allSettled(
      this.on.book.live().map(async (task) => {
        if (task.children !== undefined) return // its desk follows what it is made of
        if (task.device !== this.on.self) this.#await(task)
        else if (!stoodInQueue(task) && (!found.has(task.id) || !(await this.#takeOver(task)))) await this.#bury(task)
      }),
    )
    const queue = this.on.book.live().filter(stoodInQueue)
    for (const task of queue.sort((a, b) => a.createdAt - b.createdAt)) await this.#requeue(task) // in their order, behind those that run
    const known = new Set<string>(this.on.book.live().map(({ id }) => id))
    for (const task of found) if (!known.has(task)) await this.#stopUnknown(task)
    const failed = looked.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  #await({ id, device }: Task): void {
    this.on.submitter.watchEnd({ task: id, device: device as Did, name: this.on.directory.nameOf(device) ?? device })
  }

  /** @returns false when it is over by now. */
  async #takeOver(task: Task): Promise<boolean> {
    const { executor, live, book, clock } = this.on
    const left = await this.#leftOf(task.id, (one) => one !== undefined)
    if (left === undefined) {
      await this.#stopUnknown(task.id) // nobody knows what it rests on
      return false
    }
    const command = await executor.follow(task.id, null, this.#sink(task.id)).catch(() => undefined)
    if (command === undefined) {
      await this.#leftOf(task.id, (one) => one?.ended !== null)
      return false
    }
    const leave = this.on.places.seize(task.submittedBy)
    const { over, attendance } = live.add(task.id, restingOf(left), command)
    if (!task.detached) attendance.expect(task.submittedBy === this.on.self ? 'left' : 'away') // who asked here went down with the daemon
    void over.catch(() => undefined).then(leave)
    await book.note(task.id, [{ t: 'reattached', at: clock.now() }])
    if (task.why === 'paused' && task.message === SUSPENDED) await this.#resume(task.id, command)
    return true
  }

  /** Its output goes into the spool; what it reports, into its history. */
  #sink(task: TaskId): OutputSink {
    const { live, clock } = this.on
    const report = (line: Uint8Array): void => {
      const progress = progressOf(Buffer.from(line).toString())
      if (progress !== undefined) live.progressed(task, { t: 'progressed', at: clock.now(), progress })
    }
    return { output: () => undefined, progress: report }
  }

  /** It never began, and begins in its turn, if the right still holds. */
  async #requeue(task: Task): Promise<void> {
    const went = 'its device went down before it started'
    try {
      const hasEnv = (task.env ?? []).length > 0
      if (!(await this.on.door.requeue(task.id, this.#sink(task.id))))
        await this.#bury(task, hasEnv ? `${went}, and values of its environment are not kept` : went)
    } catch (thrown) {
      await this.#bury(task, `${went}, and by now it may not: ${asErrand(thrown).message}`)
    }
  }

  /** The host writes a task down a moment after it began and a moment after it ended. */
  async #leftOf(task: string, isWhatIsMeant: (left: Left | undefined) => boolean): Promise<Left | undefined> {
    for (let waited = 0; waited < RECORD_MS && !isWhatIsMeant(this.on.executor.left(task)); waited += LOOK_MS) await pause(this.on.clock, LOOK_MS)
    return this.on.executor.left(task)
  }

  async #resume(id: TaskId, command: RunningCommand): Promise<void> {
    command.resume()
    await this.on.book.note(id, [{ t: 'resumed', at: this.on.clock.now() }])
  }

  /** It ended while nobody looked, or it is gone. */
  async #bury(task: Task, why?: string): Promise<void> {
    const { executor, live, clock } = this.on
    const left = executor.left(task.id)
    const at = clock.now()
    const gone: Ended = {
      ...{
        exitCode: null,
        signal: null,
        why: 'lost',
        message: why ?? (task.startedAt === null ? 'its device went down before it started' : 'its device or its exec-host went down'),
        startTime: left?.startTime ?? task.startedAt ?? at,
        endTime: at,
      },
      ...{ stdoutBytes: 0, stderrBytes: 0 },
    }
    if (left !== undefined && task.startedAt !== null) return await live.writeEnd(task.id, restingOf(left), left.ended ?? gone)
    const end: Change = { t: 'ended', at, to: 'FAILED', why: 'lost', exitCode: null, signal: null, message: gone.message ?? '' }
    const details = { command: task.command, why: 'lost', reason: gone.message ?? '', ...(task.startedAt === null ? {} : { startTime: task.startedAt }) }
    const action = task.startedAt === null ? 'task.failed' : 'exec.end'
    const fact: Fact = { actor: asDid(task.submittedBy), action, result: 'failed', task: task.id, grant: null, details }
    await this.on.book.note(task.id, [end], { carry: (ops) => this.on.audit.append(fact, ops) })
  }

  async #stopUnknown(task: string): Promise<void> {
    const command = await this.on.executor.follow(task, null).catch(() => undefined)
    command?.stop('lost')
  }
}

/** Why a task is paused when its node was stopped with `deployment.shutdown: suspend`. */
export const SUSPENDED = 'suspended while the node is down'

function restingOf({ invocation, proofs }: Left): Resting {
  const chain = proofs.map((proof) => decodeDelegation(proof))
  return { invocation: parseInvocation(invocation).invocation, chain, expiresAt: expiryOf(chain) }
}
