/** What the logs say, in the words of the local API: questions to all of them, and the proof that nothing in them was changed. */
import type { AuditQuery, AuditRecordView, AuditVerifyView } from '../../protocols/local/messages.ts'
import type { AuditRecord } from '../audit/facts.ts'
import { query } from '../audit/query.ts'
import type { LogReader } from '../audit/segments.ts'
import { verifyLogs } from '../audit/verify.ts'
import type { Witnesses } from '../audit/witness.ts'
import { ErrandError } from '../base/errors.ts'
import { type Did, isDid } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import { sayProblems } from './audit-words.ts'
import { brokenLines } from './log-line.ts'

export interface AuditDeskOn {
  readonly self: Did
  readonly directory: Directory
  readonly logs: LogReader
  readonly witnesses: Witnesses
  /** Asks the connected devices for the news of their logs; bounded. */
  readonly refreshLogs: () => Promise<void>
}

export class AuditDesk {
  constructor(private readonly on: AuditDeskOn) {}

  /** @throws LOG_DAMAGED at the first entry that does not verify: no answer is better than a false one. */
  async *query(q: AuditQuery): AsyncIterable<AuditRecordView> {
    const { device, actor, since, until, ...rest } = q
    await this.on.refreshLogs()
    const found = query(this.on.logs, {
      ...definedOnly(rest),
      ...(device === undefined ? {} : { device: this.#deviceDid(device) }),
      ...(actor === undefined ? {} : { actor: this.#actorDid(actor) }),
      ...(since === undefined ? {} : { since: Date.parse(since) }),
      ...(until === undefined ? {} : { until: Date.parse(until) }),
    })
    for await (const one of found) {
      if (one.t === 'problem') throw new ErrandError('LOG_DAMAGED', one.problem.words, { hint: 'errand audit verify names everything that is wrong' })
      yield this.#record(one.record)
    }
  }

  async verify(): Promise<AuditVerifyView> {
    await this.on.refreshLogs()
    const report = await verifyLogs(this.on.logs, { own: this.on.self, witnesses: this.on.witnesses })
    const broken = await brokenLines(this.on, report.logs)
    return {
      ok: report.ok && broken.length === 0,
      logs: report.logs.map((log) => ({
        device: log.device,
        name: this.on.directory.nameOf(log.device) ?? null,
        entries: log.entries,
        gaps: log.gaps,
        head: log.head ?? '',
        witnesses: log.witnesses,
        forks: log.forks,
        behind: log.behind,
      })),
      problems: [...sayProblems(report.problems), ...broken],
    }
  }

  #record(record: AuditRecord): AuditRecordView {
    const { device, actor, subject } = record
    const { directory } = this.on
    return {
      ...record,
      deviceName: directory.nameOf(device) ?? null,
      actorName: nameIn(directory, actor),
      subjectName: subject === null ? null : nameIn(directory, subject),
    }
  }

  #deviceDid(text: string): Did {
    return isDid(text) ? text : this.on.directory.resolve(text)
  }

  #actorDid(text: string): string {
    return isDid(text) ? text : this.on.directory.resolve(text)
  }
}

function nameIn(directory: Directory, did: string): string | null {
  const name = directory.named(did)
  return name === did ? null : name
}

/** `exactOptionalPropertyTypes`: an absent filter is absent, not undefined. */
function definedOnly<T extends object>(from: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> }
}
