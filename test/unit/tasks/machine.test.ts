import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { WHY } from '../../../protocols/exec/messages.ts'
import { TASK_STATES, TASK_WHYS, TaskEvent, type TaskState } from '../../../protocols/task/messages.ts'
import { encode, shapeOf } from '../../../protocols/wire.ts'
import { canHappen, endedBy, endedByError, isOver, moved, NEXT, submitted, type Task } from '../../../src/tasks/machine.ts'
import { change, KINDS, numbered, planned, started, submission, T0 } from './world.ts'

/** The whole table once more, written by hand: where each kind of change leads from each place, `-` for nowhere. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  //                 planned     started    waiting    resumed     progressed printed    reattached detached   asked       COMPLETED    FAILED    CANCELLED
  PENDING: ['PLANNING', '-', '-', '-', '-', '-', '-', '-', 'PENDING', '-', 'FAILED', 'CANCELLED'],
  PLANNING: ['-', 'RUNNING', 'WAITING', '-', '-', '-', '-', '-', 'PLANNING', '-', 'FAILED', 'CANCELLED'],
  'WAITING to be planned': ['-', 'RUNNING', 'WAITING', 'PLANNING', '-', '-', '-', '-', 'WAITING', '-', 'FAILED', 'CANCELLED'],
  RUNNING: ['-', '-', 'WAITING', '-', 'RUNNING', 'RUNNING', 'RUNNING', 'RUNNING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'],
  'WAITING to go on': ['-', 'RUNNING', 'WAITING', 'RUNNING', 'WAITING', 'WAITING', 'WAITING', 'WAITING', 'WAITING', 'COMPLETED', 'FAILED', 'CANCELLED'],
  COMPLETED: Array(12).fill('-'),
  FAILED: Array(12).fill('-'),
  CANCELLED: Array(12).fill('-'),
}
const walk = (kinds: readonly number[]): Task =>
  kinds.reduce((task, kind) => moved(task, numbered(KINDS[kind] ?? planned(), task.seq + 1)), submitted(submission()))
const AT: Readonly<Record<string, Task>> = {
  PENDING: walk([]),
  PLANNING: walk([0]),
  'WAITING to be planned': walk([0, 2]),
  RUNNING: walk([0, 1]),
  'WAITING to go on': walk([0, 1, 2]),
  COMPLETED: walk([0, 1, 9]),
  FAILED: walk([10]),
  CANCELLED: walk([11]),
}
const CASES = Object.entries(TABLE).flatMap(([from, row]) => row.map((to, kind) => ({ from, to, kind, t: KINDS[kind]?.t ?? '' })))

test.each(CASES)('$from, $t: $to', ({ from, to, kind }) => {
  const [task, one] = [AT[from] ?? walk([]), KINDS[kind] ?? planned()]
  const event = numbered(one, task.seq + 1)
  expect(canHappen(task, one)).toBe(to !== '-')
  if (to === '-') expect(() => moved(task, event)).toThrow(RangeError)
  else expect(moved(task, event)).toMatchObject({ state: to, seq: task.seq + 1 })
})

test('the arrows of the table are those that some change goes along, and no others', () => {
  for (const state of TASK_STATES) {
    const rows = Object.entries(TABLE).filter(([from]) => from.split(' ')[0] === state)
    const led = new Set(rows.flatMap(([, row]) => row).filter((to) => to !== '-' && to !== state))
    expect([state, ...[...NEXT[state]].sort()]).toEqual([state, ...[...led].sort()])
  }
})

test('every state has its row, the three ends lead nowhere, and every other can fail or be cancelled', () => {
  expect(Object.keys(NEXT)).toEqual([...TASK_STATES])
  expect(TASK_STATES.filter(isOver)).toEqual(['COMPLETED', 'FAILED', 'CANCELLED'])
  for (const state of TASK_STATES.filter((one) => !isOver(one))) expect(NEXT[state]).toEqual(expect.arrayContaining(['FAILED', 'CANCELLED']))
})

test('whatever happens, a task moves as the table says, has a reason of its state, and stays at its end', async () => {
  await fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      let task = submitted(submission())
      for (const one of changes) {
        const before = task
        const event = shapeOf(TaskEvent, numbered(one, before.seq + 1))
        if (!canHappen(before, one)) {
          expect(() => moved(before, event)).toThrow(RangeError)
          continue
        }
        task = moved(before, event)
        const row: readonly TaskState[] = NEXT[before.state]
        expect([...row, before.state]).toContain(task.state)
        expect(isOver(before.state)).toBe(false)
        expect(task.endedAt === null).toBe(!isOver(task.state))
        expect(TASK_WHYS[task.state]).toContain(task.why)
        expect(task.attempts === 0 || task.state !== 'PLANNING').toBe(true)
        expect(task.place === null || task.state === 'WAITING').toBe(true)
      }
    }),
    { numRuns: 500 },
  )
})

test('an event from the past is refused: folding twice is no fold', () => {
  const task = walk([0, 1])
  expect(() => moved(task, numbered({ t: 'reattached', at: T0 }, task.seq))).toThrow(RangeError)
})

test('a second start is a second attempt of the same task; when it first began stays', () => {
  let task = walk([0, 1])
  task = moved(task, { t: 'waiting', why: 'retry', at: T0 + 5, seq: 4 })
  task = moved(task, { ...started(T0 + 9), seq: 5 })
  expect(task).toMatchObject({ state: 'RUNNING', attempts: 2, startedAt: T0 })
})

test('what could not be made never ran: its start, which is written down before, is taken back', () => {
  const error = { code: 'COMMAND_NOT_FOUND', message: 'no such command' }
  expect(moved(walk([0, 1]), { ...endedByError(error, T0 + 1), seq: 4 })).toMatchObject({ state: 'FAILED', why: 'not-found', startedAt: null, endedAt: T0 + 1 })
})

test.each([
  ['exit', 0, 'COMPLETED'],
  ['exit', 1, 'FAILED'],
  ['exit', null, 'FAILED'],
  ['cancelled', null, 'CANCELLED'],
  ['timeout', null, 'FAILED'],
  ['revoked', 0, 'FAILED'],
  ['lost', null, 'FAILED'],
] as const)('a command that ended by %s with %s is %s', (why, exitCode, state) =>
  expect(endedBy({ at: T0, why, exitCode, signal: null })).toMatchObject({ to: state, why }),
)

test.each([
  ['DENIED', 'refused'],
  ['NO_ROUTE', 'unreachable'],
  ['LINK_LOST', 'lost'],
  ['LINK_CLOSED', 'unreachable'],
  ['BAD_CWD', 'spawn-failed'],
  ['SOMETHING_NEW', 'error'],
])('a task that ended by the error %s failed because it was %s', (code, why) => {
  expect(endedByError({ code, message: 'x'.repeat(9_999) }, T0)).toMatchObject({ to: 'FAILED', why, code, message: 'x'.repeat(1_024) })
})

test('a task that was cancelled before it ran is cancelled, not failed', () => {
  expect(endedByError({ code: 'CANCELLED', message: '' }, T0, 'refused')).toMatchObject({ to: 'CANCELLED', why: 'cancelled' })
})

test('every reason that an executor can give is one of a task', () => {
  const known: readonly string[] = [...TASK_WHYS.FAILED, ...TASK_WHYS.CANCELLED]
  expect(WHY.filter((why) => !known.includes(why))).toEqual([])
})

test('an event that says too much is no event', () => {
  const event = numbered(started(), 2)
  expect(shapeOf(TaskEvent, event)).toEqual(event)
  expect(() => shapeOf(TaskEvent, { ...event, pid: 1 })).toThrow()
  expect(() => shapeOf(TaskEvent, { t: 'ended', seq: 2, at: T0, to: 'COMPLETED', why: 'lost', exitCode: 0, signal: null })).toThrow()
  expect(encode(event).length).toBeLessThan(64)
})
