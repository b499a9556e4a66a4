import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDisk } from '../../../src/store/disk.ts'
import { Store } from '../../../src/store/level.ts'
import { TaskBook } from '../../../src/tasks/book.ts'
import type { Task, TaskId } from '../../../src/tasks/machine.ts'
import { HandClock, settled } from '../base/hand-clock.ts'
import { ForgetfulDisk, MemoryDisk } from '../store/disks.ts'
import { bookOn, riding } from './book-world.ts'
import { alice, ended, failed, idOf, planned, started, submission, T0 } from './world.ts'

const historyOf = async (book: TaskBook, id: TaskId): Promise<unknown[]> => {
  const found: unknown[] = []
  for await (const item of book.history(id)) found.push(item.t === 'gap' ? `gap ${item.from}-${item.to}` : `${item.seq} ${item.t}`)
  return found
}
const ids = (tasks: readonly Task[]): string[] => tasks.map(({ id }) => id)

test('a task comes back with everything that was said, before and after it ended, and over a restart', async () => {
  const said = submission(1, {
    ...{ detached: true, idempotent: true, description: 'the tests', input: 'in', prompt: 'do it', agent: 'coder', session: 's1', parent: idOf(9) },
    ...{ metadata: { team: 'core' }, context: { files: ['a', 1, { deep: null, half: 0.5 }] }, cwd: '/srv', user: 'ci', env: ['LANG'], timeoutMs: 5 },
  })
  const world = await bookOn(new MemoryDisk())
  await world.book.submit(said, { changes: [planned(), started(T0 + 1)] })
  await world.book.note(said.id, [{ t: 'progressed', at: T0 + 2, progress: { percent: 50, text: 'half', data: { step: 1 } } }])
  expect(await world.book.get(said.id)).toMatchObject({ ...said, state: 'RUNNING', why: 'started', attempts: 1, progress: { percent: 50 }, seq: 4 })
  await world.book.note(said.id, [{ t: 'ended', at: T0 + 9, to: 'FAILED', why: 'exit', exitCode: 3, signal: null, stdoutBytes: 7, stderrBytes: 8 }])
  const over = await world.book.get(said.id)
  expect(over).toMatchObject({ ...said, state: 'FAILED', exitCode: 3, startedAt: T0 + 1, endedAt: T0 + 9, stdoutBytes: 7, stderrBytes: 8, seq: 5 })

  const again = await bookOn(world.disk.copy())
  expect(again.book.live()).toEqual([])
  expect(await again.book.get(said.id)).toEqual(over)
  expect(await historyOf(again.book, said.id)).toEqual(['1 submitted', '2 planned', '3 started', '4 progressed', '5 ended'])
})

test('what lives is there after a restart as it stood, for the builder to reattach or to end', async () => {
  const world = await bookOn(new MemoryDisk())
  await world.book.submit(submission(1), { changes: [planned(), started()] })
  await world.book.submit(submission(2), { changes: [planned(), { t: 'waiting', at: T0, why: 'queue', place: 2 }] })
  await world.book.submit(submission(3), { changes: [failed()] })
  const before = world.book.live()
  const { book } = await bookOn(world.disk.copy())
  expect(book.live()).toEqual(before)
  expect(ids(book.live())).toEqual([idOf(1), idOf(2)])
  expect(book.counts()).toEqual({ active: 2, total: 3 })
})

test('submitting twice under one id is one task; with another request it is refused, also after a restart', async () => {
  const world = await bookOn(new MemoryDisk())
  const first = await world.book.submit(submission(1))
  expect(first.isNew).toBe(true)
  const [one, two] = await Promise.all([world.book.submit(submission(2)), world.book.submit(submission(2))])
  expect([one.isNew, two.isNew]).toEqual([true, false])
  await world.book.note(idOf(1), [failed()])
  for (const { book } of [world, await bookOn(world.disk.copy())]) {
    const same = await book.submit(submission(1, { createdAt: T0 + 99 }))
    expect(same).toMatchObject({ isNew: false, task: { state: 'FAILED', createdAt: T0 + 1 } })
    for (const other of [{ command: ['make', 'all'] }, { input: 'more' }, { detached: true }, { submittedBy: submission().device }])
      await expect(book.submit(submission(1, other))).rejects.toMatchObject({ code: 'TASK_EXISTS' })
    expect(book.counts().total).toBe(2)
  }
})

