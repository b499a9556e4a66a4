/**
 * The rules of one log: what makes entries a chain and what makes a head theirs. Pure.
 * Every rule is here once; appending, replication, verification and reading all go through it.
 */
import { type Entry, Entry as EntrySchema, Head, MAX_ENTRY_BYTES, NO_HASH } from '../../protocols/audit/messages.ts'
import { DOMAIN, decodeAs, sameBytes } from '../../protocols/wire.ts'
import { open } from '../identity/envelope.ts'
import type { Did } from '../identity/identity.ts'
import { Frontier, leafHash } from './merkle.ts'
import type { StoredEntry } from './ports.ts'

/** Where a log stands after `n` entries. */
export interface Tip {
  readonly n: number
  readonly last: Uint8Array
  readonly time: number
  readonly frontier: Frontier
}
export const EMPTY_TIP: Tip = { n: 0, last: NO_HASH, time: 0, frontier: Frontier.EMPTY }

/** A head whose signature holds for the log it names. */
export interface SignedHead {
  readonly log: Did
  readonly n: number
  readonly last: Uint8Array
  readonly root: Uint8Array
  readonly time: number
  readonly bytes: Uint8Array
}

export interface CheckedEntry {
  readonly entry: Entry
  readonly bytes: Uint8Array
  readonly leaf: Uint8Array
}

/** Why entries do not continue a chain. `n` is the number of the first one that does not. */
export interface Break {
  readonly n: number
  readonly kind: 'unreadable' | 'misplaced' | 'unchained' | 'backwards'
  readonly words: string
}

