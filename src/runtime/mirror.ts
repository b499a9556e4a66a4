/** What brings this device's copy of a task to where the device that runs it says it stands. Pure: the moves between are not known, only where they led. */
import { TaskEvent } from '../../protocols/task/messages.ts'
import { encode, sameBytes, shapeOf } from '../../protocols/wire.ts'
import { type Change, isOver, type Task } from '../tasks/machine.ts'

export function mirrored(known: Task, now: Task): Change[] {
  const started: Change[] = known.startedAt === null && now.startedAt !== null ? [{ t: 'started', at: now.startedAt }] : []
  if (isOver(now.state)) return [...started, endOf(now)]
  return [...started, ...waits(known, now), ...goesOn(known, now), ...reports(known, now)]
}

function waits({ state, why, place }: Task, now: Task): Change[] {
  if (now.state !== 'WAITING' || (state === 'WAITING' && why === now.why && place === now.place)) return []
  return [changeOf({ t: 'waiting', at: now.updatedAt, why: now.why, ...saidIn(now), ...(now.place === null ? {} : { place: now.place }) })]
}

function goesOn(known: Task, now: Task): Change[] {
  return known.state === 'WAITING' && known.startedAt !== null && now.state === 'RUNNING' ? [{ t: 'resumed', at: now.updatedAt }] : []
}

function reports(known: Task, { progress, startedAt, updatedAt }: Task): Change[] {
  if (progress === null || startedAt === null || sameBytes(encode(progress), encode(known.progress))) return []
  return [{ t: 'progressed', at: updatedAt, progress }]
}

function endOf(now: Task): Change {
  const { state: to, why, endedAt, exitCode, signal, code, stdoutBytes, stderrBytes, updatedAt } = now
  const end = { t: 'ended', at: endedAt ?? updatedAt, to, why, exitCode, signal, stdoutBytes, stderrBytes }
  return changeOf({ ...end, ...saidIn(now), ...(code === null ? {} : { code }) })
}

function saidIn({ message }: Task): { message?: string } {
  return message === null ? {} : { message }
}

/** @throws BAD_SHAPE for what no task can do, whatever its device says. */
function changeOf(said: object): Change {
  const { seq: _, ...change } = shapeOf(TaskEvent, { ...said, seq: 1 })
  if (change.t === 'submitted') throw new TypeError('a task is submitted once')
  return change
}
