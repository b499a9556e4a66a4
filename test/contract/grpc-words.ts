/** The words of exec.proto and those of the runtime, as a client has to know them. What is not set in a message is not there. */
import type { ServiceError } from '@grpc/grpc-js'
import type { DeviceView, Status, TaskUpdate, TaskView } from '../../protocols/local/messages.ts'
import { ErrandError } from '../../src/base/errors.ts'
import type { ExecuteEnd, ExecuteEvent, ExecuteRequest } from '../../src/local/runtime-client.ts'
import type { Message } from '../unit/local/grpc-world.ts'

/** A test's claim about the contract: messages of exec.proto hold what their types say. */
type Said = Record<string, never>

export function requestIn(request: ExecuteRequest | null): Message {
  const { timeout, requestTime, context, stdin, command, ...same } = request ?? ({} as ExecuteRequest)
  return {
    ...{ ...same, command: [...(command ?? [])] },
    ...(timeout === undefined ? {} : { timeout: spanOf(timeout) }),
    ...(requestTime === undefined ? {} : { requestTime: spanOf(Date.parse(requestTime)) }),
    ...(context === undefined ? {} : { contextJson: JSON.stringify(context) }),
    ...(stdin === undefined ? {} : { stdin: Buffer.from(stdin) }),
  }
}

function spanOf(ms: number): Message {
  return { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1e6 }
}

function msIn(span: unknown): number {
  const { seconds = 0, nanos = 0 } = (span ?? {}) as { seconds?: number; nanos?: number }
  return seconds * 1_000 + Math.round(nanos / 1e6)
}

function timeIn(stamp: unknown): string | null {
  return stamp === undefined || stamp === null ? null : new Date(msIn(stamp)).toISOString()
}

export function list(value: unknown): Message[] {
  return Array.isArray(value) ? value : []
}

export function listOf<T>(value: unknown): T[] {
  return Array.isArray(value) ? value : []
}

export function taskIn(message: Message): TaskView {
  const { id, requestedBy, requestTime, startTime, endTime, progress, contextJson, eventsJson, metadata, ...same } = message as Said
  const events = listOf<string>(eventsJson)
  return {
    ...{ exitCode: null, signal: null, message: null, place: null, attempts: 0, detached: false, stdoutBytes: 0, stderrBytes: 0, receipt: null },
    ...{ device: '', command: [], why: '', state: 'PENDING' as const, ...same, task: id ?? '', submittedBy: requestedBy ?? '' },
    ...{ createdAt: timeIn(requestTime) ?? '', startedAt: timeIn(startTime), endedAt: timeIn(endTime), progress: progressIn(progress) },
    ...(Object.keys(metadata ?? {}).length === 0 ? {} : { metadata: metadata ?? {} }),
    ...(contextJson === undefined ? {} : { context: JSON.parse(contextJson) }),
    ...(events.length === 0 ? {} : { events: events.map((event): object => JSON.parse(event)) }),
  }
}

function progressIn(message: unknown): TaskView['progress'] {
  if (message === undefined || message === null) return null
  const { dataJson, percent, text } = message as { dataJson?: string; percent?: number; text?: string }
  return {
    ...(percent === undefined ? {} : { percent }),
    ...(text === undefined ? {} : { text }),
    ...(dataJson === undefined ? {} : { data: JSON.parse(dataJson) }),
  }
}

export function endIn(message: Message): ExecuteEnd {
  const { startTime, endTime, duration, error } = message as Said
  const named = { id: '', device: '', why: '', exitCode: null, signal: null, cancelled: false, stdoutBytes: 0, stderrBytes: 0, ...(message as Said) }
  return { ...named, error: error ?? null, startTime: timeIn(startTime) ?? '', endTime: timeIn(endTime) ?? '', duration: msIn(duration) }
}

export function eventIn(message: Message): ExecuteEvent {
  const { event, queued, waits, accepted, stdout, stderr, skipped, ended } = message as Record<string, Said & Message>
  if (waits !== undefined)
    return { t: 'waiting', id: String(waits['id']), message: String(waits['message']), need: Number(waits['need']), have: Number(waits['have'] ?? 0) }
  if (queued !== undefined) return { t: 'queued', id: '', place: 0, ...queued }
  if (accepted !== undefined) {
    const { startTime, ...same } = accepted
    return { t: 'started', id: '', device: '', ...same, startTime: timeIn(startTime) ?? '' }
  }
  if (stdout instanceof Uint8Array) return { t: 'printed', fd: 1, bytes: stdout }
  if (stderr instanceof Uint8Array) return { t: 'printed', fd: 2, bytes: stderr }
  if (skipped !== undefined) return { t: 'skipped', bytes: Number(skipped['bytes'] ?? 0) }
  if (ended !== undefined) return { t: 'ended', end: endIn(ended) }
  throw new Error(`an event of no kind: ${String(event)}`)
}

/** @param tasks of a state that comes in pieces: filled, and emptied with the last. @returns undefined for all pieces but the last. */
export function updateIn(message: Message, tasks: TaskView[]): TaskUpdate | undefined {
  const { state, changed, gap } = message as Record<string, Said & Message>
  if (gap !== undefined) return { t: 'gap', from: gap['from'] ?? 0, to: gap['to'] ?? 0 }
  if (changed !== undefined) {
    return { t: 'changed', cursor: changed['cursor'] ?? 0, event: JSON.parse(changed['eventJson'] ?? '{}'), task: taskIn(changed['task'] ?? {}) }
  }
  tasks.push(...list(state?.['tasks']).map(taskIn))
  return state?.['complete'] === true ? { t: 'state', cursor: state['cursor'] ?? 0, tasks: tasks.splice(0) } : undefined
}

export function deviceIn(message: Message): DeviceView {
  const { lastSeen, path, ...same } = message as Said
  const none = { name: '', did: '', peerId: '', online: false, rttMs: null, labels: {}, capabilities: null, addresses: [] }
  return { ...none, ...same, path: path ?? null, lastSeen: timeIn(lastSeen) }
}

export function statusIn(message: Message): Status {
  const { meshId, meshName, uptime, devicesKnown, devicesOnline, tasksActive, tasksTotal, ...same } = message as Said
  const counts = { devices: { known: devicesKnown ?? 0, online: devicesOnline ?? 0 }, tasks: { active: tasksActive ?? 0, total: tasksTotal ?? 0 } }
  const none = { ready: false, healthy: false, apiVersion: 0, did: '', peerId: '', name: '', words: '', version: '', pid: 0, addresses: [], problems: [] }
  const rest = { mesh: meshId === undefined ? null : { id: meshId, name: meshName ?? '' }, uptimeSeconds: msIn(uptime) / 1_000, api: null }
  return { ...none, ...counts, ...rest, preset: null, mode: 'local-only', ...same }
}

/** What gRPC itself ended has no code of ours. */
const OF_GRPC: Readonly<Record<number, string>> = { 1: 'CANCELLED', 4: 'CANCELLED', 8: 'TOO_LARGE', 14: 'NODE_GONE' }

export function errorOf({ code, details, message, metadata }: ServiceError): Error {
  const [ours, hint, fields] = ['errand-code', 'errand-hint-bin', 'errand-fields-bin'].map((name) => metadata?.get(name)[0]?.toString())
  const facts = { hint: hint ?? 'a message holds up to 1 MiB', fields: JSON.parse(fields ?? '{}') }
  return new ErrandError(ours ?? OF_GRPC[code] ?? `GRPC_${code}`, details ?? message, facts)
}
