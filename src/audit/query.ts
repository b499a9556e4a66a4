/**
 * Questions to the logs of all devices. There is no index: a filter reads what it needs from the verified chain,
 * so nothing derived can give another answer than the log itself.
 */
import type { Did } from '../identity/identity.ts'
import type { CheckedEntry } from './chain.ts'
import { type AuditRecord, recordOf } from './facts.ts'
import { type AuditProblem, type LogReader, readSegments } from './segments.ts'

export interface AuditQuery {
  readonly device?: Did
  readonly actor?: string
  /** Exact (`exec.start`), or everything below a prefix that ends in a dot (`exec.`). */
  readonly action?: string
  /** A task's id, or its beginning or end from 6 characters on. */
  readonly task?: string
  readonly session?: string
  /** Milliseconds since the epoch, inclusive. */
  readonly since?: number
  /** Milliseconds since the epoch, exclusive. */
  readonly until?: number
  /** The newest this many; memory grows with it. */
  readonly limit?: number
}

export type Found = { readonly t: 'record'; readonly record: AuditRecord } | { readonly t: 'problem'; readonly problem: AuditProblem }

/**
 * Matching entries of all logs held here, oldest first by time, then device, then n. Every entry was checked against the chain
 * it stands in; where that fails a problem comes instead, whether or not the damaged entry would have matched.
 * With `limit` problems come first. Memory: one segment (at most 512 entries) for each log, and `limit` records.
 */
export async function* query(on: LogReader, q: AuditQuery = {}): AsyncIterable<Found> {
  const all = await on.store.logs()
  const logs = q.device === undefined ? all : all.filter((log) => log === q.device)
  if (q.limit === undefined) {
    yield* merge(
      logs.map((log) => oldestFirst(on, log, q)),
      1,
    )
    return
  }
  const newest: AuditRecord[] = []
  if (q.limit <= 0) return
  for await (const found of merge(
    logs.map((log) => newestFirst(on, log, q)),
    -1,
  )) {
    if (found.t === 'problem') yield found
    else if (newest.push(found.record) >= q.limit) break
  }
  for (const record of newest.reverse()) yield { t: 'record', record }
}

type Read = { readonly t: 'entry'; readonly log: Did; readonly checked: CheckedEntry } | Extract<Found, { readonly t: 'problem' }>
type Standing = Extract<Read, { readonly t: 'entry' }>

async function* oldestFirst(on: LogReader, log: Did, q: AuditQuery): AsyncGenerator<Read> {
  const { since, until } = q
  // A head is never older than its entries, so a segment whose head is too old cannot hold a match.
  const skip = since === undefined ? {} : { skip: (to: { readonly time: number }) => to.time < since }
  for await (const read of entriesOf(on, log, { newestFirst: false, ...skip })) {
    if (read.t === 'entry' && until !== undefined && read.checked.entry.time >= until) return
    if (read.t === 'problem' || matches(q, read.checked)) yield read
  }
}

async function* newestFirst(on: LogReader, log: Did, q: AuditQuery): AsyncGenerator<Read> {
  for await (const read of entriesOf(on, log, { newestFirst: true })) {
    // Time never runs backwards in a log.
    if (read.t === 'entry' && q.since !== undefined && read.checked.entry.time < q.since) return
    if (read.t === 'problem' || matches(q, read.checked)) yield read
  }
}

async function* entriesOf(on: LogReader, log: Did, o: Parameters<typeof readSegments>[2]): AsyncIterable<Read> {
  for await (const step of readSegments(on, log, o)) {
    if (step.t === 'problem') {
      yield step
      continue
    }
    const { confirmed } = step.segment
    for (const checked of o.newestFirst ? [...confirmed].reverse() : confirmed) yield { t: 'entry', log, checked }
  }
}

function matches(q: AuditQuery, { entry }: CheckedEntry): boolean {
  if (q.actor !== undefined && entry.actor !== q.actor) return false
  if (q.action !== undefined && !(q.action.endsWith('.') ? entry.action.startsWith(q.action) : entry.action === q.action)) return false
  if (q.task !== undefined && !namesTask(q.task, entry.task)) return false
  if (q.session !== undefined && entry.session !== q.session) return false
  if (q.since !== undefined && entry.time < q.since) return false
  return q.until === undefined || entry.time < q.until
}

/** Merges sources that are each in order. @param direction 1: smallest first, -1: largest first. */
async function* merge(sources: readonly AsyncGenerator<Read>[], direction: 1 | -1): AsyncIterable<Found> {
  const heads = new Map<AsyncGenerator<Read>, Standing>()
  const problems: Found[] = []
  const advance = async (source: AsyncGenerator<Read>): Promise<void> => {
    for (;;) {
      const next = await source.next()
      if (next.done === true) return void heads.delete(source)
      if (next.value.t === 'entry') return void heads.set(source, next.value)
      problems.push(next.value)
    }
  }
  try {
    for (const source of sources) {
      await advance(source)
      yield* problems.splice(0)
    }
    for (;;) {
      const [first, ...rest] = heads
      if (first === undefined) return
      const [source, { log, checked }] = rest.reduce((best, other) => (direction * compare(other[1], best[1]) < 0 ? other : best), first)
      yield { t: 'record', record: recordOf(log, checked.entry, checked.leaf) }
      await advance(source)
      yield* problems.splice(0)
    }
  } finally {
    for (const source of sources) await source.return(undefined)
  }
}

function compare(a: Standing, b: Standing): number {
  return a.checked.entry.time - b.checked.entry.time || (a.log < b.log ? -1 : a.log > b.log ? 1 : 0) || a.checked.entry.n - b.checked.entry.n
}

function namesTask(wanted: string, task: string | null): boolean {
  return task !== null && (task === wanted || (wanted.length >= 6 && (task.startsWith(wanted) || task.endsWith(wanted))))
}
