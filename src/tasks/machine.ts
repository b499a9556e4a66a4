/** The life of a task: one table of moves, and a task folded from its events. Pure; writes nothing and tells nobody. */
import { type Progress, type Submission, TASK, type TASK_WHYS, type TaskEvent, type TaskState, type TaskWhy } from '../../protocols/task/messages.ts'

export type { TaskEvent }
export type TaskId = string & { readonly __brand: 'TaskId' }

/** `PENDING → PLANNING → RUNNING ⇄ WAITING → COMPLETED | FAILED | CANCELLED`; a task also waits while it is planned, and goes back to where it came from. */
export const NEXT = {
  PENDING: ['PLANNING', 'FAILED', 'CANCELLED'],
  PLANNING: ['RUNNING', 'WAITING', 'FAILED', 'CANCELLED'],
  RUNNING: ['WAITING', 'COMPLETED', 'FAILED', 'CANCELLED'],
  WAITING: ['PLANNING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'],
  COMPLETED: [],
  FAILED: [],
  CANCELLED: [],
} as const satisfies Record<TaskState, readonly TaskState[]>

/** States in which an event may happen that moves nothing. A wait may change its reason or its place. */
const STAYS: Readonly<Partial<Record<TaskEvent['t'], readonly TaskState[]>>> = {
  waiting: ['WAITING'],
  progressed: ['RUNNING', 'WAITING'],
  printed: ['RUNNING', 'WAITING'],
  reattached: ['RUNNING', 'WAITING'],
  detached: ['RUNNING', 'WAITING'],
  asked: ['PENDING', 'PLANNING', 'RUNNING', 'WAITING'],
}

/** What a submission says. */
export type Submitted = Omit<Readonly<Submission>, 'id'> & { readonly id: TaskId }

export interface Task extends Submitted {
  readonly state: TaskState
  /** Why it is where it is: one reason code. */
  readonly why: TaskWhy
  /** The code of the error that ended it. */
  readonly code: string | null
  readonly message: string | null
  /** How many stand before it in the queue, and itself. */
  readonly place: number | null
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly exitCode: number | null
  readonly signal: string | null
  readonly progress: Progress | null
  readonly attempts: number
  readonly stdoutBytes: number
  readonly stderrBytes: number
  /** Of its last event. */
  readonly seq: number
  readonly updatedAt: number
}

type Unnumbered<E> = E extends TaskEvent ? Omit<E, 'seq'> : never
/** An event that has not got its place yet. */
export type Change = Unnumbered<Exclude<TaskEvent, { t: 'submitted' }>>

export function isOver(state: TaskState): boolean {
  return NEXT[state].length === 0
}

/** The task after its first event. */
export function submitted(submission: Submitted): Task {
  return {
    ...submission,
    ...{ state: 'PENDING', why: 'submitted', code: null, message: null, place: null, startedAt: null, endedAt: null, exitCode: null, signal: null },
    ...{ progress: null, attempts: 0, stdoutBytes: 0, stderrBytes: 0, seq: 1, updatedAt: submission.createdAt },
  }
}

/**
 * The task after an event.
 * @throws RangeError for a move that the table does not have, and for an event from the past: a task never comes back from its end.
 */
export function moved(task: Task, event: TaskEvent): Task {
  const to = targetOf(task, event)
  if (!mayHappen(task, event.t, to)) throw new RangeError(`task ${task.id}: no ${event.t} from ${task.state} to ${to}`)
  if (event.seq <= task.seq) throw new RangeError(`task ${task.id}: event ${event.seq} after event ${task.seq}`)
  return { ...task, ...effectOf(task, event), state: to, seq: event.seq, updatedAt: event.at }
}

/** Whether a change can happen to a task now. */
export function canHappen(task: Task, change: Change): boolean {
  return mayHappen(task, change.t, targetOf(task, change))
}

/** What only a task that ran can do: complete, and tell of itself. */
const OF_THE_RUN: readonly string[] = ['COMPLETED', 'progressed', 'printed', 'reattached', 'detached']

function mayHappen(task: Task, t: TaskEvent['t'], to: TaskState): boolean {
  if (task.startedAt === null && (OF_THE_RUN.includes(t) || OF_THE_RUN.includes(to))) return false
  if (to === task.state) return STAYS[t]?.includes(to) ?? false
  const allowed: readonly TaskState[] = NEXT[task.state]
  // What waits goes on with `resumed` or is started again; it is not planned a second time.
  return allowed.includes(to) && !(t === 'planned' && task.state !== 'PENDING')
}

