/** The commands that run on this device: what each rests on, what may end it, and that its end is written down before anybody hears of it. */
import type { Ended } from '../../protocols/exec/messages.ts'
import type { SpoolBounds } from '../../protocols/host/messages.ts'
import { shapeOf } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import { askerOf, grantIn } from '../authority/mandate.ts'
import type { Revocations, RevocationView } from '../authority/revocations.ts'
import { sessionIdIn } from '../authority/session.ts'
import type { Admission } from '../authority/verify.ts'
import type { Clock } from '../base/clock.ts'
import type { Op } from '../base/op.ts'
import type { TaskBook } from '../tasks/book.ts'
import { type Change, endedBy, type TaskId } from '../tasks/machine.ts'
import type { RunningCommand } from '../tasks/ports.ts'
import { Attendance } from './attendance.ts'
import { Rests } from './rests.ts'

/** How much later a report may be on the disk than it came. */
const PROGRESS_WITHIN_MS = 1_000

export interface LiveOn {
  readonly revocations: Revocations
  readonly audit: { append(fact: Fact, along?: readonly Op[]): Promise<unknown> }
  readonly book: TaskBook
  readonly clock: Clock
}

/** What a command rests on: enough to end it when that dies. */
export type Resting = Pick<Admission, 'invocation' | 'chain' | 'expiresAt'>

export interface LiveCommand {
  readonly task: TaskId
  /** Another one from the moment in which its caller leaves it to itself. */
  resting: Resting
  readonly running: RunningCommand
  /** Who waits for it, as long as an attached command needs somebody to. */
  readonly attendance: Attendance
  /** Resolves when its end is durable. */
  readonly over: Promise<Ended>
}

export class LiveCommands {
  /** What rests on a right and is no running command. */
  readonly rests: Rests
  readonly #live = new Map<string, LiveCommand>()
  readonly #expiries = new Map<string, () => void>()
  /** Tasks that stand in the queue, and how they are taken out of it. */
  readonly #queued = new Map<string, () => void>()
  /** Tasks that somebody wants to end, also before they run. */
  readonly #unwanted = new Set<string>()
  readonly #awaited = new Map<string, Set<(live: LiveCommand) => void>>()

  constructor(private readonly on: LiveOn) {
    this.rests = new Rests(on)
  }

  get size(): number {
    return this.#live.size
  }

  get(task: string): LiveCommand | undefined {
    return this.#live.get(task)
  }

