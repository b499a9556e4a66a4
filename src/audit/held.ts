/**
 * How much of a log is held here, and the one way it grows.
 * A kept head stands at least every 512 entries and 1 MiB, so that a page can always end at a signature;
 * heads that are closer than KEEP_HEAD_EVERY give way to newer ones.
 */
import { MAX_HEAD_BYTES } from '../../protocols/audit/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import type { Op } from '../base/op.ts'
import type { Did } from '../identity/identity.ts'
import { EMPTY_TIP, headFits, readEntry, readHead, type SignedHead, type Tip } from './chain.ts'
import { Frontier, leafHash } from './merkle.ts'
import type { LogStore, StoredHead } from './ports.ts'

/** 128 entries of at most 8 KiB are one page of 1 MiB. */
export const KEEP_HEAD_EVERY = 128

export interface Held {
  readonly tip: Tip
  readonly head: SignedHead | undefined
  /** `n` of the kept head before `head`; 0 when there is none. */
  readonly keptBelow: number
}
export const NOTHING_HELD: Held = { tip: EMPTY_TIP, head: undefined, keptBelow: 0 }

/** Heads that were found and could not be believed, newest first, in words. */
export interface Loaded {
  readonly held: Held
  readonly damagedHeads: readonly { readonly n: number; readonly words: string }[]
}

/** The newest believable place of a stored log. Damaged heads above it are reported, not hidden. */
export async function loadHeld(store: LogStore, mesh: Uint8Array, log: Did): Promise<Loaded> {
  const damagedHeads: { n: number; words: string }[] = []
  let atMost = Number.MAX_SAFE_INTEGER
  for (;;) {
    const [stored, below] = await store.heads(log, { atMost, limit: 2, newestFirst: true })
    if (stored === undefined) return { held: NOTHING_HELD, damagedHeads }
    const head = believe(mesh, log, stored)
    const frontier = Frontier.fromBytes(stored.n, stored.frontier)
    if (typeof head === 'string') damagedHeads.push({ n: stored.n, words: head })
    else if (frontier === undefined || !sameBytes(frontier.root(), head.root))
      damagedHeads.push({ n: stored.n, words: 'its stored frontier does not give the signed root' })
    else return { held: { tip: { n: head.n, last: head.last, time: await timeOf(store, head), frontier }, head, keptBelow: below?.n ?? 0 }, damagedHeads }
    atMost = stored.n - 1
  }
}

/** A stored head is believed only at the place it was signed for. */
export function believe(mesh: Uint8Array, log: Did, stored: StoredHead): SignedHead | string {
  const head = readHead(mesh, stored.bytes, log)
  if (typeof head === 'string') return head
  return head.n === stored.n ? head : `a head of ${head.n} entries kept in the place of one of ${stored.n}`
}

/** Stores a checked continuation. The caller has verified the chain; that the head fits is checked once more, it costs nothing. */
export async function grow(
  store: LogStore,
  held: Held,
  next: { readonly tip: Tip; readonly entries: readonly Uint8Array[]; readonly head: SignedHead; readonly along?: readonly Op[] },
): Promise<Held> {
  if (next.head.bytes.length > MAX_HEAD_BYTES || !headFits(next.head, next.tip)) throw new RangeError('a head that does not fit its entries')
  const dropHead = held.head !== undefined && next.tip.n - held.keptBelow <= KEEP_HEAD_EVERY ? held.head.n : undefined
  await store.append(next.head.log, {
    from: held.tip.n,
    entries: next.entries,
    head: { n: next.head.n, bytes: next.head.bytes, frontier: next.tip.frontier.toBytes() },
    dropHead,
    along: next.along ?? [],
  })
  return { tip: next.tip, head: next.head, keptBelow: dropHead === undefined ? held.tip.n : held.keptBelow }
}

/** Time of the newest entry, so that time never runs backwards in a log; 0, which forbids nothing, when that entry is damaged. */
async function timeOf(store: LogStore, head: SignedHead): Promise<number> {
  const [newest] = await store.read(head.log, head.n - 1, head.n)
  const entry = newest !== undefined && sameBytes(leafHash(newest.bytes), head.last) ? readEntry(newest.bytes) : undefined
  return typeof entry === 'object' ? entry.time : 0
}
