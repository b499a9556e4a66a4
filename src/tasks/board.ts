/** The tasks this device knows of: those it submitted and those it runs. Keeps all that live and the last ended ones. */
import type { TaskState } from '../../protocols/task/messages.ts'
import { isOver, NEXT, type TaskId } from './machine.ts'

interface Task {
  readonly id: TaskId
  readonly state: TaskState
  readonly device: string
  readonly command: readonly string[]
  readonly submittedBy: string
  readonly createdAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly exitCode: number | null
  /** Why it is where it is: one reason code. */
  readonly why: string | null
}

type TaskEvent =
  | { readonly t: 'planned'; readonly at: number }
  | { readonly t: 'started'; readonly at: number }
  | { readonly t: 'ended'; readonly at: number; readonly to: 'COMPLETED' | 'FAILED' | 'CANCELLED'; readonly why: string; readonly exitCode: number | null }

const TARGET = { planned: () => 'PLANNING', started: () => 'RUNNING', ended: (event) => (event.t === 'ended' ? event.to : 'FAILED') } as const satisfies Record<
  TaskEvent['t'],
  (event: TaskEvent) => TaskState
>

/** The task after an event. @throws RangeError for a move that the table does not have: a task never comes back from its end. */
function moved(task: Task, event: TaskEvent): Task {
  const to: TaskState = TARGET[event.t](event)
  const allowed: readonly TaskState[] = NEXT[task.state]
  if (!allowed.includes(to)) throw new RangeError(`task ${task.id}: no way from ${task.state} to ${to}`)
  if (event.t === 'ended') return { ...task, state: to, endedAt: event.at, why: event.why, exitCode: event.exitCode }
  return { ...task, state: to, startedAt: event.t === 'started' ? event.at : task.startedAt }
}

const KEPT_ENDED = 1_000

export class Board {
  readonly #tasks = new Map<TaskId, Task>()
  #total = 0
  #idle: (() => void)[] = []

  /** A task that is submitted twice under one id stays one task. */
  open(task: Omit<Task, 'state' | 'startedAt' | 'endedAt' | 'exitCode' | 'why'>): Task {
    const known = this.#tasks.get(task.id)
    if (known !== undefined) return known
    const fresh: Task = { ...task, state: 'PENDING', startedAt: null, endedAt: null, exitCode: null, why: null }
    this.#tasks.set(task.id, fresh)
    this.#total++
    return fresh
  }

  /** Applies an event; one that comes after the end changes nothing. */
  note(id: TaskId, event: TaskEvent): void {
    const task = this.#tasks.get(id)
    if (task === undefined || isOver(task.state)) return
    const next = moved(task, event)
    this.#tasks.delete(id)
    this.#tasks.set(id, next) // newest move last
    if (!isOver(next.state)) return
    this.#forget()
    if (this.counts().active === 0) for (const tell of this.#idle.splice(0)) tell()
  }

  get(id: TaskId): Task | undefined {
    return this.#tasks.get(id)
  }

  list(): Task[] {
    return [...this.#tasks.values()].sort((a, b) => a.createdAt - b.createdAt)
  }

  counts(): { active: number; total: number } {
    let active = 0
    for (const task of this.#tasks.values()) if (!isOver(task.state)) active++
    return { active, total: this.#total }
  }

  /** Resolves when nothing is active. */
  idle(): Promise<void> {
    if (this.counts().active === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #forget(): void {
    const ended = [...this.#tasks.values()].filter((task) => isOver(task.state))
    for (const task of ended.slice(0, Math.max(0, ended.length - KEPT_ENDED))) this.#tasks.delete(task.id)
  }
}
