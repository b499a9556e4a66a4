/**
 * A crash at every write of the journal, with what was not synced gone: what was acknowledged or told is still there, and nothing is there by half.
 * And the same judge over planted bugs, each of which it has to catch.
 */
import { expect, test } from 'vitest'
import { query } from '../../../src/audit/query.ts'
import type { Op } from '../../../src/base/op.ts'
import type { Store } from '../../../src/store/level.ts'
import type { TaskBook } from '../../../src/tasks/book.ts'
import type { TaskStore } from '../../../src/tasks/journal.ts'
import { isOver, type Task, type TaskId } from '../../../src/tasks/machine.ts'
import { type BookWorld, bookOn, identity, MESH, RecordingDisk, riding } from './book-world.ts'
import { ended, failed, idOf, planned, started, submission, T0 } from './world.ts'

/** The same numbers for the same seed. */
function dice(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 3_266_489_917) | 0
    return ((state ^ (state >>> 13)) >>> 0) % below
  }
}

interface Story {
  readonly world: BookWorld
  readonly disk: RecordingDisk
  /** What somebody was given or told, and how many batches were on the disk then. */
  readonly known: { readonly task: Task; readonly batches: number }[]
  /** Every task as it stood after each of its events. */
  readonly stood: Map<TaskId, Task[]>
}

type Bug = {
  readonly store?: (store: TaskStore, disk: RecordingDisk) => TaskStore
  readonly carry?: (world: BookWorld, action: string, id: TaskId) => (ops: readonly Op[]) => Promise<unknown>
}

