/**
 * Reads a stored log in the pieces between its signed heads, checking every byte on the way. Bounded memory, either direction.
 * Whoever answers a question from the log reads it through here, so that a changed byte is a named problem and never another answer.
 */
import { NO_HASH } from '../../protocols/audit/messages.ts'
import type { Did } from '../identity/identity.ts'
import { checkSegment, type Segment, type SegmentProblem, type SignedHead } from './chain.ts'
import { believe } from './held.ts'
import type { LogStore, StoredHead } from './ports.ts'

export interface AuditProblem {
  readonly device: Did
  /** The entry it is about; for a head the number of entries it was signed for. */
  readonly n: number
  readonly kind: SegmentProblem['kind'] | 'head' | 'unsigned' | 'root' | 'cut' | 'fork'
  /** A whole sentence that names the device and the entry. */
  readonly words: string
  /** The two signed heads that cannot both be true. */
  readonly proof?: readonly [Uint8Array, Uint8Array]
}

export interface LogReader {
  readonly store: LogStore
  readonly mesh: Uint8Array
  /** What people call a device; its DID stands alone when there is no name. */
  readonly nameOf?: (device: Did) => string | undefined
}

export interface ReadSegment extends Segment {
  readonly to: SignedHead
  /** Derived data as stored beside `to`. */
  readonly frontier: Uint8Array
}

export type ReadStep = { readonly t: 'segment'; readonly segment: ReadSegment } | { readonly t: 'problem'; readonly problem: AuditProblem }

const HEADS_PER_READ = 64
/** Two kept heads stand at most 512 entries apart; more only where heads are damaged. Bounds what one step may load. */
const MAX_SPAN = 4_096

interface Place {
  readonly n: number
  readonly last: Uint8Array
}
const START: Place = { n: 0, last: NO_HASH }

/** @param o.skip segments whose newest head answers true are not loaded. */
export async function* readSegments(
  on: LogReader,
  log: Did,
  o: { readonly newestFirst: boolean; readonly skip?: (to: SignedHead) => boolean },
): AsyncIterable<ReadStep> {
  let pending: Believed | undefined
  let newest: Place = START
  let before: Place = START
  for await (const head of believableHeads(on, log, o.newestFirst)) {
    if ('problem' in head) {
      yield { t: 'problem', problem: head.problem }
      continue
    }
    if (o.newestFirst) {
      if (pending === undefined) yield* beyond(on, log, head.signed)
      else yield* readOne(on, head.signed, pending)
      pending = head
    } else {
      if (o.skip?.(head.signed) !== true) yield* readOne(on, before, head)
      before = head.signed
    }
    newest = head.signed
  }
  if (!o.newestFirst) yield* beyond(on, log, newest)
  else if (pending === undefined) yield* beyond(on, log, START)
  else yield* readOne(on, START, pending)
}

export function sayDevice(on: LogReader, device: Did): string {
  const name = on.nameOf?.(device)
  return name === undefined ? device : `${name} (${device})`
}

interface Believed {
  readonly signed: SignedHead
  readonly stored: StoredHead
}

async function* believableHeads(on: LogReader, log: Did, newestFirst: boolean): AsyncIterable<Believed | { readonly problem: AuditProblem }> {
  let above = 0
  let atMost = Number.MAX_SAFE_INTEGER
  for (;;) {
    const heads = await on.store.heads(log, { above, atMost, limit: HEADS_PER_READ, newestFirst })
    for (const stored of heads) {
      const signed = believe(on.mesh, log, stored)
      if (typeof signed !== 'string') yield { signed, stored }
      else
        yield { problem: { device: log, n: stored.n, kind: 'head', words: `the head of ${stored.n} entries of ${sayDevice(on, log)} was changed: ${signed}` } }
    }
    const last = heads.at(-1)
    if (last === undefined || heads.length < HEADS_PER_READ) return
    if (newestFirst) atMost = last.n - 1
    else above = last.n
  }
}

async function* readOne(on: LogReader, from: Place, { signed: to, stored }: Believed): AsyncIterable<ReadStep> {
  const who = sayDevice(on, to.log)
  if (to.n - from.n > MAX_SPAN) {
    yield {
      t: 'problem',
      problem: {
        device: to.log,
        n: from.n,
        kind: 'head',
        words: `entries ${from.n} to ${to.n - 1} of ${who} cannot be checked: the signed heads between them are gone`,
      },
    }
    return
  }
  const segment = checkSegment(from, to, await on.store.read(to.log, from.n, to.n))
  for (const problem of segment.problems) {
    const first = problem === segment.problems[0]
    const more = first && segment.unconfirmed > 0 ? `; entries ${from.n} to ${problem.n - 1} cannot be confirmed without it` : ''
    yield { t: 'problem', problem: { device: to.log, n: problem.n, kind: problem.kind, words: `entry ${problem.n} of ${who} ${problem.words}${more}` } }
  }
  yield { t: 'segment', segment: { ...segment, to, frontier: stored.frontier } }
}

/** What no signature covers is not part of the log; entries there mean that a head was removed. */
async function* beyond(on: LogReader, log: Did, newest: Place): AsyncIterable<ReadStep> {
  const [extra] = await on.store.read(log, newest.n, newest.n + MAX_SPAN)
  if (extra === undefined) return
  const grown = await on.store.heads(log, { above: newest.n, limit: 1 })
  if (grown.length > 0) return // the log grew, entry and head together, while it was read
  const words = `entry ${extra.n} of ${sayDevice(on, log)} stands beyond its newest signed head of ${newest.n} entries: a head was removed or the entry was put there`
  yield { t: 'problem', problem: { device: log, n: extra.n, kind: 'unsigned', words } }
}
