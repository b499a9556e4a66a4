/** Answers for the tasks of this device: how they stand, and cancel, pause, resume. For local and remote callers alike, behind the gate. */
import { type Answer, type Ask, CALL, type TaskQuestion } from '../../protocols/call/messages.ts'
import { TASK } from '../../protocols/task/messages.ts'
import type { Fact } from '../audit/facts.ts'
import { type Clock, pause } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import type { Did } from '../identity/identity.ts'
import type { HistoryItem, TaskBook } from '../tasks/book.ts'
import { type Change, isOver, type Task, type TaskId } from '../tasks/machine.ts'
import type { ExecCaller } from './exec-admission.ts'
import { fitting } from './fitting.ts'
import type { LiveCommands } from './live.ts'
import type { TaskGate } from './task-gate.ts'

/** A cancel is through when the ladder is: 5 s to SIGKILL, 2 s for what the kernel holds. */
const CANCEL_MS = 8_000
const MAX_EVENTS = 10_000
const MAX_TASKS = 1_000

/** A question about tasks. */
export type TaskAsk = Ask & { readonly question: TaskQuestion }

export interface StewardOn {
  readonly self: Did
  readonly book: TaskBook
  readonly gate: TaskGate
  readonly live: LiveCommands
  readonly audit: { append(fact: Fact, along?: readonly Op[]): Promise<unknown> }
  readonly clock: Clock
}

export class TaskSteward {
  constructor(private readonly on: StewardOn) {}

  /** @throws NO_SUCH_TASK, TASK_OVER, DENIED */
  async answer(ask: TaskAsk, caller: ExecCaller): Promise<Answer> {
    const { book, gate } = this.on
    if (ask.task === '') {
      await gate.admit('/task/read', undefined, { caller, ...ask })
      return { tasks: fitting((await book.list({ limit: MAX_TASKS })).tasks, CALL.maxFrameBytes) }
    }
    const task = await book.get(ask.task as TaskId)
    if (task === undefined) throw new ErrandError('NO_SUCH_TASK', `this device knows no task ${ask.task}`, { hint: 'errand ps --all shows those it knows' })
    await gate.admit(ask.question, task, { caller, ...ask })
    if (ask.question !== '/task/read' && task.device !== this.on.self) {
      throw new ErrandError('NO_SUCH_TASK', `task ${task.id} does not run on this device`, {
        hint: 'ask the device that runs it',
        fields: { device: task.device },
      })
    }
    const now = ask.question === '/task/read' ? task : await this.#steer(ask.question, task, caller)
    return { tasks: [now], ...(ask.events === true ? { events: await this.#events(task.id) } : {}) }
  }

  async #events(id: TaskId): Promise<HistoryItem[]> {
    const events: HistoryItem[] = []
    for await (const event of this.on.book.history(id)) {
      if (events.push(event) >= MAX_EVENTS) break
    }
    return fitting(events, CALL.maxFrameBytes - TASK.maxSubmissionBytes)
  }

  async #steer(question: Exclude<TaskQuestion, '/task/read'>, task: Task, caller: ExecCaller): Promise<Task> {
    if (isOver(task.state))
      throw new ErrandError('TASK_OVER', `task ${task.id} is ${task.state} already`, {
        hint: `what it printed: errand logs ${task.id}`,
        fields: { state: task.state },
      })
    const what = WHAT[question]
    const asked: Change = { t: 'asked', at: this.on.clock.now(), what, by: caller.did }
    const fact: Fact = { actor: caller.did, action: `task.${what}`, result: 'ok', subject: task.device, task: task.id, session: task.session ?? null }
    await this.on.book.note(task.id, [asked], { carry: (ops) => this.on.audit.append(fact, ops) })
    if (what === 'cancel') await this.#cancel(task.id)
    else await this.#hold(task.id, what)
    return (await this.on.book.get(task.id)) ?? task
  }

  /** Resolves when it has ended, after the ladder at the latest. */
  async #cancel(id: TaskId): Promise<void> {
    const { live, clock } = this.on
    const enough = new AbortController()
    const over = this.#over(id, enough.signal)
    live.cancel(id)
    const isEnded = await Promise.race([over, pause(clock, CANCEL_MS, enough.signal).then(() => false)])
    enough.abort()
    if (isEnded) live.forget(id)
  }

  async #over(id: TaskId, signal: AbortSignal): Promise<boolean> {
    const { book } = this.on
    const isEnded = async (): Promise<boolean> => isOver((await book.get(id))?.state ?? 'FAILED')
    const { cursor } = book
    if (await isEnded()) return true
    for await (const item of book.watch({ cursor, signal })) if ((item.t !== 'changed' || item.task.id === id) && (await isEnded())) return true
    return false
  }

  async #hold(id: TaskId, what: 'pause' | 'resume'): Promise<void> {
    const live = this.on.live.get(id)
    const task = await this.on.book.get(id)
    if (live === undefined || task === undefined) throw new ErrandError('TASK_OVER', `task ${id} does not run`, { hint: 'only what runs can be paused' })
    const at = this.on.clock.now()
    if (what === 'pause' && task.state === 'RUNNING') {
      live.running.pause()
      await this.on.book.note(id, [{ t: 'waiting', at, why: 'paused' }])
    }
    if (what === 'resume' && task.why === 'paused') {
      live.running.resume()
      await this.on.book.note(id, [{ t: 'resumed', at }])
    }
  }
}

const WHAT = { '/task/cancel': 'cancel', '/task/pause': 'pause', '/task/resume': 'resume' } as const
