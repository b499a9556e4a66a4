import { expect, test } from 'vitest'
import { Board } from '../../../src/tasks/board.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'

const id = (n: number): TaskId => `task-${n}` as TaskId
const fresh = (n = 0): Parameters<Board['open']>[0] => ({ id: id(n), device: 'did:key:bob', command: ['make'], submittedBy: 'did:key:alice', createdAt: n })

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