test('what cannot be kept as it was said is refused, and leaves nothing', async () => {
  const { book, disk } = await bookOn(new MemoryDisk())
  const before = disk.keys('')
  let endless: unknown = 1
  for (let i = 0; i < 100_000; i++) endless = [endless]
  for (const bad of [
    { context: { big: 'x'.repeat(65_536) } },
    { context: { endless } },
    { metadata: { a: 'x'.repeat(1_025) } },
    { description: 'x'.repeat(4_097) },
  ])
    await expect(book.submit(submission(1, bad))).rejects.toMatchObject({ code: 'BAD_SUBMISSION' })
  const words = Array.from({ length: 5 }, () => 'x'.repeat(131_072))
  await expect(book.submit(submission(1, { command: words }))).rejects.toMatchObject({ code: 'TOO_LARGE' })
  expect(disk.keys('')).toEqual(before)
  expect(book.counts()).toEqual({ active: 0, total: 0 })
})

test('a change that belongs to an audit entry is in its batch: one sync for both, and nothing when the entry is refused', async () => {
  const world = await bookOn(new MemoryDisk())
  const { book, disk } = world
  const before = disk.syncs
  await book.submit(submission(1), { changes: [planned(), started()], carry: riding(world, 'exec.start', idOf(1)) })
  await book.note(idOf(1), [ended()], { carry: riding(world, 'exec.end', idOf(1)) })
  expect(disk.syncs).toBe(before + 2)

  world.log.hold('not now')
  await expect(book.submit(submission(2), { carry: riding(world, 'task.submit', idOf(2)) })).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  expect(await book.get(idOf(2))).toBeUndefined()
  expect(book.counts()).toEqual({ active: 0, total: 1 })
})

test('a change that may wait rides along with the next one, and goes alone when none comes', async () => {
  const world = await bookOn(new MemoryDisk())
  const { book, disk, clock } = world
  await book.submit(submission(1))
  const before = disk.syncs
  void book.note(idOf(1), [planned()], { withinMs: 20 })
  void book.note(idOf(1), [started()], { withinMs: 20 })
  await settled()
  expect([disk.syncs - before, book.live()[0]?.state]).toEqual([0, 'PENDING'])
  await book.note(idOf(1), [ended()], { carry: riding(world, 'exec.end', idOf(1)) })
  expect(disk.syncs - before).toBe(1)
  expect(await historyOf(book, idOf(1))).toEqual(['1 submitted', '2 planned', '3 started', '4 ended'])

  await book.submit(submission(2))
  const late = book.note(idOf(2), [planned()], { withinMs: 20 })
  clock.advance(19)
  await settled()
  expect(book.live()[0]?.state).toBe('PENDING')
  clock.advance(1)
  expect(await late).toMatchObject({ state: 'PLANNING' })
})

test('whoever looks sees what was done before, also what was allowed to wait', async () => {
  const { book } = await bookOn(new MemoryDisk())
  await book.submit(submission(1))
  void book.note(idOf(1), [planned()], { withinMs: 20 })
  expect((await book.list()).tasks).toMatchObject([{ state: 'PLANNING' }])
  void book.note(idOf(1), [failed()], { withinMs: 20 })
  expect(await book.get(idOf(1))).toMatchObject({ state: 'FAILED' })
})

test('of reports that wait only the newest is written, and a history keeps the newest of each kind and says what is gone', async () => {
  const { book, disk } = await bookOn(new MemoryDisk())
  await book.submit(submission(1), { changes: [planned(), started()] })
  const before = disk.syncs
  const reports = Array.from({ length: 50 }, (_, i) => book.note(idOf(1), [{ t: 'progressed', at: T0, progress: { percent: i } }], { withinMs: 500 }))
  await book.flush()
  expect((await Promise.all(reports)).every((task) => task?.progress?.percent === 49)).toBe(true)
  expect(disk.syncs - before).toBe(1)
  for (let i = 0; i < 200; i++) await book.note(idOf(1), [{ t: 'printed', at: T0, stdoutBytes: i, stderrBytes: 0 }])
  const again = await bookOn(disk.copy())
  for (const one of [book, again.book]) {
    const history = await historyOf(one, idOf(1))
    expect(history.slice(0, 6)).toEqual(['1 submitted', '2 planned', '3 started', '4 progressed', 'gap 5-76', '77 printed'])
    expect(history).toHaveLength(133)
    expect(await one.get(idOf(1))).toMatchObject({ progress: { percent: 49 }, stdoutBytes: 199 })
  }
  for (let i = 0; i < 200; i++) await again.book.note(idOf(1), [{ t: 'printed', at: T0, stdoutBytes: i, stderrBytes: 0 }])
  expect(again.disk.keys('s/tasks/e/')).toHaveLength(132)
})