function targetOf(task: Task, event: Change | TaskEvent): TaskState {
  switch (event.t) {
    case 'submitted':
      return 'PENDING'
    case 'planned':
      return 'PLANNING'
    case 'started':
      return 'RUNNING'
    case 'waiting':
      return 'WAITING'
    case 'resumed':
      // Back to where it came from; out of anywhere but a wait it is no move that any row has.
      if (task.state !== 'WAITING') return task.state
      return task.startedAt === null ? 'PLANNING' : 'RUNNING'
    case 'ended':
      return event.to
    default:
      return task.state
  }
}

function effectOf(task: Task, event: TaskEvent): Partial<Task> {
  switch (event.t) {
    case 'started':
      return { why: 'started', message: null, place: null, startedAt: task.startedAt ?? event.at, attempts: task.attempts + 1 }
    case 'planned':
    case 'resumed':
      return { why: event.t, message: null, place: null }
    case 'waiting':
      return { why: event.why, message: event.message ?? null, place: event.place ?? null }
    case 'progressed':
      return { progress: event.progress }
    case 'detached':
      return { detached: true }
    case 'printed':
      return { stdoutBytes: event.stdoutBytes, stderrBytes: event.stderrBytes }
    case 'ended':
      return endEffect(task, event)
    default:
      return {}
  }
}

const NEVER_RAN: readonly TaskWhy[] = ['not-found', 'not-executable', 'spawn-failed']

function endEffect(task: Task, event: Extract<TaskEvent, { t: 'ended' }>): Partial<Task> {
  const { why, exitCode, signal, code = null, message = null } = event
  // The start is written down before the process is made: where that failed, nothing ever ran.
  const ran = task.attempts > 1 || !NEVER_RAN.includes(why)
  return {
    ...{ why, code, message, exitCode, signal, place: null, endedAt: event.at, startedAt: ran ? task.startedAt : null },
    ...{ stdoutBytes: event.stdoutBytes ?? task.stdoutBytes, stderrBytes: event.stderrBytes ?? task.stderrBytes },
  }
}

type FailWhy = (typeof TASK_WHYS)['FAILED'][number]
/** How an executor says that a command ended. */
export interface End {
  readonly at: number
  readonly why: FailWhy | 'cancelled'
  readonly exitCode: number | null
  readonly signal: string | null
  readonly code?: string
  readonly message?: string
  readonly stdoutBytes?: number
  readonly stderrBytes?: number
}

/** How a command's end is filed: an exit with 0 is completed, what was asked to end is cancelled, and everything else failed. */
export function endedBy({ why, ...end }: End): Change & { t: 'ended' } {
  if (why === 'cancelled') return { t: 'ended', to: 'CANCELLED', why, ...end }
  if (why === 'exit' && end.exitCode === 0) return { t: 'ended', to: 'COMPLETED', why, ...end }
  return { t: 'ended', to: 'FAILED', why, ...end }
}

const WHY_OF_CODE: Readonly<Record<string, End['why']>> = {
  ...{ DENIED: 'refused', NOT_ADMITTED: 'refused', TASK_EXISTS: 'refused', TOO_BUSY: 'refused', DRAINING: 'refused', UNSUPPORTED: 'refused' },
  ...{ NO_ROUTE: 'unreachable', LINK_CLOSED: 'unreachable', LINK_LOST: 'lost', CANCELLED: 'cancelled' },
  ...{ COMMAND_NOT_FOUND: 'not-found', NOT_EXECUTABLE: 'not-executable' },
  ...{ SPAWN_FAILED: 'spawn-failed', BAD_CWD: 'spawn-failed', BAD_ENV: 'spawn-failed', BAD_USER: 'spawn-failed' },
}

/** How an error is filed that ended a task before it ran, or its submitter's line to it. @param otherwise for errors without a reason of their own. */
export function endedByError(error: { readonly code: string; readonly message: string }, at: number, otherwise: FailWhy = 'error'): Change & { t: 'ended' } {
  const { code, message } = error
  return endedBy({
    at,
    why: WHY_OF_CODE[code] ?? otherwise,
    exitCode: null,
    signal: null,
    code: code.slice(0, 64),
    message: message.slice(0, TASK.maxMessageChars),
  })
}
