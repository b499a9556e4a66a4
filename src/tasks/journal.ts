/**
 * How tasks lie in the store: keys, values and the writes that one change takes. Decides nothing and reads nothing.
 *
 *   t/<id>                   what was submitted; written once
 *   r/<id backwards>         so that the end of an id finds it; written once
 *   l/<id>                   the task has not ended
 *   e/<id>/<seq>             its events from 1 on
 *   z/<id>                   where it stood at its end
 *   o/<C|F|X>/<time>/<id>    those that ended, by how and by when they were submitted
 */
import { Standing, Submission, TASK, TaskEvent, type TaskState } from '../../protocols/task/messages.ts'
import { decodeAs, encode, sameBytes, shapeOf } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import { isOver, type Submitted, type Task, type TaskId } from './machine.ts'

/** A sorted table; a shelf of the store fits. */
export interface TaskStore {
  get(key: string): Promise<Uint8Array | undefined>
  /** The values of these keys in their order, in one go. */
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  /** `gte <= key < lt`, at most `limit`, from the far end with `reverse`. */
  page(range: {
    readonly gte: string
    readonly lt: string
    readonly limit: number
    readonly reverse?: boolean
  }): Promise<readonly (readonly [key: string, value: Uint8Array])[]>
  putOp(key: string, value: Uint8Array): Op
  delOp(key: string): Op
  /** All of it or nothing; resolves after the sync. */
  commit(ops: readonly Op[]): Promise<void>
}

export type OpMaker = Pick<TaskStore, 'putOp' | 'delOp'>

export const ENDS = { COMPLETED: 'C', FAILED: 'F', CANCELLED: 'X' } as const satisfies Partial<Record<TaskState, string>>
const NOTHING = new Uint8Array()
/** Behind every key with a prefix: hexadecimal digits, dashes and slashes come before it. */
export const LAST = '~'

const seqText = (seq: number): string => seq.toString(16).padStart(10, '0')
export const eventKey = (id: TaskId, seq: number): string => `e/${id}/${seqText(seq)}`
export const submissionKey = (id: string): string => `t/${id}`
export const standingKey = (id: TaskId): string => `z/${id}`
export const liveKey = (id: TaskId): string => `l/${id}`
export const backwards = (text: string): string => [...text].reverse().join('')

/** Where a task stands in lists, oldest first. */
export const placeOf = ({ createdAt, id }: Pick<Task, 'createdAt' | 'id'>): string => `${createdAt.toString(16).padStart(14, '0')}/${id}`

/** As it is kept. @throws BAD_SUBMISSION, TOO_LARGE */
export function encodeSubmission(submission: Submitted): Uint8Array {
  const bytes = checked(submission)
  if (bytes.length <= TASK.maxSubmissionBytes) return bytes
  throw new ErrandError('TOO_LARGE', `a task of ${bytes.length} bytes where at most ${TASK.maxSubmissionBytes} are kept`, {
    hint: 'put long input into a file and name the file',
  })
}

function checked(submission: Submitted): Uint8Array {
  try {
    return encode(shapeOf(Submission, submission))
  } catch (cause) {
    throw new ErrandError('BAD_SUBMISSION', `this task cannot be kept: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** What was submitted, out of a task. */
export function submissionOf(task: Submitted): Submitted {
  const said = Object.keys(Submission.entries)
  const { id, device, command, submittedBy, createdAt, detached, ...rest } = task
  return { id, device, command, submittedBy, createdAt, detached, ...Object.fromEntries(Object.entries(rest).filter(([name]) => said.includes(name))) }
}

/** Whether two submissions under one id ask for the same: all but the time, and the grant that the executor adds. */
export function isSameRequest(a: Submitted, b: Submitted): boolean {
  const asked = (one: Submitted): Uint8Array => {
    const { grant: _grant, ...rest } = submissionOf(one)
    return encode({ ...rest, createdAt: 0 })
  }
  return sameBytes(asked(a), asked(b))
}

/** @throws BadBytes */
export function decodeSubmission(bytes: Uint8Array): Submitted {
  return decodeAs(Submission, bytes, TASK.maxSubmissionBytes) as Submitted // not copied: pages of them are read
}

/** @throws BadBytes */
export function decodeEvent(bytes: Uint8Array): TaskEvent {
  return decodeAs(TaskEvent, bytes, TASK.maxEventBytes)
}

/** A task that ended, from its two records. @throws BadBytes */
export function decodeEnded(submission: Uint8Array, standing: Uint8Array): Task {
  return Object.assign(decodeSubmission(submission), decodeAs(Standing, standing, TASK.maxEventBytes)) // a copy of so many fields costs more than all the decoding
}

/** What is written once, when a task is submitted. */
export function submissionOps(make: OpMaker, id: TaskId, bytes: Uint8Array): readonly Op[] {
  return [make.putOp(submissionKey(id), bytes), make.putOp(`r/${backwards(id)}`, NOTHING)]
}

/** What is written for events that led to `after`, or to an end. @throws BadBytes for an event that cannot be kept. */
export function eventOps(make: OpMaker, after: Task, events: readonly TaskEvent[]): readonly Op[] {
  const ops = events.map((event) => make.putOp(eventKey(after.id, event.seq), encode(shapeOf(TaskEvent, event))))
  if (!isOver(after.state)) return events.some(({ seq }) => seq === 1) ? [...ops, make.putOp(liveKey(after.id), NOTHING)] : ops
  return [
    ...ops,
    make.delOp(liveKey(after.id)),
    make.putOp(standingKey(after.id), encode(standingOf(after))),
    make.putOp(`o/${endLetter(after.state)}/${placeOf(after)}`, NOTHING),
  ]
}

function endLetter(state: TaskState): string {
  return state === 'COMPLETED' || state === 'CANCELLED' ? ENDS[state] : ENDS.FAILED
}

function standingOf(task: Task): Standing {
  const { state, why, code, message, place, startedAt, endedAt, exitCode, signal, progress, attempts, stdoutBytes, stderrBytes, seq, updatedAt } = task
  return { state, why, code, message, place, startedAt, endedAt, exitCode, signal, progress, attempts, stdoutBytes, stderrBytes, seq, updatedAt }
}