test('what comes after the end changes nothing, what the table does not have is refused, and the entry is written all the same', async () => {
  const world = await bookOn(new MemoryDisk())
  const { book } = world
  await book.submit(submission(1))
  await expect(book.note(idOf(1), [ended()])).rejects.toThrow(RangeError)
  await book.note(idOf(1), [failed()])
  expect(await book.note(idOf(1), [started()], { carry: riding(world, 'exec.start', idOf(1)) })).toBeUndefined()
  expect(await book.note(idOf(7), [started()], { carry: riding(world, 'exec.start', idOf(7)) })).toBeUndefined()
  expect(world.log.head()?.n).toBe(2)
  expect(await book.get(idOf(1))).toMatchObject({ state: 'FAILED', startedAt: null, seq: 2 })
  expect(await book.get(idOf(7))).toBeUndefined()
})

test('the book is idle exactly when nothing in it is active', async () => {
  const { book } = await bookOn(new MemoryDisk())
  await book.idle()
  const submitting = book.submit(submission(1))
  let idle = false
  const waiting = book.idle().then(() => (idle = true))
  await submitting
  await book.note(idOf(1), [planned(), started()])
  await settled()
  expect([idle, book.counts()]).toEqual([false, { active: 1, total: 1 }])
  await book.note(idOf(1), [ended()])
  await waiting
  await book.submit(submission(2), { changes: [failed()] })
  await book.idle()
  expect(book.counts()).toEqual({ active: 0, total: 2 })
})

test('an end that the disk refuses does not keep the device from stopping; the next start finds the task alive', async () => {
  const { book, disk } = await bookOn(new MemoryDisk())
  await book.submit(submission(1), { changes: [planned(), started()] })
  disk.breakDown(new Error('no space'))
  await expect(book.note(idOf(1), [ended()])).rejects.toMatchObject({ code: 'DB_UNAVAILABLE' })
  await book.idle()
  disk.breakDown(undefined)
  disk.powerCut()
  expect((await bookOn(disk)).book.live()).toMatchObject([{ state: 'RUNNING' }])
})

test('lists come newest first, by state, in pages that follow each other without loss or repeat', async () => {
  const world = await bookOn(new MemoryDisk())
  for (let n = 0; n < 60; n++) {
    await world.book.submit(submission(n), { changes: [planned(), started()] })
    if (n % 3 === 0) await world.book.note(idOf(n), [ended()])
    if (n % 3 === 1) await world.book.note(idOf(n), [failed()])
  }
  const newestFirst = Array.from({ length: 60 }, (_, i) => idOf(59 - i))
  for (const { book } of [world, await bookOn(world.disk.copy())]) {
    expect(ids((await book.list({ limit: 60 })).tasks)).toEqual(newestFirst)
    const walked: string[] = []
    for (let page = await book.list({ limit: 7 }); ; page = await book.list({ limit: 7, before: page.next ?? '' })) {
      walked.push(...ids(page.tasks))
      if (page.next === null) break
    }
    expect(walked).toEqual(newestFirst)
    expect(ids((await book.list({ states: ['FAILED'], limit: 3 })).tasks)).toEqual([58, 55, 52].map(idOf))
    expect(ids((await book.list({ states: ['RUNNING', 'COMPLETED'] })).tasks)).toEqual(newestFirst.filter((_, i) => (59 - i) % 3 !== 1))
    await expect(book.list({ before: 'x' })).rejects.toMatchObject({ code: 'BAD_CURSOR' })
  }
})

