/** `errand audit`: the log of every device as one, and the proof that nothing in it was changed. */
import type { AuditQuery, AuditRecordView, AuditVerifyView } from '../../../protocols/local/messages.ts'
import { stayAwake } from '../../base/awake.ts'
import { pause, systemClock } from '../../base/clock.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exitcodes.ts'
import { clean, plural, sayCommand, shortDid } from '../render.ts'
import { timeOf } from '../values.ts'
import { drained } from '../writer.ts'

export interface AuditOptions {
  readonly device?: string
  readonly actor?: string
  readonly action?: string
  readonly task?: string
  readonly session?: string
  readonly since?: string
  readonly until?: string
  readonly limit?: number
  readonly follow?: boolean
}

const POLL_MS = 500

export async function list(context: Context, { follow, ...options }: AuditOptions): Promise<number> {
  const query = queryOf(options)
  const seen = new Seen()
  if (follow === true && query.limit !== undefined) await markEnds(context, query, seen)
  let some = false
  for await (const record of context.client.audit(query)) {
    some = true
    seen.add(record)
    await show(context, record)
  }
  if (!some && !context.json && follow !== true) context.say('no entry of any log fits that')
  if (follow === true) await goOn(context, query, seen)
  return 0
}

export function queryOf({ since, until, ...rest }: Omit<AuditOptions, 'follow'>): AuditQuery {
  const now = systemClock.now()
  return { ...rest, ...(since === undefined ? {} : { since: timeOf(since, now) }), ...(until === undefined ? {} : { until: timeOf(until, now) }) }
}

/** Where every log was left. Records of a device that was away arrive late and old; so each log has a place of its own. */
class Seen {
  readonly #last = new Map<string, { n: number; time: string }>()

  /** @returns false for a record that was there before. */
  add({ device, n, time }: AuditRecordView): boolean {
    const before = this.#last.get(device)
    if (before !== undefined && n <= before.n) return false
    this.#last.set(device, { n, time })
    return true
  }

  since(device: string): string | undefined {
    return this.#last.get(device)?.time
  }
}

/** Ends only with the process, or when nobody reads any more. */
async function goOn(context: Context, { limit: _, ...query }: AuditQuery, seen: Seen): Promise<never> {
  stayAwake()
  for (;;) {
    await pause(systemClock, POLL_MS)
    for (const device of await logsOf(context, query)) await showNew(context, { ...query, device }, seen)
  }
}

/** With a limit, whatever is older than what is shown is not news either: every log goes on from its end. */
async function markEnds(context: Context, query: AuditQuery, seen: Seen): Promise<void> {
  for (const device of await logsOf(context, query)) {
    for await (const record of context.client.audit({ ...query, device, limit: 1 })) seen.add(record)
  }
}

async function logsOf(context: Context, { device }: AuditQuery): Promise<string[]> {
  return device === undefined ? (await context.client.devices()).map(({ did }) => did) : [device]
}

async function showNew(context: Context, query: AuditQuery & { device: string }, seen: Seen): Promise<void> {
  const since = seen.since(query.device) ?? query.since
  for await (const record of context.client.audit({ ...query, ...(since === undefined ? {} : { since }) })) {
    if (seen.add(record)) await show(context, record)
  }
}

async function show({ json, paint }: Context, record: AuditRecordView): Promise<void> {
  await drained(
    process.stdout,
    `${json ? JSON.stringify(record) : recordText(record, record.result === 'denied' || record.result === 'failed' ? paint.bad : paint.dim)}\n`,
  )
}

function recordText(record: AuditRecordView, paint: (text: string) => string): string {
  const { time, deviceName, device, n, action, actor, actorName, result } = record
  const log = `${deviceName ?? shortDid(device)}#${n}`
  const facts = [actorName ?? shortDid(actor), ...factsOf(record)].filter((fact) => fact !== '').map(clean)
  return `${clean(time)}  ${clean(log).padEnd(12)}  ${clean(action).padEnd(13)}  ${paint(clean(result).padEnd(7))}  ${facts.join('  ')}`
}

/** What a refusal adds for whoever is refused; in a log it is old. */
const GRANT_NOTE = / {2}\(grant [^()]*\)/

/** What an entry says besides who, where and when: what it is about, how it ended and why. */
function factsOf(record: AuditRecordView): string[] {
  const { subject, subjectName, command, words, exitCode, signal, why, reason, task } = record
  const about = Array.isArray(command) ? sayCommand(command.map(String)) : subject === null ? '' : `→ ${subjectName ?? shortDid(subject)}`
  const end = typeof exitCode === 'number' ? `exit ${exitCode}` : typeof signal === 'string' ? signal : ''
  const cause = typeof reason === 'string' ? reason.replace(GRANT_NOTE, '') : typeof why === 'string' && why !== 'exit' && why !== 'closed' ? why : ''
  return [about, typeof words === 'string' ? words : '', end, sayCarried(record), cause === '' ? '' : `(${cause})`, task ?? '']
}

/** Of a forward: what came from who asked for it, and what went there. */
function sayCarried({ bytesIn, bytesOut, connections }: AuditRecordView): string {
  if (typeof bytesIn !== 'number' || typeof bytesOut !== 'number') return ''
  return `${bytesIn} bytes in, ${bytesOut} out, ${plural(Number(connections), 'connection')}`
}

export async function verify(context: Context): Promise<number> {
  const seen = await context.client.verifyAudit()
  context.print(seen, () => verifyText(context, seen))
  return seen.ok ? EXIT.ok : EXIT.untrue
}

function verifyText({ paint }: Context, { ok, logs, problems }: AuditVerifyView): string {
  const sum = (of: (log: AuditVerifyView['logs'][number]) => number): number => logs.reduce((total, log) => total + of(log), 0)
  const forks = sum((log) => log.forks)
  const line = [
    plural(logs.length, 'log'),
    `${sum((log) => log.entries).toLocaleString('en')} ${sum((log) => log.entries) === 1 ? 'entry' : 'entries'}`,
    plural(
      sum((log) => log.gaps),
      'gap',
    ),
    ...(forks === 0 ? [] : [plural(forks, 'fork')]),
    `heads witnessed by ≥ ${plural(Math.min(...logs.map((log) => log.witnesses), logs.length === 0 ? 0 : Number.POSITIVE_INFINITY), 'device')}`,
  ].join(' · ')
  return [`${ok ? paint.good('✓') : paint.bad('✗')} ${line}`, ...problems.map((problem) => `  ${paint.bad('!')} ${clean(problem)}`)].join('\n')
}