  /** From now on revocation, expiry and the end of the command are looked after. */
  add(task: TaskId, resting: Resting, running: RunningCommand): LiveCommand {
    const attendance = new Attendance({ clock: this.on.clock, end: () => running.stop('lost') })
    const over = running.ended.then(async (ended) => {
      try {
        await this.writeEnd(task, live.resting, ended)
      } finally {
        this.#expiries.get(task)?.()
        this.#expiries.delete(task)
        attendance.over()
        this.#live.delete(task)
      }
      return ended
    })
    over.catch(() => undefined) // whoever waits for it hears of it
    const live: LiveCommand = { task, resting, running, attendance, over }
    this.#live.set(task, live)
    this.#stopAtExpiry(live)
    if (this.on.revocations.kills(resting.chain) !== undefined) running.stop('revoked')
    if (this.#unwanted.has(task)) running.stop('cancelled')
    for (const tell of this.#awaited.get(task) ?? []) tell(live)
    return live
  }

  /** Resolves when the task runs here; never when it does not come to that. */
  whenLive(task: TaskId, signal: AbortSignal): Promise<LiveCommand> {
    return new Promise((resolve) => {
      const tellers = this.#awaited.get(task) ?? new Set()
      this.#awaited.set(task, tellers.add(resolve))
      const forget = (): void => {
        tellers.delete(resolve)
        if (tellers.size === 0) this.#awaited.delete(task)
      }
      signal.addEventListener('abort', forget, { once: true })
    })
  }

  /** For a task that still waits for its place. The returned function says that it does so no more. */
  whenCancelled(task: TaskId, cancel: () => void): () => void {
    this.#queued.set(task, cancel)
    return () => this.#queued.delete(task)
  }

  /** Ends what runs, takes what waits out of the queue, and ends what is about to start as soon as it has. */
  cancel(task: TaskId): void {
    this.#unwanted.add(task)
    this.#queued.get(task)?.()
    this.#live.get(task)?.running.stop('cancelled')
  }

  isUnwanted(task: TaskId): boolean {
    return this.#unwanted.has(task)
  }

  /** It is over: nobody needs to end it any more. */
  forget(task: TaskId): void {
    this.#unwanted.delete(task)
  }

  progressed(task: TaskId, change: Change): void {
    void this.on.book.note(task, [change], { withinMs: PROGRESS_WITHIN_MS }).catch(() => undefined)
  }

  stopAll(why: Parameters<RunningCommand['stop']>[0], which: (task: TaskId) => boolean = () => true): void {
    for (const { task, running } of this.#live.values()) if (which(task)) running.stop(why)
  }

  all(): readonly LiveCommand[] {
    return [...this.#live.values()]
  }

  /** Ends everything that rests on a chain which is dead by now: what runs, what waits in the queue, and who follows. @returns the tasks among it. */
  stopRevoked(): string[] {
    return [...this.stopWhere((resting) => this.on.revocations.kills(resting.chain) !== undefined), ...this.rests.endDead()]
  }

  /** Ends the commands whose right does not hold any more. @returns their tasks. */
  stopWhere(isOver: (resting: Resting) => boolean): string[] {
    const dead = this.all().filter(({ resting }) => isOver(resting))
    for (const { running } of dead) running.stop('revoked')
    return dead.map(({ task }) => task)
  }

  /** The tasks that would end if these revocations counted. */
  killedBy(view: RevocationView): TaskId[] {
    const dead = this.all().filter(({ resting }) => view.kills(resting.chain) !== undefined)
    return [...dead.map(({ task }) => task), ...this.rests.tasksKilledBy(view)]
  }

  /** The end in the log and in the task's history, in one commit. */
  async writeEnd(task: TaskId, resting: Resting, ended: Ended): Promise<void> {
    const { exitCode, signal, why, startTime, endTime } = ended
    const iss = askerOf(resting)
    const { args } = resting.invocation
    const { exe, argv } = shapeOf(ExecRunArgs, args)
    const fact: Fact = {
      actor: iss,
      action: 'exec.end',
      result: why === 'exit' && exitCode === 0 ? 'ok' : 'failed',
      task,
      session: sessionIdIn(resting.chain),
      grant: grantIn(resting.chain),
      details: {
        command: [exe, ...argv],
        why,
        startTime,
        durationMs: endTime - startTime,
        requestedBy: iss,
        ...(exitCode === null ? {} : { exitCode }),
        ...(signal === null ? {} : { signal }),
      },
    }
    try {
      await this.on.book.note(task, [endOf(ended)], { carry: (ops) => this.on.audit.append(fact, ops) })
    } catch (thrown) {
      await this.on.book.note(task, [endOf(ended)]).catch(() => undefined) // a log that takes nothing must not keep the task alive
      throw thrown
    }
  }

  /** Nobody waits for it any more, and it rests on something else. */
  detach(live: LiveCommand, resting: Resting, policy: SpoolBounds['policy']): void {
    live.resting = resting
    this.#stopAtExpiry(live)
    if (this.on.revocations.kills(resting.chain) !== undefined) live.running.stop('revoked')
    live.running.detach(policy)
    live.attendance.over()
  }

  /** A right ends when it says, and so does what runs on it. */
  #stopAtExpiry({ task, resting: { expiresAt }, running }: LiveCommand): void {
    this.#expiries.get(task)?.()
    if (expiresAt === null) return
    this.#expiries.set(
      task,
      this.on.clock.after(Math.max(0, expiresAt * 1_000 - this.on.clock.now()), () => running.stop('revoked')),
    )
  }
}

/** How a command's end is filed: of what its executor says, the words that a task has. */
export function endOf({ exitCode, signal, why, message, endTime, stdoutBytes, stderrBytes }: Ended): Change {
  return endedBy({ at: endTime, why, exitCode, signal, stdoutBytes, stderrBytes, ...(message === undefined ? {} : { message }) })
}
