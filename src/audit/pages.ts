/** Reads of a stored log that replication needs: a page to serve, and the root of an earlier state to compare a head with. */
import { AUDIT, type Page } from '../../protocols/audit/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import type { Did } from '../identity/identity.ts'
import { checkSegment, EMPTY_TIP, type SignedHead } from './chain.ts'
import { Frontier } from './merkle.ts'
import type { LogStore, StoredEntry, StoredHead } from './ports.ts'

/**
 * Entries that end at a signed head: the last one that fits `max` and a frame, or the first after `from` when none fits `max`.
 * Undefined when there is none up to entry `upTo`.
 */
export async function cutPage(
  store: LogStore,
  ask: { readonly log: Did; readonly from: number; readonly max: number; readonly upTo: number },
): Promise<Page | undefined> {
  const { log, from, max, upTo } = ask
  const heads = await store.heads(log, { above: from, atMost: Math.min(from + AUDIT.maxPageEntries, upTo), limit: AUDIT.maxPageEntries })
  const [first] = heads
  if (first === undefined) return undefined
  const found = await store.read(log, from, Math.max(first.n, heads.filter((head) => head.n - from <= max).at(-1)?.n ?? 0))
  const count = countFitting(found, from)
  const end = heads.filter((head) => head.n - from <= count).at(-1)
  if (end === undefined) return undefined
  return { t: 'page', log, from, entries: found.slice(0, end.n - from).map((entry) => entry.bytes), head: end.bytes }
}

/** How many entries stand without a gap from `from` on and fit one page. */
function countFitting(found: readonly StoredEntry[], from: number): number {
  let bytes = 0
  let count = 0
  for (const entry of found) {
    bytes += entry.bytes.length
    if (entry.n !== from + count || bytes > AUDIT.maxPageBytes) break
    count += 1
  }
  return count
}

/** The root over the first `at.n` entries, when every entry it needs is undamaged; else nothing can be said against anybody. */
export async function rootAt(
  store: LogStore,
  believe: (stored: StoredHead) => SignedHead | undefined,
  at: { readonly log: Did; readonly n: number },
): Promise<Uint8Array | undefined> {
  const { log, n } = at
  const [above] = await store.heads(log, { above: n - 1, limit: 1 })
  const to = above === undefined ? undefined : believe(above)
  if (to === undefined || to.n === n) return to?.root
  const [below] = await store.heads(log, { atMost: n, limit: 1, newestFirst: true })
  const from = below === undefined ? EMPTY_TIP : believe(below)
  const frontier = below === undefined ? Frontier.EMPTY : Frontier.fromBytes(below.n, below.frontier)
  if (from === undefined || frontier === undefined || ('root' in from && !sameBytes(frontier.root(), from.root))) return undefined
  const segment = checkSegment(from, to, await store.read(log, from.n, to.n))
  if (segment.problems.length > 0) return undefined
  return segment.confirmed
    .slice(0, n - from.n)
    .reduce((grown, entry) => grown.push(entry.leaf), frontier)
    .root()
}