/** The signed head in these bytes, or in words why they are none. @param log the only signer accepted; anybody when absent. */
export function readHead(mesh: Uint8Array, bytes: Uint8Array, log?: Did): SignedHead | string {
  try {
    const { value, by } = open(Head, DOMAIN.auditHead, mesh, bytes)
    if (value.log !== by) return `a head of ${value.log} signed by ${by}`
    if (log !== undefined && by !== log) return `a head of ${by} where one of ${log} was expected`
    return { log: by, n: value.n, last: value.last, root: value.root, time: value.time, bytes }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export function readEntry(bytes: Uint8Array): Entry | string {
  try {
    return decodeAs(EntrySchema, bytes, MAX_ENTRY_BYTES)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Walks entries on from a tip: number, previous hash and time of each must follow. */
export function extend(
  tip: Tip,
  entries: readonly Uint8Array[],
): { readonly tip: Tip; readonly entries: readonly CheckedEntry[] } | { readonly broken: Break } {
  const checked: CheckedEntry[] = []
  let { n, last, time, frontier } = tip
  for (const bytes of entries) {
    const entry = readEntry(bytes)
    if (typeof entry === 'string') return { broken: { n, kind: 'unreadable', words: entry } }
    if (entry.n !== n) return { broken: { n, kind: 'misplaced', words: `the entry in place ${n} says it is entry ${entry.n}` } }
    if (!sameBytes(entry.prev, last)) return { broken: { n, kind: 'unchained', words: `entry ${n} does not name the hash of what stands before it` } }
    if (entry.time < time) return { broken: { n, kind: 'backwards', words: `entry ${n} is older than the entry before it` } }
    const leaf = leafHash(bytes)
    checked.push({ entry, bytes, leaf })
    frontier = frontier.push(leaf)
    n += 1
    last = leaf
    time = entry.time
  }
  return { tip: { n, last, time, frontier }, entries: checked }
}

/** True when the head was signed over exactly what led to this tip, and not before it: readers skip by a head's time. */
export function headFits(head: SignedHead, tip: Tip): boolean {
  return head.n === tip.n && head.time >= tip.time && sameBytes(head.last, tip.last) && sameBytes(head.root, tip.frontier.root())
}

export interface SegmentProblem {
  readonly n: number
  readonly kind: 'changed' | 'misplaced' | 'missing' | 'unreadable' | 'backwards' | 'contradiction'
  /** What is wrong, as the end of a sentence that begins with the number of the entry. */
  readonly words: string
}

/** `confirmed` in the order of n. `unconfirmed` counts entries that stand below a damaged one, where no signature reaches them. */
export interface Segment {
  readonly confirmed: readonly CheckedEntry[]
  readonly problems: readonly SegmentProblem[]
  readonly unconfirmed: number
}

/**
 * Checks the entries between two places that signatures vouch for, from the newer one down: each hash is named by the
 * entry above it, the topmost by the signed head. So the first entry that does not fit is known for certain to be the changed one.
 */
export function checkSegment(
  from: { readonly n: number; readonly last: Uint8Array },
  to: { readonly n: number; readonly last: Uint8Array },
  stored: readonly StoredEntry[],
): Segment {
  const at = new Map(stored.map((entry) => [entry.n, entry.bytes]))
  const confirmed: CheckedEntry[] = []
  const problems: SegmentProblem[] = []
  let named = to.last
  for (let n = to.n - 1; n >= from.n; n--) {
    const seen = checkOne(n, at.get(n), named, n === to.n - 1 ? 'the signed head' : `entry ${n + 1}`)
    if ('kind' in seen) {
      problems.push(seen, ...checkLoose(from, n, at))
      return { confirmed: confirmed.reverse(), problems, unconfirmed: n - from.n }
    }
    const above = confirmed.at(-1)
    if (above !== undefined && above.entry.time < seen.entry.time) problems.push({ n: n + 1, kind: 'backwards', words: 'is older than the entry before it' })
    confirmed.push(seen)
    named = seen.entry.prev
  }
  if (!sameBytes(named, from.last))
    problems.push({ n: from.n, kind: 'contradiction', words: 'does not follow what an older signed head of the same log names' })
  return { confirmed: confirmed.reverse(), problems, unconfirmed: 0 }
}

function checkOne(n: number, bytes: Uint8Array | undefined, named: Uint8Array, namer: string): CheckedEntry | SegmentProblem {
  if (bytes === undefined) return { n, kind: 'missing', words: 'is missing' }
  const leaf = leafHash(bytes)
  const entry = readEntry(bytes)
  if (sameBytes(leaf, named)) {
    return typeof entry === 'string' ? { n, kind: 'unreadable', words: `is what was written, but cannot be read: ${entry}` } : { entry, bytes, leaf }
  }
  if (typeof entry !== 'string' && entry.n !== n) return { n, kind: 'misplaced', words: `was replaced: the bytes of entry ${entry.n} stand in its place` }
  return { n, kind: 'changed', words: `was changed: its bytes no longer hash to what ${namer} names` }
}

/** Below a damaged entry nothing is certain, but broken links still show more damage. */
function checkLoose(from: { readonly n: number; readonly last: Uint8Array }, below: number, at: ReadonlyMap<number, Uint8Array>): SegmentProblem[] {
  const problems: SegmentProblem[] = []
  let before: Uint8Array | undefined = from.last
  for (let n = from.n; n < below; n++) {
    const bytes = at.get(n)
    const entry = bytes === undefined ? undefined : readEntry(bytes)
    if (bytes === undefined) problems.push({ n, kind: 'missing', words: 'is missing' })
    else if (typeof entry !== 'object') problems.push({ n, kind: 'unreadable', words: `cannot be read: ${entry}` })
    else if (entry.n !== n) problems.push({ n, kind: 'misplaced', words: `was replaced: the bytes of entry ${entry.n} stand in its place` })
    else if (before !== undefined && !sameBytes(entry.prev, before)) {
      problems.push({ n: Math.max(from.n, n - 1), kind: 'changed', words: `or the one after it was changed: entry ${n} does not name its hash` })
    }
    before = bytes === undefined || typeof entry !== 'object' || entry.n !== n ? undefined : leafHash(bytes)
  }
  return problems
}
