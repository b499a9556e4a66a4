/**
 * Talks to a running node over its socket, or its HTTP API: what the command line uses, and what programs import as `errand/client`.
 * Small on purpose: no schemas, no libp2p, no server. It neither starts nor stops nodes.
 */
import type {
  AttachRequest,
  AuditQuery,
  AuditRecordView,
  AuditVerifyView,
  DeviceView,
  DownRequest,
  DownView,
  ExecOutcome,
  ExecRequest,
  GrantRequest,
  GrantView,
  InviteRequest,
  InviteView,
  JoinRequest,
  JoinView,
  ListenRequest,
  OfferedView,
  OfferView,
  RevokeRequest,
  RevokeView,
  Status,
  TaskUpdate,
  TaskView,
} from '../../protocols/local/messages.ts'
import { homeOf, socketPathOf } from '../base/paths.ts'
import { attach, exec } from './exec.ts'
import type { AttachOptions, ExecOptions } from './exec-options.ts'
import { type FanOutcome, type FanRequest, type FanTakers, fanOut } from './fan.ts'
import { JsonDoor } from './http.ts'
import { ManyFaces } from './many.ts'
import type { Waiting } from './runtime-client.ts'
import { ExecFaces } from './upgrade.ts'
import { type Address, atAddress, atSocket, type Where } from './where.ts'

// What its methods take and give, for programs in TypeScript (docs/decisions/0016).
export type {
  AttachRequest,
  AuditQuery,
  AuditRecordView,
  AuditVerifyView,
  Capabilities,
  DeviceView,
  DownRequest,
  DownView,
  ExecAccepted,
  ExecOutcome,
  ExecRequest,
  GrantRequest,
  GrantView,
  InviteAnswer,
  InviteProgressView,
  InviteRequest,
  InviteView,
  JoinRequest,
  JoinView,
  ListenRequest,
  OfferedView,
  OfferView,
  PairRequest,
  PairView,
  RevokeRequest,
  RevokeView,
  RightView,
  Status,
  TaskUpdate,
  TaskView,
} from '../../protocols/local/messages.ts'
export type { SessionClosed, SessionOpened, SessionRequest, SessionView } from '../../protocols/local/sessions.ts'
export { ErrandError } from '../base/errors.ts'
export { homeOf, socketPathOf } from '../base/paths.ts'
export type { AttachOptions, ExecOptions, OutputTaker } from './exec-options.ts'
export type { FanEnd, FanOutcome, FanRequest, FanTakers, FanView } from './fan.ts'
export { type InviteCalls, inviteCalls } from './invite-calls.ts'
export type {
  AttachOptions as AttachStreamOptions,
  ExecuteEnd,
  ExecuteEvent,
  ExecuteOptions,
  ExecuteRequest,
  ExecuteResponse,
  RuntimeClient,
  SubmitTaskRequest,
  Waiting,
} from './runtime-client.ts'
export { type Calls, runtimeOf } from './runtime-of.ts'
export type { Address } from './where.ts'

/** How long an answer may take. Joining dials another device and waits for its owner's node; the rest is local. */
const ANSWER_MS = 30_000
const JOIN_MS = 120_000

export interface Home {
  /** A node's home; without it `$ERRAND_HOME`, else `~/.errand`. */
  readonly home?: string
  /** The socket itself, instead of a home. */
  readonly socketPath?: string
  /** Acts in this session and sees nothing else: its token, its id or its name. */
  readonly session?: string
}

/** Connects nothing yet: every call connects when it has to and keeps warm connections for the next. @throws BAD_ADDRESS */
export function connect(to: Home | Address = {}): LocalClient {
  return 'url' in to ? new LocalClient(to) : new LocalClient(to.socketPath ?? socketPathOf(homeOf(to.home)), to.session)
}

/**
 * Every method rejects with an ErrandError: the node's own, or NO_NODE (at once, when none runs), NODE_GONE, NODE_SILENT, NODE_NEWER, CANCELLED.
 */
