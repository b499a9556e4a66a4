/** The commands that run on this device: what each rests on, what may end it, and that its end is written down before anybody hears of it. */
import type { Ended } from '../../protocols/exec/messages.ts'
import { shapeOf } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import type { Revocations } from '../authority/revocations.ts'
import type { Admission } from '../authority/verify.ts'
import type { Clock } from '../base/clock.ts'
import type { Op } from '../base/op.ts'
import type { TaskBook } from '../tasks/book.ts'
import type { Change, TaskId } from '../tasks/machine.ts'
import type { RunningCommand } from '../tasks/ports.ts'

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
  readonly resting: Resting
  readonly running: RunningCommand
  /** Resolves when its end is durable. */
  readonly over: Promise<Ended>
}

export class LiveCommands {
  readonly #live = new Map<string, LiveCommand>()
  /** Tasks that stand in the queue, and how they are taken out of it. */
  readonly #queued = new Map<string, () => void>()

  constructor(private readonly on: LiveOn) {}

  get size(): number {
    return this.#live.size
  }

  get(task: string): LiveCommand | undefined {
    return this.#live.get(task)
  }

  /** From now on revocation, expiry and the end of the command are looked after. */
  add(task: TaskId, resting: Resting, running: RunningCommand): LiveCommand {
    const expired = this.#stopAtExpiry(resting, running)
    const over = running.ended.then(async (ended) => {
      try {
        await this.writeEnd(task, resting, ended)
      } finally {
        expired()
        this.#live.delete(task)
      }
      return ended
    })
    over.catch(() => undefined) // whoever waits for it hears of it
    const live = { task, resting, running, over }
    this.#live.set(task, live)
    if (this.on.revocations.kills(resting.chain) !== undefined) running.stop('revoked')
    return live
  }

  /** For a task that still waits for its place. The returned function says that it does so no more. */
  whenCancelled(task: TaskId, cancel: () => void): () => void {
    this.#queued.set(task, cancel)
    return () => this.#queued.delete(task)
  }

  /** @returns false when nothing of this task runs or waits here. */
  cancel(task: TaskId): boolean {
    const queued = this.#queued.get(task)
    queued?.()
    const live = this.#live.get(task)
    live?.running.stop('cancelled')
    return queued !== undefined || live !== undefined
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

  /** Ends every command that rests on a chain which is dead by now. @returns their tasks. */
  stopRevoked(): string[] {
    const dead = this.all().filter(({ resting }) => this.on.revocations.kills(resting.chain) !== undefined)
    for (const { running } of dead) running.stop('revoked')
    return dead.map(({ task }) => task)
  }

  /** The end in the log and in the task's history, in one commit. */
  async writeEnd(task: TaskId, resting: Resting, ended: Ended): Promise<void> {
    const { exitCode, signal, why, startTime, endTime } = ended
    const { iss, args } = resting.invocation
    const { exe, argv } = shapeOf(ExecRunArgs, args)
    const fact: Fact = {
      actor: iss,
      action: 'exec.end',
      result: why === 'exit' && exitCode === 0 ? 'ok' : 'failed',
      task,
      grant: resting.chain.at(-1)?.cid ?? null,
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
    await this.on.book.note(task, [endChange(ended)], { carry: (ops) => this.on.audit.append(fact, ops) })
  }

  /** A right ends when it says, and so does what runs on it. */
  #stopAtExpiry({ expiresAt }: Resting, running: RunningCommand): () => void {
    if (expiresAt === null) return () => {}
    return this.on.clock.after(Math.max(0, expiresAt * 1_000 - this.on.clock.now()), () => running.stop('revoked'))
  }
}

/** How a command's end is filed. */
export function endChange({ exitCode, signal, why, message, endTime, stdoutBytes, stderrBytes }: Ended): Change {
  const facts = { t: 'ended', at: endTime, exitCode, signal, stdoutBytes, stderrBytes, ...(message === undefined ? {} : { message }) } as const
  if (why === 'cancelled') return { ...facts, to: 'CANCELLED', why }
  if (why === 'exit' && exitCode === 0) return { ...facts, to: 'COMPLETED', why }
  return { ...facts, to: 'FAILED', why }
}
