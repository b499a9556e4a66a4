import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TaskBook } from '../../../src/tasks/book.ts'
import type { WatchItem } from '../../../src/tasks/changes.ts'
import { isOver, type Task } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { MemoryDisk } from '../store/disks.ts'
import { type BookWorld, bookOn, Watcher } from './book-world.ts'
import { ended, failed, idOf, planned, started, submission, T0 } from './world.ts'

/** What a reader makes of what it reads: the newest version of each task. */
function seen(items: readonly WatchItem[]): Map<string, Task> {
  const tasks = new Map<string, Task>()
  for (const item of items) {
    if (item.t === 'state') for (const task of item.tasks) tasks.set(task.id, task)
    if (item.t === 'changed') tasks.set(item.task.id, item.task)
  }
  return tasks
}
const report = (percent: number) => ({ t: 'progressed', at: T0, progress: { percent } }) as const
const cursorOf = (item: WatchItem | undefined): number => (item === undefined || item.t === 'gap' ? Number.NaN : item.cursor)
async function running(world: BookWorld, n: number): Promise<void> {
  await world.book.submit(submission(n), { changes: [planned(), started()] })
}

test('a watcher gets the state first, then every change in its order', async () => {
  const world = await bookOn(new MemoryDisk())
  await running(world, 1)
  await world.book.submit(submission(2), { changes: [failed()] })
  const watcher = new Watcher(world.book)
  const first = await watcher.next()
  expect(first).toMatchObject({
    t: 'state',
    tasks: [
      { id: idOf(2), state: 'FAILED' },
      { id: idOf(1), state: 'RUNNING' },
    ],
  })
  await world.book.note(idOf(1), [report(1), ended()])
  await running(world, 3)
  const changes = await watcher.read(5)
  expect(changes.map((item) => (item.t === 'changed' ? `${item.task.id.slice(-1)} ${item.event.seq} ${item.event.t} ${item.task.state}` : item.t))).toEqual([
    '1 4 progressed RUNNING',
    '1 5 ended COMPLETED',
    '3 1 submitted PENDING',
    '3 2 planned PLANNING',
    '3 3 started RUNNING',
  ])
  expect(changes.map(cursorOf)).toEqual([1, 2, 3, 4, 5].map((i) => cursorOf(first) + i))
  expect(await watcher.stop()).toBe(true)
})

test('nobody is told of what is not on the disk yet', async () => {
  let sync = (): void => undefined
  let slow = false
  const world = await bookOn(new MemoryDisk(() => (slow ? new Promise((resolve) => (sync = resolve)) : Promise.resolve())))
  await running(world, 1)
  const watcher = new Watcher(world.book)
  await watcher.next()
  slow = true
  let told = false
  const item = watcher.next().then((one) => {
    told = true
    return one
  })
  void world.book.note(idOf(1), [report(1)])
  await settled()
  expect(told).toBe(false)
  sync()
  expect(await item).toMatchObject({ t: 'changed', event: { t: 'progressed' } })
})

test('a watch goes on at its cursor without the state; after a restart it begins with a gap and the state', async () => {
  const world = await bookOn(new MemoryDisk())
  await running(world, 1)
  const before = cursorOf(await new Watcher(world.book).next())
  await world.book.note(idOf(1), [report(1)])
  await world.book.note(idOf(1), [report(2)])
  expect(await new Watcher(world.book, before).read(2)).toMatchObject([{ event: { seq: 4 } }, { event: { seq: 5 } }])

  const again = await bookOn(world.disk.copy())
  expect(again.book.cursor).toBeGreaterThan(world.book.cursor)
  expect(await new Watcher(again.book, world.book.cursor).read(2)).toMatchObject([
    { t: 'gap', from: world.book.cursor, to: again.book.cursor },
    { t: 'state', cursor: again.book.cursor, tasks: [{ seq: 5 }] },
  ])
  for (const nonsense of [-1, 0.5, 2 ** 52]) expect((await new Watcher(again.book, nonsense).read(2)).map(({ t }) => t)).toEqual(['gap', 'state'])
})

test('a reader that stops reading is told what it missed, gets the state anew, and has cost no memory', async () => {
  const world = await bookOn(new MemoryDisk())
  await running(world, 1)
  const slow = new Watcher(world.book)
  const first = await slow.next()
  for (let i = 0; i < 3_000; i++) await world.book.note(idOf(1), [report(i % 100)])
  await world.book.note(idOf(1), [ended()])
  const [gap, state] = await slow.read(2)
  expect(gap).toEqual({ t: 'gap', from: cursorOf(first), to: cursorOf(first) + 3_001 })
  expect(state).toMatchObject({ t: 'state', tasks: [{ state: 'COMPLETED', seq: 3_004 }] })
  await running(world, 2)
  expect(await slow.next()).toMatchObject({ t: 'changed', event: { t: 'submitted' } })
})

