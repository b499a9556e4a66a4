/** Answers for the tasks of this device: how they stand, and cancel, pause, resume. For local and remote callers alike, behind the gate. */
import type { Answer, Ask, Question } from '../../protocols/call/messages.ts'
import type { Fact } from '../audit/facts.ts'
import { type Clock, pause } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import type { HistoryItem, TaskBook } from '../tasks/book.ts'
import { type Change, isOver, type Task, type TaskId } from '../tasks/machine.ts'
import type { ExecCaller } from './exec-admission.ts'
import type { LiveCommands } from './live.ts'
import type { TaskGate } from './task-gate.ts'

/** A cancel is through when the ladder is: 5 s to SIGKILL, 2 s for what the kernel holds. */
const CANCEL_MS = 8_000
const MAX_EVENTS = 10_000

export interface StewardOn {
  readonly book: TaskBook
  readonly gate: TaskGate
  readonly live: LiveCommands
  readonly audit: { append(fact: Fact, along?: readonly Op[]): Promise<unknown> }
  readonly clock: Clock
}

export class TaskSteward {
  constructor(private readonly on: StewardOn) {}

  /** @throws NO_SUCH_TASK, TASK_OVER, DENIED */
  async answer(ask: Ask, caller: ExecCaller): Promise<Answer> {
    const { book, gate } = this.on
    if (ask.task === '') {
      await gate.admit('/task/read', undefined, { caller, ...ask })
      return { tasks: [...(await book.list({ limit: 1_000 })).tasks] }
    }
    const task = await book.get(ask.task as TaskId)
    if (task === undefined) throw new ErrandError('NO_SUCH_TASK', `this device knows no task ${ask.task}`, { hint: 'errand ps --all shows those it knows' })
    await gate.admit(ask.question, task, { caller, ...ask })
    const now = ask.question === '/task/read' ? task : await this.#steer(ask.question, task, caller)
    return { tasks: [now], ...(ask.events === true ? { events: await this.#events(task.id) } : {}) }
  }

  async #events(id: TaskId): Promise<HistoryItem[]> {
    const events: HistoryItem[] = []
    for await (const event of this.on.book.history(id)) {
      if (events.push(event) >= MAX_EVENTS) break
    }
    return events
  }

  async #steer(question: Exclude<Question, '/task/read'>, task: Task, caller: ExecCaller): Promise<Task> {
    if (isOver(task.state)) throw new ErrandError('TASK_OVER', `task ${task.id} is ${task.state} already`, { fields: { state: task.state } })
    const what = WHAT[question]
    const asked: Change = { t: 'asked', at: this.on.clock.now(), what, by: caller.did }
    const fact: Fact = { actor: caller.did, action: `task.${what}`, result: 'ok', subject: task.device, task: task.id }
    await this.on.book.note(task.id, [asked], { carry: (ops) => this.on.audit.append(fact, ops) })
    if (what === 'cancel') await this.#cancel(task.id)
    else await this.#hold(task.id, what)
    return (await this.on.book.get(task.id)) ?? task
  }

  async #cancel(id: TaskId): Promise<void> {
    const over = this.on.live.get(id)?.over
    this.on.live.cancel(id)
    await Promise.race([over ?? this.on.clock, pause(this.on.clock, over === undefined ? 0 : CANCEL_MS)])
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
