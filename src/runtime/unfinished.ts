/**
 * Commands that a killed daemon left without an end in the log. They are over: the exec-host ends everything when its daemon goes.
 * The log says so at the next start, as `lost`, never as success.
 */
import type { AuditRecord, Fact } from '../audit/facts.ts'
import { query } from '../audit/query.ts'
import type { LogReader } from '../audit/segments.ts'
import { asDid, type Did } from '../identity/identity.ts'

/** How far back is looked: more commands than a device runs at once, many times over. */
const LOOK_BACK = 10_000

/** Own starts without an end. Call before anything can run. */
export async function findUnfinished(on: { readonly logs: LogReader; readonly self: Did }): Promise<AuditRecord[]> {
  const open = new Map<string, AuditRecord>()
  for await (const found of query(on.logs, { device: on.self, action: 'exec.', limit: LOOK_BACK })) {
    if (found.t === 'problem' || found.record.task === null) continue
    if (found.record.action === 'exec.start') open.set(found.record.task, found.record)
    else open.delete(found.record.task)
  }
  return [...open.values()]
}

/** Records that they were lost. Waits, like every append, until the log takes entries again after a restore. */
export async function endUnfinished(starts: readonly AuditRecord[], audit: { append(fact: Fact): Promise<unknown> }): Promise<void> {
  for (const { actor, task, grant, command, requestedBy, startTime } of starts) {
    await audit.append({
      actor: asDid(actor),
      action: 'exec.end',
      result: 'failed',
      task,
      grant,
      details: {
        why: 'lost',
        reason: 'the daemon of this device was killed while it ran',
        ...(command === null ? {} : { command: [...command] }),
        ...(requestedBy === null ? {} : { requestedBy }),
        ...(startTime === null ? {} : { startTime: Date.parse(startTime) }),
      },
    })
  }
}
