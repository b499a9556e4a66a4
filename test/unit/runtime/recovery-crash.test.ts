/**
 * A crash at every write, the recovery after it, a crash at every write of that, and the recovery after that one: each task has its one
 * true end, once in its history and once in the log. And the same judge over planted bugs, each of which it has to catch.
 */
import { expect, test } from 'vitest'
import type { Ended } from '../../../protocols/exec/messages.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import { query } from '../../../src/audit/query.ts'
import { Revocations } from '../../../src/authority/revocations.ts'
import type { Op } from '../../../src/base/op.ts'
import { LiveCommands } from '../../../src/runtime/live.ts'
import { Recovery } from '../../../src/runtime/recovery.ts'
import { isOver, type Task, type TaskId } from '../../../src/tasks/machine.ts'
import { orderOf, sh } from '../exec/orders.ts'
import { type BookWorld, bookOn, identity, MESH, RecordingDisk, riding } from '../tasks/book-world.ts'
import { ended, idOf, planned, started, submission, T0 } from '../tasks/world.ts'

const TASKS = 9
const PROOF = orderOf(identity, sh('true')).warrant

/** What really became of a task, as the files of the exec-host say: it ended with its number, or nobody saw its end. */
function truthOf(id: TaskId): Ended | null {
  const n = Number.parseInt(id.slice(-4), 16)
  if (n % 3 === 0) return null
  return { exitCode: n % 2 === 0 ? 0 : n, signal: null, why: 'exit', startTime: T0, endTime: T0 + n, stdoutBytes: n, stderrBytes: 0 }
}

interface Bug {
  readonly append?: (world: BookWorld) => (fact: Fact, along?: readonly Op[]) => Promise<unknown>
  readonly truth?: (id: TaskId) => Ended | null
}

/** Tasks in every state that a daemon can leave them in: some never began, one ended before it went. */
async function before(): Promise<RecordingDisk> {
  const disk = new RecordingDisk()
  const world = await bookOn(disk)
  for (let n = 1; n <= TASKS; n++) {
    const id = idOf(n)
    await world.book.submit(submission(n, { device: identity.did }), { carry: riding(world, 'task.submit', id) })
    if (n === 1) continue
    await world.book.note(id, [planned()])
    if (n === 2) continue
    await world.book.note(id, [started()], { carry: riding(world, 'exec.start', id) })
    if (n === 5) await world.book.note(id, [ended(T0 + n, n)], { carry: riding(world, 'exec.end', id) })
  }
  await world.book.close()
  return disk
}

const opsOf = (disk: RecordingDisk, count = disk.batches.length): readonly Op[] => disk.batches.slice(0, count).flat()

/** What a crash leaves, on a disk that remembers what is written from here on. */
function diskWith(ops: readonly Op[]): RecordingDisk {
  const disk = new RecordingDisk()
  for (const op of ops) disk.tamper(op.key, op.t === 'put' ? op.value : undefined)
  return disk
}

async function recovered(disk: RecordingDisk, bug: Bug = {}): Promise<BookWorld> {
  const world = await bookOn(disk)
  const { book, clock, log } = world
  const audit = { append: bug.append?.(world) ?? log.append.bind(log) }
  const truth = bug.truth ?? truthOf
  const left = (task: string) => ({ ended: truth(task as TaskId), startTime: T0, invocation: PROOF.invocation, proofs: PROOF.proofs })
  const executor = { left, follow: () => Promise.reject(new Error('it does not run')) }
  const live = new LiveCommands({ revocations: new Revocations(), audit, book, clock })
  const none = { seize: () => () => undefined, requeue: () => Promise.resolve(false), watchEnd: () => undefined, nameOf: () => undefined }
  await new Recovery({ self: identity.did, executor, book, live, places: none, door: none, submitter: none, directory: none, audit, clock }).recover([])
  await book.close()
  return world
}