export class LocalClient {
  #door: JsonDoor | undefined

  readonly #where: Where
  readonly #faces: ExecFaces

  /** @param to a socket's path, or an address. @param session at a socket, what to act in. @throws BAD_ADDRESS */
  constructor(to: string | Address, session?: string) {
    this.#where = typeof to === 'string' ? atSocket(to, session) : atAddress(to)
    this.#faces = new ExecFaces(this.#where)
  }

  status(o: Waiting = {}): Promise<Status> {
    return this.#get('/api/runtime/status', o)
  }

  devices(o: Waiting = {}): Promise<DeviceView[]> {
    return this.#get('/api/runtime/devices', o)
  }

  /** Agents that devices of the mesh say they host. */
  agents(o: Waiting = {}): Promise<OfferedView[]> {
    return this.#get('/api/runtime/agents', o)
  }

  /** Skills that they lend. */
  skills(o: Waiting = {}): Promise<OfferedView[]> {
    return this.#get('/api/runtime/skills', o)
  }

  /** The newest hundred, newest last; `all`: a thousand. */
  tasks({ all, ...o }: Waiting & { readonly all?: boolean } = {}): Promise<TaskView[]> {
    return this.#get(`/api/runtime/tasks${all === true ? '?all=true' : ''}`, o)
  }

  /** Hands a command over and resolves when its device has taken it on. The same `id` with the same request is the same task. */
  submit(request: Omit<ExecRequest, 'stdin'>, o: Waiting = {}): Promise<TaskView> {
    return this.#post('/api/runtime/tasks/submit', request, o, JOIN_MS)
  }

  /** @param task a whole id, or 6 characters at least of its beginning or end. */
  task(task: string, { events, ...o }: Waiting & { readonly events?: boolean } = {}): Promise<TaskView> {
    return this.#get(`/api/runtime/tasks/${encodeURIComponent(task)}/state${events === true ? '?events=true' : ''}`, o)
  }

  /** Resolves when it has ended. */
  cancel(task: string, o: Waiting = {}): Promise<TaskView> {
    return this.#post(`/api/runtime/tasks/${encodeURIComponent(task)}/cancel`, {}, o)
  }

  pause(task: string, o: Waiting = {}): Promise<TaskView> {
    return this.#post(`/api/runtime/tasks/${encodeURIComponent(task)}/pause`, {}, o)
  }

  resume(task: string, o: Waiting = {}): Promise<TaskView> {
    return this.#post(`/api/runtime/tasks/${encodeURIComponent(task)}/resume`, {}, o)
  }

  /** First the state, then each change; from a cursor on without the state. Aborting, or leaving the loop, ends it. */
  async *watch({ cursor, signal }: Waiting & { readonly cursor?: number } = {}): AsyncGenerator<TaskUpdate> {
    const path = `/api/runtime/events${cursor === undefined ? '' : `?cursor=${cursor}`}`
    yield* this.#open().events<TaskUpdate>({ method: 'GET', path, signal: signal ?? new AbortController().signal })
  }