test('a task is found by its id, by the beginning or the end of it, when that names one', async () => {
  const { book } = await bookOn(new MemoryDisk())
  const [one, two] = ['019aa3c1-0000-7000-8000-0000000abcde', '019aa3c2-0000-7000-8000-0000001abcde'] as TaskId[]
  if (one === undefined || two === undefined) throw new Error('two ids')
  await book.submit(submission(1, { id: one }))
  await book.submit(submission(2, { id: two }))
  expect(await book.resolve(one.toUpperCase())).toBe(one)
  expect(await book.resolve('019aa3c1')).toBe(one)
  expect(await book.resolve('1abcde')).toBe(two)
  await expect(book.resolve('019aa3')).rejects.toMatchObject({ code: 'AMBIGUOUS_TASK', fields: { candidates: [one, two] } })
  await expect(book.resolve('abcde')).rejects.toMatchObject({ code: 'BAD_TASK' })
  await expect(book.resolve('../../x')).rejects.toMatchObject({ code: 'BAD_TASK' })
  await expect(book.resolve('ffffff')).rejects.toMatchObject({ code: 'NO_SUCH_TASK' })
  await expect(book.resolve(idOf(5))).rejects.toMatchObject({ code: 'NO_SUCH_TASK' })
})

test('a damaged record is said to be damaged and hides no other', async () => {
  const world = await bookOn(new MemoryDisk())
  await world.book.submit(submission(1), { changes: [failed()] })
  await world.book.submit(submission(2), { changes: [failed()] })
  await world.book.submit(submission(3), { changes: [planned(), started()] })
  await world.book.submit(submission(4), { changes: [planned(), started()] })
  const disk = world.disk.copy()
  disk.tamper(`s/tasks/z/${idOf(1)}`, Uint8Array.of(1, 2, 3))
  disk.tamper(`s/tasks/e/${idOf(3)}/0000000003`, undefined)
  disk.tamper(`s/tasks/e/${idOf(3)}/0000000002`, Uint8Array.of(0xa0))
  const { book } = await bookOn(disk)
  expect(ids(book.live())).toEqual([idOf(4)])
  expect(book.damaged).toEqual([idOf(3)])
  expect(await book.list()).toMatchObject({ tasks: [{ id: idOf(4) }, { id: idOf(2) }], damaged: [idOf(1)] })
  for (const n of [1, 3]) {
    await expect(book.get(idOf(n))).rejects.toMatchObject({ code: 'TASK_DAMAGED' })
    await expect(book.submit(submission(n))).rejects.toMatchObject({ code: 'TASK_DAMAGED' })
  }
})

test('who may not yet be told is not told: a change under way is in no list', async () => {
  let sync = (): void => undefined
  let slow = false
  const { book } = await bookOn(new MemoryDisk(() => (slow ? new Promise((resolve) => (sync = resolve)) : Promise.resolve())))
  await book.submit(submission(1))
  slow = true
  const noted = book.note(idOf(1), [{ t: 'asked', at: T0, what: 'cancel', by: alice }, failed()])
  await settled()
  expect(await book.get(idOf(1))).toMatchObject({ state: 'PENDING' })
  expect((await book.list()).tasks).toMatchObject([{ state: 'PENDING' }])
  sync()
  await noted
  expect((await book.list()).tasks).toMatchObject([{ state: 'FAILED' }])
})

test('on a real database a power cut takes only what was not acknowledged', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'errand-book-'))
  const openBook = async (disk: ForgetfulDisk): Promise<TaskBook> =>
    await TaskBook.open({ store: (await Store.on(disk, dir)).shelf('tasks'), clock: new HandClock() })
  try {
    const disk = new ForgetfulDisk(await openDisk(dir))
    const book = await openBook(disk)
    await book.submit(submission(1), { changes: [planned(), started()] })
    await book.submit(submission(2), { changes: [failed()] })
    disk.cutBeforeSync = true
    void book.note(idOf(1), [ended()])
    await settled()
    await disk.close()

    const after = new ForgetfulDisk(await openDisk(dir))
    const again = await openBook(after)
    expect((await again.list()).tasks).toMatchObject([
      { id: idOf(2), state: 'FAILED' },
      { id: idOf(1), state: 'RUNNING', seq: 3 },
    ])
    await after.close()
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