async function live(seed: number, bug: Bug): Promise<Story> {
  const roll = dice(seed)
  const disk = new RecordingDisk(async () => {
    for (let turns = roll(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
  })
  const world = await bookOn(disk, (store) => bug.store?.(store, disk) ?? store)
  const story: Story = { world, disk, known: [], stood: new Map() }
  const watching = watch(story)
  await Promise.all(Array.from({ length: 6 }, (_, n) => oneTask(story, idOf(seed * 10 + n), { roll, n, bug })))
  await world.book.close()
  await watching
  return story
}

async function watch({ world, disk, known, stood }: Story): Promise<void> {
  for await (const item of world.book.watch({ signal: new AbortController().signal })) {
    if (item.t === 'gap') throw new Error('nobody was slow')
    const tasks = item.t === 'state' ? item.tasks : [item.task]
    for (const task of tasks) {
      known.push({ task, batches: disk.batches.length })
      stood.set(task.id, [...(stood.get(task.id) ?? []), task])
    }
  }
}

async function oneTask({ world, disk, known }: Story, id: TaskId, o: { roll: (n: number) => number; n: number; bug: Bug }): Promise<void> {
  const { book } = world
  for (let turns = o.roll(12); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
  const carry = (action: string): ((ops: readonly Op[]) => Promise<unknown>) => o.bug.carry?.(world, action, id) ?? riding(world, action, id)
  const keep = (task: Task | undefined): void => void (task !== undefined && known.push({ task, batches: disk.batches.length }))
  keep((await book.submit(submission(o.n, { id }), { carry: carry('task.submit') })).task)
  if (o.roll(6) === 0) return keep(await book.note(id, [failed()]))
  void book.note(id, [planned()], { withinMs: 10 }).then(keep)
  keep(await book.note(id, [started()], { carry: carry('exec.start') }))
  for (let more = o.roll(5); more > 0; more--) {
    if (o.roll(2) === 0) keep(await book.note(id, [{ t: 'progressed', at: T0, progress: { percent: o.roll(100) } }]))
    else
      keep(
        await book.note(id, [
          { t: 'waiting', at: T0, why: 'paused' },
          { t: 'resumed', at: T0 },
        ]),
      )
  }
  if (o.roll(3) > 0) keep(await book.note(id, [ended(T0, o.roll(2))], { carry: carry('exec.end') }))
}

/** Everything that is wrong after a crash behind the first `batches` writes. */
async function judge(story: Story, batches: number): Promise<string[]> {
  const { book, store } = await bookOn(story.disk.after(batches))
  const listed = await book.list({ limit: 1_000 })
  const wrong = [...book.damaged, ...listed.damaged].map((id) => `${id} is damaged`)
  if (new Set(listed.tasks.map(({ id }) => id)).size !== book.counts().total)
    wrong.push(`${listed.tasks.length} tasks are listed, ${book.counts().total} counted`)
  wrong.push(...lost(story, batches, listed.tasks))
  for (const task of listed.tasks) wrong.push(...standing(story, book, task), ...(await telling(book, store, task)))
  return wrong
}

/** What was given or told before the crash must be there. */
function lost({ known }: Story, batches: number, found: readonly Task[]): string[] {
  const seqs = new Map(found.map(({ id, seq }) => [id, seq]))
  return known.filter((one) => one.batches <= batches && (seqs.get(one.task.id) ?? 0) < one.task.seq).map(({ task }) => `${task.id} lost event ${task.seq}`)
}

/** A task stands as it once stood, not in between; it lives, or it ended. */
function standing({ stood }: Story, book: TaskBook, task: Task): string[] {
  const then = stood.get(task.id)?.find(({ seq }) => seq === task.seq)
  const wrong = JSON.stringify(then) === JSON.stringify(task) ? [] : [`${task.id} stands as it never stood`]
  if (book.live().some(({ id }) => id === task.id) === isOver(task.state)) wrong.push(`${task.id} is ${task.state}, and both alive and dead`)
  return wrong
}

/** Its history has no hole, its ids lead to it, and the log says the same. */
async function telling(book: TaskBook, store: Store, { id, seq, why }: Task): Promise<string[]> {
  const facts: string[] = []
  for await (const item of book.history(id)) facts.push(item.t === 'gap' || item.seq !== facts.length + 1 ? 'hole' : item.t)
  const wrong = facts.includes('hole') || facts.length !== seq ? [`${id} has ${facts.join(', ')} for ${seq} events`] : []
  if ((await book.resolve(id)) !== id || (await book.resolve(id.slice(-12))) !== id) wrong.push(`${id} is not found`)
  const said: string[] = []
  for await (const one of query({ store: store.logs, mesh: MESH }, { device: identity.did, task: id })) if (one.t === 'record') said.push(one.record.action)
  if (why === 'unreachable') return wrong // ended without an entry
  const pairs = [
    ['task.submit', 'submitted'],
    ['exec.start', 'started'],
    ['exec.end', 'ended'],
  ] as const
  return [...wrong, ...pairs.filter(([action, t]) => said.includes(action) !== facts.includes(t)).map(([action, t]) => `${id}: ${action} and ${t} are apart`)]
}

async function judgeAll(seeds: readonly number[], bug: Bug = {}): Promise<{ wrong: string[]; crashes: number }> {
  const wrong: string[] = []
  let crashes = 0
  for (const seed of seeds) {
    const story = await live(seed, bug)
    for (let batches = 2; batches <= story.disk.batches.length; batches++, crashes++)
      wrong.push(...(await judge(story, batches)).map((words) => `seed ${seed}, ${batches} batches: ${words}`))
  }
  return { wrong, crashes }
}

const SEEDS = Array.from({ length: 24 }, (_, i) => i + 1)

test('after a crash at any write every acknowledged change is there and none by half', async () => {
  const { wrong, crashes } = await judgeAll(SEEDS)
  expect(wrong).toEqual([])
  expect(crashes).toBeGreaterThan(200)
})

const BUGS: Readonly<Record<string, Bug>> = {
  'acknowledges before the sync': {
    store: (store) => ({ ...store, commit: async (ops) => void store.commit(ops) }),
  },
  'does not sync': {
    store: (store, disk) => ({ ...store, commit: (ops) => disk.write(ops, { sync: false }) }),
  },
  'writes a change in two batches': {
    store: (store) => ({
      ...store,
      commit: async (ops) => {
        await store.commit(ops.slice(0, 1))
        await store.commit(ops.slice(1))
      },
    }),
  },
  'writes the entry first and the change after it': {
    carry: (world, action, id) => async (ops) => {
      await riding(world, action, id)([])
      await world.store.commit(ops)
    },
  },
  'forgets to take an end out of those that live': {
    store: (store) => ({ ...store, delOp: (key) => store.putOp(key, new Uint8Array()) }),
    carry: (world, action, id) => riding(world, action, id),
  },
}

test.each(Object.entries(BUGS))('the judge catches a book that %s', async (_, bug) => {
  expect((await judgeAll(SEEDS.slice(0, 4), bug)).wrong).not.toEqual([])
})

test('a restart in the middle goes on where the journal stands', async () => {
  const story = await live(3, {})
  const disk = story.disk.after(Math.floor(story.disk.batches.length / 2))
  const { book } = await bookOn(disk)
  for (const { id } of book.live()) await book.note(id, [{ t: 'ended', at: T0, to: 'FAILED', why: 'lost', exitCode: null, signal: null }])
  expect((await bookOn(disk.copy())).book.live()).toEqual([])
})