  /** The output of a task from an offset on. @returns how it ended; undefined when it goes on and `follow` was false. */
  attach(request: AttachRequest, o: AttachOptions = {}): Promise<ExecOutcome | undefined> {
    return attach(this.#faces, request, o)
  }

  grants(o: Waiting = {}): Promise<GrantView[]> {
    return this.#get('/api/runtime/grants', o)
  }

  verifyAudit(o: Waiting = {}): Promise<AuditVerifyView> {
    return this.#get('/api/audit/verify', o)
  }

  invite(request: InviteRequest, o: Waiting = {}): Promise<InviteView> {
    return this.#post('/api/runtime/invites', request, o)
  }

  /** Reads a code without using it: what joining would make of this device, what it would give and get. */
  offer(request: JoinRequest, o: Waiting = {}): Promise<OfferView> {
    return this.#post('/api/runtime/offers', request, o)
  }

  join(request: JoinRequest, o: Waiting = {}): Promise<JoinView> {
    return this.#post('/api/runtime/join', request, o, JOIN_MS)
  }

  /** Where to listen from now on; the node is away for a moment. */
  listen(request: ListenRequest, o: Waiting = {}): Promise<{ addresses: string[] }> {
    return this.#post('/api/runtime/listen', request, o, JOIN_MS)
  }

  grant(request: GrantRequest, o: Waiting = {}): Promise<GrantView[]> {
    return this.#post('/api/runtime/grants', request, o)
  }

  revoke(request: RevokeRequest, o: Waiting = {}): Promise<RevokeView> {
    return this.#post('/api/runtime/revocations', request, o, JOIN_MS)
  }

  /** Resolves once the stop has begun. */
  shutdown(request: DownRequest = {}, o: Waiting = {}): Promise<DownView> {
    return this.#post('/api/runtime/shutdown', request, o)
  }

  /** Records as the node reads them; a slow reader slows the node's reading. Aborting, or leaving the loop, ends the request. */
  async *audit(query: AuditQuery = {}, { signal }: Waiting = {}): AsyncGenerator<AuditRecordView> {
    const filters = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) if (value !== undefined) filters.set(name, String(value))
    const door = this.#open()
    yield* door.lines<AuditRecordView>({ method: 'GET', path: `/api/audit/events?${filters}`, signal: signal ?? new AbortController().signal })
  }

  /**
   * Runs one command on a device and resolves with how it ended, after every byte of output was taken.
   * @throws what the node or the device refused with; then nothing ran.
   */
  exec(request: Omit<ExecRequest, 'stdin'>, o: ExecOptions = {}): Promise<ExecOutcome> {
    return exec(this.#faces, request, o)
  }

  /** Closes the warm connections. Calls made later open new ones. */
  close(): void {
    this.#faces.close()
    this.#door?.close()
    this.#door = undefined
  }

  /** Any route of the local API (`/api/openapi.json` of the node lists them). Waits 120 s for the answer: some of them tell other devices first. */
  async call<T>(method: 'GET' | 'POST', path: string, body?: unknown, o: Waiting & { readonly ms?: number } = {}): Promise<T> {
    return await this.#open().ask<T>({ method, path, body, signal: within(o.ms ?? JOIN_MS, o) })
  }

  #get<T>(path: string, o: Waiting): Promise<T> {
    return this.call('GET', path, undefined, { ms: ANSWER_MS, ...o })
  }

  #post<T>(path: string, body: unknown, o: Waiting, ms = ANSWER_MS): Promise<T> {
    return this.call('POST', path, body, { ms, ...o })
  }

  /** Loaded when first needed: running a command needs no HTTP client, and it is most of what a start costs. */
  #open(): JsonDoor {
    this.#door ??= new JsonDoor(this.#where)
    return this.#door
  }
}

function within(ms: number, { signal }: Waiting): AbortSignal {
  const deadline = AbortSignal.timeout(ms)
  return signal === undefined ? deadline : AbortSignal.any([signal, deadline])
}

/** One command on many devices: which, `request` says; what they print and how they end, the takers of `o` hear. */
export async function fan(to: Home | Address, request: FanRequest, o: FanTakers = {}): Promise<FanOutcome> {
  return await fanOut(new ExecFaces(whereOf(to)), request, o)
}

/** Commands after commands over one connection that stays: for programs that run many of them. Each is as `LocalClient.exec` has it. */
export function warm(to: Home | Address = {}): { exec(request: Omit<ExecRequest, 'stdin'>, o?: ExecOptions): Promise<ExecOutcome>; close(): void } {
  const faces = new ManyFaces(new ExecFaces(whereOf(to)))
  return { exec: (request, o = {}) => exec(faces, request, o), close: () => faces.close() }
}

function whereOf(to: Home | Address): Where {
  return 'url' in to ? atAddress(to) : atSocket(to.socketPath ?? socketPathOf(homeOf(to.home)), to.session)
}
