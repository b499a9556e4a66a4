/** The life of a task: one table of moves, and tasks folded from events. Pure. */
import type { TaskState } from '../../protocols/task/messages.ts'

export type TaskId = string & { readonly __brand: 'TaskId' }

export const NEXT = {
  PENDING: ['PLANNING', 'FAILED', 'CANCELLED'],
  PLANNING: ['RUNNING', 'FAILED', 'CANCELLED'],
  RUNNING: ['WAITING', 'COMPLETED', 'FAILED', 'CANCELLED'],
  WAITING: ['RUNNING', 'FAILED', 'CANCELLED'],
  COMPLETED: [],
  FAILED: [],
  CANCELLED: [],
} as const satisfies Record<TaskState, readonly TaskState[]>

export interface Task {
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

export type TaskEvent =
  | { readonly t: 'planned'; readonly at: number }
  | { readonly t: 'started'; readonly at: number }
  | { readonly t: 'ended'; readonly at: number; readonly to: 'COMPLETED' | 'FAILED' | 'CANCELLED'; readonly why: string; readonly exitCode: number | null }

export function isOver(state: TaskState): boolean {
  return NEXT[state].length === 0
}

const TARGET = { planned: () => 'PLANNING', started: () => 'RUNNING', ended: (event) => (event.t === 'ended' ? event.to : 'FAILED') } as const satisfies Record<
  TaskEvent['t'],
  (event: TaskEvent) => TaskState
>

/** The task after an event. @throws RangeError for a move that the table does not have: a task never comes back from its end. */
export function moved(task: Task, event: TaskEvent): Task {
  const to: TaskState = TARGET[event.t](event)
  const allowed: readonly TaskState[] = NEXT[task.state]
  if (!allowed.includes(to)) throw new RangeError(`task ${task.id}: no way from ${task.state} to ${to}`)
  if (event.t === 'ended') return { ...task, state: to, endedAt: event.at, why: event.why, exitCode: event.exitCode }
  return { ...task, state: to, startedAt: event.t === 'started' ? event.at : task.startedAt }
}

/** How a command's end is filed. */
export function endOf(why: string, exitCode: number | null): 'COMPLETED' | 'FAILED' | 'CANCELLED' {
  if (why === 'cancelled') return 'CANCELLED'
  return why === 'exit' && exitCode === 0 ? 'COMPLETED' : 'FAILED'
}
