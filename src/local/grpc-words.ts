/** The gRPC face's messages (protocols/local/exec.proto) and the runtime's words for the same things, both ways. Pure; asks nobody. */
import * as v from 'valibot'
import type { DeviceView, ExecOutcome, Status, TaskUpdate, TaskView } from '../../protocols/local/messages.ts'
import { ExecRequest } from '../../protocols/local/messages.ts'
import { Terminal } from '../../protocols/task/messages.ts'
import { ErrandError } from '../base/errors.ts'
import { checked } from './door.ts'
import { endOf } from './runtime-of.ts'

/** An answer, and each piece of a state, stays below this: clients refuse messages of more than 4 MiB unless they are told otherwise. */
export const MAX_ANSWER_BYTES = 3 << 20
/** The longest time that a request may give a command. */
const MAX_TIMEOUT_MS = 3_650 * 86_400_000

const Seconds = v.object({ seconds: v.optional(v.number(), 0), nanos: v.optional(v.number(), 0) })

/** As the library reads it: every field may be missing, those of another version are gone already. */
const Asked = v.object({
  ...v.partial(v.object({ id: v.string(), device: v.string(), command: v.array(v.string()), user: v.string(), description: v.string() })).entries,
  ...v.partial(
    v.object({ workDir: v.string(), environment: v.record(v.string(), v.string()), timeout: Seconds, requestedBy: v.string(), requestTime: Seconds }),
  ).entries,
  ...v.partial(v.object({ input: v.string(), prompt: v.string(), agent: v.string(), session: v.string(), parent: v.string() })).entries,
  ...v.partial(v.object({ metadata: v.record(v.string(), v.string()), contextJson: v.string(), idempotent: v.boolean() })).entries,
  ...v.partial(v.object({ stdin: v.instance(Uint8Array), interactive: v.boolean(), tty: v.boolean(), terminal: v.nullable(Terminal) })).entries,
})

export interface ReadRequest {
  readonly request: Omit<ExecRequest, 'stdin'>
  /** All of the input; undefined when there is none. */
  readonly stdin: Uint8Array | undefined
  readonly isInteractive: boolean
}

/** @param leftMs what is left of the call's deadline. @throws BAD_REQUEST, UNSUPPORTED */
export function readRequest(message: unknown, leftMs: number | undefined): ReadRequest {
  const { workDir, environment, timeout, stdin, interactive, terminal, requestedBy, requestTime, contextJson, ...same } = checked(Asked, message)
  const timeoutMs = shorter(timeout === undefined ? undefined : msOf(timeout), leftMs)
  const context = contextJson === undefined ? undefined : objectIn(contextJson)
  const behalf = definedOnly({ requestedBy, requestTime: requestTime === undefined ? undefined : new Date(msOf(requestTime)).toISOString() })
  const metadata = { ...same.metadata, ...behalf }
  const said = {
    ...same,
    device: same.device ?? '',
    command: same.command ?? [],
    cwd: workDir,
    env: environment,
    timeoutMs,
    terminal: terminal ?? undefined,
    context,
    metadata: any(metadata),
  }
  const { stdin: _none, ...request } = checked(ExecRequest, definedOnly(said))
  return { request, stdin, isInteractive: interactive === true }
}

function msOf({ seconds, nanos }: { seconds: number; nanos: number }): number {
  return seconds * 1_000 + Math.ceil(nanos / 1e6)
}

function any<T extends object>(map: T): T | undefined {
  return Object.keys(map).length === 0 ? undefined : map
}

function shorter(timeoutMs: number | undefined, leftMs: number | undefined): number | undefined {
  if (leftMs === undefined || leftMs > MAX_TIMEOUT_MS) return timeoutMs
  return Math.min(timeoutMs ?? leftMs, Math.max(1, Math.ceil(leftMs)))
}

