/** Callers who come for the output of a task that runs or ran on this device: from any offset on, while it runs and long after. */
import { type Attach, type Ended, TAG } from '../../protocols/exec/messages.ts'
import { encode } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import type { FrameLink } from '../base/frames.ts'
import type { TaskBook } from '../tasks/book.ts'
import { isOver, type Task, type TaskId } from '../tasks/machine.ts'
import type { Executor } from '../tasks/ports.ts'
import type { ExecCaller } from './exec-admission.ts'
import { ExecSession, type SessionOn } from './exec-session.ts'
import type { LiveCommand } from './live.ts'
import type { TaskGate } from './task-gate.ts'

export interface AttachmentsOn extends SessionOn {
  readonly executor: Executor
  readonly book: TaskBook
  readonly gate: TaskGate
}

interface Asked {
  readonly asked: Attach
  readonly caller: ExecCaller
  readonly signal: AbortSignal
}

export class Attachments {
  constructor(private readonly on: AttachmentsOn) {}

  /** @throws NO_SUCH_TASK, DENIED */
  async serve(link: FrameLink, { asked, caller, signal }: Asked): Promise<void> {
    const task = await this.on.book.get(asked.task as TaskId)
    if (task === undefined) throw noSuchTask(asked.task)
    const right = await this.on.gate.admit('/task/logs', task, { caller, ...asked })
    if (right === undefined) return await this.#serve(link, { asked, caller, signal, task })
    const lost = new AbortController()
    const whenLost = new Promise<never>((_resolve, reject) => lost.signal.addEventListener('abort', () => reject(lost.signal.reason), { once: true }))
    const release = this.on.live.rests.hold({ right, end: (why) => lost.abort(why) })
    try {
      await Promise.race([this.#serve(link, { asked, caller, task, lost: lost.signal, signal: AbortSignal.any([signal, lost.signal]) }), whenLost])
    } finally {
      release()
    }
  }

  /** Who is let in by a right is there as long as that is: `lost` aborts in the moment in which it is revoked or expires. */
  async #serve(link: FrameLink, { asked, caller, signal, task, lost }: Asked & { readonly task: Task; readonly lost?: AbortSignal }): Promise<void> {
    const live = await this.#live(task.id, signal)
    if (live === undefined) return await this.#replay(link, asked, task.id)
    const session = new ExecSession(link, { caller, signal, task: task.id }, this.on)
    lost?.addEventListener('abort', () => session.expel(), { once: true })
    if (lost?.aborted === true) return session.expel()
    const isSubmitter = task.submittedBy === caller.did
    if (asked.follow) await session.join(live, { from: asked.from, mayWrite: isSubmitter, isItsOwn: isSubmitter && !task.detached })
    else await this.#soFar(link, asked)
  }

  /** A task that is about to start, or waits for its place, is waited for. @returns undefined when it is over. */
  async #live(id: TaskId, signal: AbortSignal): Promise<LiveCommand | undefined> {
    const found = new AbortController()
    const waiting = AbortSignal.any([signal, found.signal])
    const runs = this.on.live.whenLive(id, waiting)
    try {
      return this.on.live.get(id) ?? (await Promise.race([runs, this.#over(id, waiting)]))
    } finally {
      found.abort()
    }
  }

  async #over(id: TaskId, signal: AbortSignal): Promise<undefined> {
    const { book } = this.on
    const { cursor } = book
    const isGone = async (): Promise<boolean> => isOver((await book.get(id))?.state ?? 'FAILED')
    if (await isGone()) return
    for await (const item of book.watch({ cursor, signal })) if ((item.t !== 'changed' || item.task.id === id) && (await isGone())) return
  }

  /** What is there by now of a task that goes on. */
  async #soFar(link: FrameLink, { task, from }: Attach): Promise<void> {
    await link.write(TAG.accepted, encode({ task, startTime: 0 }))
    if (from !== null) await this.#print(link, task, from)
  }

  /** A task that is over: what its spool kept, and how it ended. */
  async #replay(link: FrameLink, { from }: Attach, id: TaskId): Promise<void> {
    const task = await this.on.book.get(id)
    if (task === undefined) throw noSuchTask(id)
    if (!isOver(task.state)) return // this node stops, and the task goes on without it
    await link.write(TAG.accepted, encode({ task: id, startTime: task.startedAt ?? task.createdAt }))
    const reached = from === null ? undefined : await this.#print(link, id, from)
    const printed = task.stdoutBytes + task.stderrBytes
    if (reached !== undefined && reached < printed) await link.write(TAG.at, encode({ offset: printed })) // the rest is not there any more
    await link.write(TAG.ended, encode(endedOf(task)))
  }

  async #print(link: FrameLink, task: string, from: number): Promise<number> {
    let at = from
    for await (const { fd, bytes, offset } of this.on.executor.printed(task, from)) {
      if (offset > at) await link.write(TAG.at, encode({ offset }))
      await link.write(fd === 1 ? TAG.stdout : TAG.stderr, bytes)
      at = offset + bytes.length
    }
    return at
  }
}

function noSuchTask(task: string): ErrandError {
  return new ErrandError('NO_SUCH_TASK', `this device knows no task ${task.slice(0, 64)}`, { hint: 'errand ps --all shows those it knows' })
}

/** How a task ended, in the words of the stream. */
function endedOf(task: Task): Ended {
  const { exitCode, signal, why, message, startedAt, endedAt, createdAt, stdoutBytes, stderrBytes } = task
  const startTime = startedAt ?? createdAt
  const said = message === null ? {} : { message }
  return { exitCode, signal, why: WHYS.has(why) ? (why as Ended['why']) : 'lost', ...said, startTime, endTime: endedAt ?? startTime, stdoutBytes, stderrBytes }
}

const WHYS: ReadonlySet<string> = new Set<Ended['why']>([
  'exit',
  'timeout',
  'cancelled',
  'limit',
  'lost',
  'revoked',
  'not-found',
  'not-executable',
  'spawn-failed',
])
