/**
 * What the journal of tasks costs, without a node around it: a real database filled with tasks that lived and ended, opened again and
 * asked. Measures the time of a start, the times of questions, and memory.
 */
import { v7 as uuidv7 } from 'uuid'
import { AuditLog } from '../../src/audit/log.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import type { Op } from '../../src/base/op.ts'
import { Identity } from '../../src/identity/identity.ts'
import { Store } from '../../src/store/level.ts'
import { TaskBook } from '../../src/tasks/book.ts'
import type { Change, Submitted, TaskId } from '../../src/tasks/machine.ts'

const WRITERS = 256
const LIVE = 20
const QUESTIONS = 2_000
const SECONDS = 3

const identity = new Identity(systemRandom(32))
const now = (): number => systemClock.now()

interface Open {
  readonly store: Store
  readonly log: AuditLog
  readonly book: TaskBook
}

async function open(dir: string, mesh: Uint8Array): Promise<Open> {
  const store = await Store.open(dir)
  const log = await AuditLog.open({ store: store.logs, identity, mesh, clock: systemClock })
  return { store, log, book: await TaskBook.open({ store: store.shelf('tasks'), clock: systemClock }) }
}

function submission(i: number): Submitted {
  const did = identity.did
  const about = { detached: true, description: `job ${i}`, agent: 'bench', session: `s${i % 100}`, metadata: { n: String(i), team: 'core' } }
  return { id: uuidv7() as TaskId, device: did, submittedBy: did, command: ['make', 'test', String(i)], createdAt: now(), ...about }
}
const begun = (): Change[] => [
  { t: 'planned', at: now() },
  { t: 'started', at: now() },
]
const end = (i: number): Change =>
  i % 10 === 0
    ? { t: 'ended', at: now(), to: 'FAILED', why: 'exit', exitCode: 1, signal: null }
    : { t: 'ended', at: now(), to: 'COMPLETED', why: 'exit', exitCode: 0, signal: null }

/** A task as a device runs it: its start and its end each in one commit with their audit entries. */
async function lived({ log, book }: Open, i: number): Promise<void> {
  const task = submission(i)
  const carry = (action: string) => (ops: readonly Op[]) =>
    log.append({ actor: identity.did, action, result: 'ok', task: task.id, details: { command: task.command } }, ops)
  await book.submit(task, { fresh: true, changes: begun(), carry: carry('exec.start') })
  await book.note(task.id, [end(i)], { carry: carry('exec.end') })
}

async function fill(on: Open, count: number): Promise<{ perSecond: number; memoryMiB: number[] }> {
  let next = 0
  const memoryMiB: number[] = []
  const began = performance.now()
  const write = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      await lived(on, i)
      if (i % Math.ceil(count / 5) === 0) memoryMiB.push(rss())
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, write))
  return { perSecond: Math.round((count * 1_000) / (performance.now() - began)), memoryMiB: [...memoryMiB, rss()] }
}

const rss = (): number => Math.round(process.memoryUsage.rss() / (1 << 20))

async function perSecond(on: Open, writers: number): Promise<number> {
  const began = performance.now()
  let done = 0
  const write = async (): Promise<void> => {
    while (performance.now() - began < SECONDS * 1_000) {
      await lived(on, done)
      done++
    }
  }
  await Promise.all(Array.from({ length: writers }, write))
  return Math.round((done * 1_000) / (performance.now() - began))
}

async function questions(ask: (i: number) => Promise<unknown>): Promise<{ p50Ms: number; p99Ms: number }> {
  const took: number[] = []
  for (let i = 0; i < QUESTIONS; i++) {
    const before = performance.now()
    await ask(i)
    took.push(performance.now() - before)
  }
  took.sort((a, b) => a - b)
  const at = (share: number): number => Number((took[Math.floor(share * (took.length - 1))] ?? 0).toFixed(2))
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** Ids from everywhere in the journal, with the places to read on from. */
async function sample(book: TaskBook): Promise<{ ids: TaskId[]; places: string[] }> {
  const [ids, places]: [TaskId[], string[]] = [[], []]
  for (let page = await book.list({ limit: 1_000 }); page.next !== null; page = await book.list({ limit: 1_000, before: page.next })) {
    places.push(page.next)
    ids.push(...page.tasks.filter((_, i) => i % 97 === 0).map(({ id }) => id))
  }
  return { ids, places }
}

export interface JournalFigures {
  readonly tasks: number
  readonly filling: { readonly perSecond: number; readonly memoryMiB: readonly number[] }
  readonly startMs: number
  readonly asked: Readonly<Record<string, { readonly p50Ms: number; readonly p99Ms: number }>>
  readonly tasksPerSecond: Readonly<Record<string, number>>
  readonly memoryMiB: number
}

/** @param dir an empty directory. */
export async function measureJournal(dir: string, count: number): Promise<JournalFigures> {
  const mesh = systemRandom(32)
  const first = await open(dir, mesh)
  const filling = await fill(first, count)
  for (let i = 0; i < LIVE; i++) await first.book.submit(submission(i), { fresh: true, changes: begun() })
  await first.book.close()
  await first.store.close()

  const store = await Store.open(dir)
  const began = performance.now()
  const book = await TaskBook.open({ store: store.shelf('tasks'), clock: systemClock })
  const startMs = Math.round(performance.now() - began)
  const log = await AuditLog.open({ store: store.logs, identity, mesh, clock: systemClock })
  const counts = book.counts()
  if (counts.total !== count + LIVE || counts.active !== LIVE) throw new Error(`${JSON.stringify(counts)} after a restart`)
  const { ids, places } = await sample(book)
  const one = (i: number): TaskId => ids[(i * 7_919) % ids.length] as TaskId
  const asked = {
    'one task by its id': await questions((i) => book.get(one(i))),
    'by the end of its id': await questions((i) => book.resolve(one(i).slice(-10))),
    'the newest 50': await questions(() => book.list()),
    '50 from anywhere': await questions((i) => book.list({ before: places[(i * 31) % places.length] ?? '' })),
    'the newest 50 that failed': await questions(() => book.list({ states: ['FAILED'] })),
  }
  const tasksPerSecond = { 'one after the other': await perSecond({ store, log, book }, 1), '64 at once': await perSecond({ store, log, book }, 64) }
  await book.close()
  await store.close()
  return { tasks: count, filling, startMs, asked, tasksPerSecond, memoryMiB: rss() }
}