function objectIn(json: string): unknown {
  try {
    const value: unknown = JSON.parse(json)
    if (!Array.isArray(value)) return value
  } catch (cause) {
    throw new ErrandError('BAD_REQUEST', 'context_json is not JSON', { cause })
  }
  throw new ErrandError('BAD_REQUEST', 'context_json is a list', { hint: 'it has to be an object' })
}

/** @param output what of it goes into the answer itself. */
export function responseOf(outcome: ExecOutcome, output: { stdout?: Uint8Array; stderr?: Uint8Array; omittedBytes?: number } = {}): object {
  const { startTime, endTime, duration, ...same } = endOf(outcome)
  const times = { startTime: stampOf(startTime), endTime: stampOf(endTime), duration: spanOf(duration) }
  return definedOnly({ ...same, ...times, ...output, droppedBytes: outcome.droppedBytes })
}

export function taskOf(view: TaskView): object {
  const { task, submittedBy, createdAt, startedAt, endedAt, context, events, progress, receipt: _none, ...same } = view
  return definedOnly({
    ...{ ...same, id: task, requestedBy: submittedBy, requestTime: stampOf(createdAt), startTime: stampOf(startedAt), endTime: stampOf(endedAt) },
    ...{ contextJson: jsonOf(context), eventsJson: events?.map((event) => JSON.stringify(event)) },
    progress: progress === null ? undefined : definedOnly({ percent: progress.percent, text: progress.text, dataJson: jsonOf(progress.data) }),
  })
}

/** The newest that fit. @param tasks newest last. */
export function taskListOf(tasks: readonly TaskView[]): object {
  let bytes = 0
  const kept = [...tasks].reverse().filter((task) => {
    bytes += bytesOf(task)
    return bytes <= MAX_ANSWER_BYTES
  })
  return { tasks: kept.reverse().map(taskOf), omitted: tasks.length - kept.length }
}

/** A state may be large; it goes in pieces. */
export function* updatesOf(update: TaskUpdate): Generator<object> {
  if (update.t === 'gap') yield { gap: { from: update.from, to: update.to } }
  else if (update.t === 'changed') yield { changed: { cursor: update.cursor, eventJson: JSON.stringify(update.event), task: taskOf(update.task) } }
  else {
    const pieces = piecesOf(update.tasks)
    for (const [i, tasks] of pieces.entries()) yield { state: { cursor: update.cursor, tasks: tasks.map(taskOf), complete: i === pieces.length - 1 } }
  }
}

function piecesOf(tasks: readonly TaskView[]): TaskView[][] {
  const pieces: TaskView[][] = [[]]
  let bytes = 0
  for (const task of tasks) {
    bytes += bytesOf(task)
    if (bytes > MAX_ANSWER_BYTES / 3) {
      pieces.push([])
      bytes = bytesOf(task)
    }
    pieces.at(-1)?.push(task)
  }
  return pieces
}

export function deviceOf(view: DeviceView): object {
  return definedOnly({ ...view, lastSeen: stampOf(view.lastSeen) })
}

export function statusMessageOf(status: Status): object {
  const { mesh, uptimeSeconds, devices, tasks, ...same } = status
  return definedOnly({
    ...{ ...same, meshId: mesh?.id, meshName: mesh?.name, uptime: spanOf(uptimeSeconds * 1_000) },
    ...{ devicesKnown: devices.known, devicesOnline: devices.online, tasksActive: tasks.active, tasksTotal: tasks.total },
  })
}

/** The library's Timestamp. The beginning of time is no time. */
export function stampOf(iso: string | null): { seconds: number; nanos: number } | undefined {
  const ms = iso === null ? 0 : Date.parse(iso)
  return ms === 0 ? undefined : spanOf(ms)
}

function spanOf(ms: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(ms / 1_000), nanos: Math.round((ms % 1_000) * 1e6) }
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}

function jsonOf(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value)
}

/** What is not set is not sent. */
function definedOnly(from: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined && value !== null))
}
