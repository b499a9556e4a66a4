import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { TASK_STATES } from '../../../protocols/task/messages.ts'
import { Board } from '../../../src/tasks/board.ts'
import { endOf, isOver, moved, NEXT, type Task, type TaskEvent, type TaskId } from '../../../src/tasks/machine.ts'

const id = (n: number): TaskId => `task-${n}` as TaskId
const fresh = (n = 0): Task => ({
  ...{ id: id(n), state: 'PENDING', device: 'did:key:bob', command: ['make'], submittedBy: 'did:key:alice', createdAt: n },
  ...{ startedAt: null, endedAt: null, exitCode: null, why: null },
})
const event: fc.Arbitrary<TaskEvent> = fc.oneof(
  fc.record({ t: fc.constant('planned' as const), at: fc.nat() }),
  fc.record({ t: fc.constant('started' as const), at: fc.nat() }),
  fc.record({
    t: fc.constant('ended' as const),
    at: fc.nat(),
    to: fc.constantFrom('COMPLETED', 'FAILED', 'CANCELLED'),
    why: fc.string(),
    exitCode: fc.option(fc.nat(255)),
  }),
)

test('every state has its row, the three ends lead nowhere, and every state can be ended by failing or cancelling', () => {
  expect(Object.keys(NEXT)).toEqual([...TASK_STATES])
  expect(TASK_STATES.filter(isOver)).toEqual(['COMPLETED', 'FAILED', 'CANCELLED'])
  for (const state of TASK_STATES.filter((one) => !isOver(one))) expect(NEXT[state]).toEqual(expect.arrayContaining(['FAILED', 'CANCELLED']))
})

test('a task moves only as the table says, and never comes back from its end', async () => {
  await fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), (events) => {
      let task = fresh()
      for (const one of events) {
        const before = task
        const allowed: readonly string[] = NEXT[before.state]
        try {
          task = moved(before, one)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(RangeError)
          continue
        }
        expect(allowed).toContain(task.state)
        expect(isOver(before.state)).toBe(false)
        expect(task.endedAt === null).toBe(!isOver(task.state))
      }
    }),
  )
})

test.each([
  ['exit', 0, 'COMPLETED'],
  ['exit', 1, 'FAILED'],
  ['exit', null, 'FAILED'],
  ['cancelled', null, 'CANCELLED'],
  ['timeout', null, 'FAILED'],
  ['revoked', 0, 'FAILED'],
  ['lost', null, 'FAILED'],
] as const)('a command that ended by %s with %s is %s', (why, exitCode, state) => expect(endOf(why, exitCode)).toBe(state))

test('a board is idle exactly when nothing on it is active', async () => {
  const board = new Board()
  await board.idle()
  board.open(fresh(1))
  let idle = false
  const waiting = board.idle().then(() => (idle = true))
  board.note(id(1), { t: 'planned', at: 1 })
  board.note(id(1), { t: 'started', at: 2 })
  await Promise.resolve()
  expect([idle, board.counts()]).toEqual([false, { active: 1, total: 1 }])
  board.note(id(1), { t: 'ended', at: 3, to: 'COMPLETED', why: 'exit', exitCode: 0 })
  await waiting
  expect(board.counts()).toEqual({ active: 0, total: 1 })
})

test('what comes after the end changes nothing, and news of unknown tasks is dropped', () => {
  const board = new Board()
  board.open(fresh(1))
  const ended = { t: 'ended', at: 3, to: 'CANCELLED', why: 'cancelled', exitCode: null } as const
  board.note(id(1), ended)
  board.note(id(1), { t: 'started', at: 4 })
  board.note(id(1), { ...ended, to: 'FAILED' })
  board.note(id(2), ended)
  expect(board.list()).toMatchObject([{ state: 'CANCELLED', startedAt: null }])
})

test('opening a task again is the same task', () => {
  const board = new Board()
  board.open(fresh(1))
  board.note(id(1), { t: 'planned', at: 1 })
  expect(board.open(fresh(1)).state).toBe('PLANNING')
  expect(board.counts().total).toBe(1)
})

test('the board forgets the oldest ended tasks beyond a thousand, and never a live one', () => {
  const board = new Board()
  board.open(fresh(0))
  for (let n = 1; n <= 1_200; n++) {
    board.open(fresh(n))
    board.note(id(n), { t: 'ended', at: n, to: 'FAILED', why: 'NO_ROUTE', exitCode: null })
  }
  expect(board.list()).toHaveLength(1_001)
  expect(board.list()[0]).toMatchObject({ id: id(0), state: 'PENDING' })
  expect(board.list()[1]?.id).toBe(id(201))
  expect(board.counts()).toEqual({ active: 1, total: 1_201 })
})
