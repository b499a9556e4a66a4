/**
 * Proves every log held here from its first entry to its newest signed head, and names what is wrong in words.
 * Reads everything; memory is bounded by one segment.
 */
import { sameBytes } from '../../protocols/wire.ts'
import type { Did } from '../identity/identity.ts'
import type { SignedHead } from './chain.ts'
import { Frontier } from './merkle.ts'
import { type AuditProblem, type LogReader, type ReadSegment, readSegments, sayDevice } from './segments.ts'
import type { Witnesses } from './witness.ts'

export interface LogReport {
  readonly device: Did
  /** Entries that were read and confirmed. */
  readonly entries: number
  /** Entries that should be here and are not. */
  readonly gaps: number
  /** Merkle root of the newest signed head, in hex. */
  readonly head: string | null
  /** Other devices that showed a head of this log since the start. */
  readonly witnesses: number
  readonly forks: number
  /** Entries known to exist elsewhere and not pulled yet. */
  readonly behind: number
}

export interface VerifyReport {
  readonly ok: boolean
  readonly logs: readonly LogReport[]
  readonly problems: readonly AuditProblem[]
}

/** @param o.witnesses what peers showed; without it cut tails and forks cannot be found. @param o.own whose log must be complete here. */
export async function verifyLogs(
  on: LogReader,
  o: { readonly own: Did; readonly witnesses?: Witnesses; readonly signal?: AbortSignal },
): Promise<VerifyReport> {
  const logs: LogReport[] = []
  const problems: AuditProblem[] = []
  const known = new Set([...(await on.store.logs()), ...(o.witnesses?.logs() ?? [])])
  for (const log of [...known].sort()) {
    const read = await readLog(on, log, o.signal)
    const witnessed = o.witnesses === undefined ? NOT_WITNESSED : compare(on, read, o.witnesses, o.own)
    problems.push(...read.problems, ...witnessed.problems)
    logs.push({
      device: log,
      entries: read.confirmed,
      gaps: read.missing + witnessed.cut,
      head: read.newest === undefined ? null : Buffer.from(read.newest.root).toString('hex'),
      witnesses: o.witnesses?.peers(log) ?? 0,
      forks: o.witnesses?.forks(log).length ?? 0,
      behind: witnessed.behind,
    })
  }
  return { ok: problems.length === 0, logs, problems }
}

interface ReadLog {
  readonly log: Did
  readonly confirmed: number
  readonly missing: number
  readonly newest: SignedHead | undefined
  readonly problems: readonly AuditProblem[]
}

async function readLog(on: LogReader, log: Did, signal?: AbortSignal): Promise<ReadLog> {
  const problems: AuditProblem[] = []
  let confirmed = 0
  let newest: SignedHead | undefined
  let frontier: Frontier | undefined = Frontier.EMPTY
  for await (const step of readSegments(on, log, { newestFirst: false })) {
    signal?.throwIfAborted()
    if (step.t === 'problem') {
      problems.push(step.problem)
      continue
    }
    const { segment } = step
    newest = segment.to
    confirmed += segment.confirmed.length
    frontier = through(frontier, segment)
    if (segment.problems.length > 0 || frontier === undefined || signedOver(segment.to, frontier)) continue
    const words = `the head of ${segment.to.n} entries of ${sayDevice(on, log)} does not fit its entries: their Merkle root is another than the signed one`
    problems.push({ device: log, n: segment.to.n, kind: 'root', words })
    frontier = undefined
  }
  return { log, confirmed, missing: problems.filter((problem) => problem.kind === 'missing').length, newest, problems }
}

/** The frontier after a segment; past a damaged one only where the stored frontier proves itself by the signed root. */
function through(frontier: Frontier | undefined, segment: ReadSegment): Frontier | undefined {
  if (frontier !== undefined && segment.problems.length === 0 && frontier.n + segment.confirmed.length === segment.to.n) {
    return segment.confirmed.reduce((grown, entry) => grown.push(entry.leaf), frontier)
  }
  const stored = Frontier.fromBytes(segment.to.n, segment.frontier)
  return stored !== undefined && signedOver(segment.to, stored) ? stored : undefined
}

function signedOver(head: SignedHead, frontier: Frontier): boolean {
  return sameBytes(head.root, frontier.root())
}

interface Compared {
  readonly problems: readonly AuditProblem[]
  readonly cut: number
  readonly behind: number
}
const NOT_WITNESSED: Compared = { problems: [], cut: 0, behind: 0 }

/** What peers showed against what is here. Entries of other devices that never arrived are no fault; entries that were here once are. */
function compare(on: LogReader, { log, newest }: ReadLog, witnesses: Witnesses, own: Did): Compared {
  const who = sayDevice(on, log)
  const n = newest?.n ?? 0
  const problems: AuditProblem[] = []
  const once = log === own ? witnesses.highest(log) : witnesses.completed(log)
  const cut = Math.max(0, (once?.n ?? 0) - n)
  if (once !== undefined && cut > 0) {
    problems.push({
      device: log,
      n,
      kind: 'cut',
      words: `entries ${n} to ${once.n - 1} of ${who} are missing at the end: it signed a head of ${once.n} entries`,
    })
  }
  for (const { a, b } of witnesses.forks(log)) {
    const where = a.n === b.n ? `two different histories of ${a.n} entries` : `a head of ${a.n} and a head of ${b.n} entries that contradict each other`
    problems.push({
      device: log,
      n: Math.min(a.n, b.n),
      kind: 'fork',
      words: `${who} signed ${where}: both heads are kept as proof`,
      proof: [a.bytes, b.bytes],
    })
  }
  const seen = witnesses.highest(log)
  const rival = seen !== undefined && newest !== undefined && seen.n === newest.n && !sameBytes(seen.root, newest.root) ? seen : undefined
  if (rival !== undefined && newest !== undefined && problems.every((problem) => problem.kind !== 'fork')) {
    problems.push({
      device: log,
      n,
      kind: 'fork',
      words: `${who} signed two different histories of ${n} entries: both heads are kept as proof`,
      proof: [newest.bytes, rival.bytes],
    })
  }
  return { problems, cut, behind: Math.max(0, (seen?.n ?? 0) - n - cut) }
}