test('tasks that weigh much do not stay in memory for slow readers', async () => {
  const world = await bookOn(new MemoryDisk())
  const slow = new Watcher(world.book)
  await slow.next()
  const context = { long: 'x'.repeat(60_000) }
  for (let n = 0; n < 200; n++) await world.book.submit(submission(n, { context }), { changes: [failed()] })
  expect((await slow.next()).t).toBe('gap')
})

test('what ends while the state is read from the disk is in the state', async () => {
  const held: (() => void)[] = []
  let slow = false
  const world = await bookOn(new MemoryDisk(), (store) => ({
    ...store,
    page: async (range) => {
      const page = await store.page(range)
      if (slow) await new Promise<void>((resolve) => held.push(resolve))
      return page
    },
  }))
  await running(world, 1)
  slow = true
  const state = new Watcher(world.book).next()
  await settled()
  await world.book.note(idOf(1), [ended()])
  for (const go of held) go()
  expect(await state).toMatchObject({ t: 'state', cursor: world.book.cursor, tasks: [{ state: 'COMPLETED' }] })
})

test('what ends while a list is read from the disk is in the list, once, as it ended', async () => {
  const held: (() => void)[] = []
  let slow = false
  const world = await bookOn(new MemoryDisk(), (store) => ({
    ...store,
    page: async (range) => {
      const page = await store.page(range)
      if (slow) await new Promise<void>((resolve) => held.push(resolve))
      return page
    },
  }))
  await running(world, 1)
  slow = true
  const list = world.book.list({})
  await settled()
  await world.book.note(idOf(1), [ended()])
  for (const go of held) go()
  expect((await list).tasks).toMatchObject([{ id: idOf(1), state: 'COMPLETED' }])
})

test('closing the book ends every watcher, also one that waits', async () => {
  const world = await bookOn(new MemoryDisk())
  const watcher = new Watcher(world.book)
  await watcher.next()
  const next = watcher.next()
  await world.book.close()
  await expect(next).rejects.toThrow('the watch ended')
})

test('whatever a reader misses, what it holds in the end is how the tasks stand', async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ t: fc.constant('act' as const), n: fc.nat(5) }) },
    { weight: 4, arbitrary: fc.record({ t: fc.constant('read' as const), n: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 1, arbitrary: fc.record({ t: fc.constant('flood' as const), n: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ t: fc.constant('reconnect' as const), n: fc.constant(0) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const world = await bookOn(new MemoryDisk())
      const { book } = world
      const reader = new Reader(book)
      await reader.read(1)
      for (const { t, n } of steps) {
        if (t === 'act') await act(world, n)
        else if (t === 'flood')
          await book
            .note(
              idOf(n),
              Array.from({ length: 1_100 }, (_, i) => report(i % 100)),
            )
            .catch(() => undefined)
        else if (t === 'reconnect') reader.reconnect()
        else await reader.read(n)
      }
      await reader.read(Number.POSITIVE_INFINITY)
      const { items } = reader
      const { tasks } = await book.list()
      expect([...seen(items).values()].sort((a, b) => b.createdAt - a.createdAt)).toEqual(tasks)
      expect(inOrder(items)).toBe(true)
    }),
    { numRuns: 60 },
  )
})

/** Reads as much as it is told to, and what there is. */
class Reader {
  readonly items: WatchItem[] = []
  #watcher: Watcher

  constructor(private readonly book: TaskBook) {
    this.#watcher = new Watcher(book)
  }

  reconnect(): void {
    this.#watcher = new Watcher(this.book, this.#cursor)
  }

  async read(most: number): Promise<void> {
    for (let i = 0; i < most && (this.items.length === 0 || this.#cursor < this.book.cursor); i++) this.items.push(await this.#watcher.next())
  }

  get #cursor(): number {
    return cursorOf(this.items.findLast((item) => item.t !== 'gap'))
  }
}

/** The next thing in the life of a task. */
async function act(world: BookWorld, n: number): Promise<void> {
  const task = await world.book.get(idOf(n))
  if (task === undefined) await world.book.submit(submission(n))
  else if (task.state === 'PENDING') await world.book.note(task.id, [planned()])
  else if (task.state === 'PLANNING') await world.book.note(task.id, [started()])
  else if (!isOver(task.state)) await world.book.note(task.id, [ended()])
}

/** No event twice and none left out, but where a gap says so. */
function inOrder(items: readonly WatchItem[]): boolean {
  let at = Number.NaN
  for (const item of items) {
    if (item.t === 'gap') at = Number.NaN
    else if (item.t === 'changed' && item.cursor !== at + 1) return false
    if (item.t !== 'gap') at = item.cursor
  }
  return true
}