/** Everything that is wrong with what a recovery made of it. */
async function judge(disk: RecordingDisk, earlier: readonly Task[]): Promise<string[]> {
  const { book, store } = await bookOn(disk)
  const { tasks, damaged } = await book.list({ limit: 100 })
  const wrong = [...damaged, ...book.damaged].map((id) => `${id} is damaged`)
  for (const task of tasks) {
    if (!isOver(task.state)) wrong.push(`${task.id} is ${task.state} still`)
    if (JSON.stringify(outcomeOf(task)) !== JSON.stringify(trueOutcome(task))) wrong.push(`${task.id} is said to be ${JSON.stringify(outcomeOf(task))}`)
    const told = [await endsInLog(store, task.id), await endsInHistory(book, task.id)]
    if (told.some((ends) => ends !== 1)) wrong.push(`${task.id} has ${told.join(' and ')} ends in the log and in its history`)
  }
  const ids = new Set(tasks.map(({ id }) => id))
  return [...wrong, ...earlier.filter(({ id }) => !ids.has(id)).map(({ id }) => `${id} is gone`)]
}

async function endsInLog({ logs }: BookWorld['store'], task: TaskId): Promise<number> {
  let ends = 0
  for await (const one of query({ store: logs, mesh: MESH }, { device: identity.did, task }))
    if (one.t === 'record' && ['exec.end', 'task.failed'].includes(one.record.action)) ends++
  return ends
}

async function endsInHistory(book: BookWorld['book'], task: TaskId): Promise<number> {
  let ends = 0
  for await (const { t } of book.history(task)) if (t === 'ended') ends++
  return ends
}

const outcomeOf = ({ state, why, exitCode }: Task): unknown[] => [state, why, exitCode]

function trueOutcome({ id, startedAt }: Task): unknown[] {
  const truth = startedAt === null ? null : truthOf(id)
  if (truth === null) return ['FAILED', 'lost', null]
  return [truth.exitCode === 0 ? 'COMPLETED' : 'FAILED', 'exit', truth.exitCode]
}

/** A crash at every write of a life, and at every write of the recovery that follows. @returns what is wrong at the end of each. */
async function judgeAll(bug: Bug = {}): Promise<{ readonly wrong: string[]; readonly crashes: number }> {
  const life = await before()
  const wrong: string[] = []
  let crashes = 0
  for (let first = 2; first <= life.batches.length; first++) {
    const kept = opsOf(life, first)
    const earlier = (await (await bookOn(diskWith(kept))).book.list({ limit: 100 })).tasks
    const disk = diskWith(kept)
    await recovered(disk, bug)
    wrong.push(...(await judge(diskWith([...kept, ...opsOf(disk)]), earlier)))
    for (let second = 0; second < disk.batches.length; second++, crashes++) {
      const again = diskWith([...kept, ...opsOf(disk, second)])
      await recovered(again, bug)
      wrong.push(...(await judge(diskWith([...kept, ...opsOf(disk, second), ...opsOf(again)]), earlier)).map((words) => `${first}, ${second}: ${words}`))
    }
  }
  return { wrong, crashes }
}

test('after two crashes, each at any write, every task has its one true end, in its history and in the log', async () => {
  const { wrong, crashes } = await judgeAll()
  expect(wrong).toEqual([])
  expect(crashes).toBeGreaterThan(40)
})

const BUGS: Readonly<Record<string, Bug>> = {
  'takes what nobody saw the end of for a success': {
    truth: (id) => truthOf(id) ?? { exitCode: 0, signal: null, why: 'exit', startTime: T0, endTime: T0, stdoutBytes: 0, stderrBytes: 0 },
  },
  'says that all is lost': { truth: () => null },
  'writes the end into the log first and into the task after it': {
    append: (world) => async (fact, along) => {
      await world.log.append(fact)
      await world.store.commit([...(along ?? [])])
    },
  },
  'writes the end into the task first and into the log after it': {
    append: (world) => async (fact, along) => {
      await world.store.commit([...(along ?? [])])
      await world.log.append(fact)
    },
  },
  'writes no end into the log': { append: (world) => (_fact, along) => world.store.commit([...(along ?? [])]) },
  'forgets that a task ended': { append: (world) => (fact) => world.log.append(fact) },
}

test.each(Object.entries(BUGS))('the judge catches a recovery that %s', async (_, bug) => {
  expect((await judgeAll(bug)).wrong).not.toEqual([])
})
