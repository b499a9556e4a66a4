/**
 * What every face of a node offers its callers, whatever carries it: in the node's own process, over its socket, or through an adapter of
 * somebody else's. Types only. Each face passes test/contract/runtime.ts.
 */

import type { ApprovalView, ApproveRequest, DecisionView, DenyRequest, RightRequest } from '../../protocols/local/approvals.ts'
import type {
  AuditQuery,
  AuditRecordView,
  AuditVerifyView,
  DeviceView,
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
  Status,
  TaskUpdate,
  TaskView,
  WhyRequest,
  WhyView,
} from '../../protocols/local/messages.ts'
import type { SessionClosed, SessionOpened, SessionRequest, SessionView } from '../../protocols/local/sessions.ts'
import type { Terminal } from '../../protocols/task/messages.ts'
import type { WireError } from '../base/errors.ts'

/** Aborting ends the wait, not what the node has already begun; then the call rejects with CANCELLED. */
export interface Waiting {
  readonly signal?: AbortSignal
}

/** A command that is handed over and goes on without its caller. */
export interface SubmitTaskRequest {
  /** A UUID. The same id with the same request is the same task, however often it is submitted. Default: a new one. */
  readonly id?: string
  /** A device's name or DID. The command runs there or nowhere. */
  readonly device: string
  /** The program and its arguments; no shell in between. */
  readonly command: readonly string[]
  /** Absolute path there. Default: the home of the node's user. */
  readonly workDir?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Milliseconds; then the command is ended. Default: none but the right's. */
  readonly timeout?: number
  /** Whom it runs as there. Default: the node's user. */
  readonly user?: string
  /** On whose behalf, and when it was asked for: the caller's word, kept in the task's metadata. Who submitted it is proven, and in `submittedBy`. */
  readonly requestedBy?: string
  readonly requestTime?: string
  /** May be run again when it is not known how far it came. */
  readonly idempotent?: boolean
  readonly description?: string
  readonly input?: string
  readonly prompt?: string
  readonly agent?: string
  /** An open session of this node to run it in: its id or its name. */
  readonly session?: string
  /** Id of the task that this one is a part of. */
  readonly parent?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly context?: Readonly<Record<string, unknown>>
}

/** A command that its caller stays with: it ends when the caller leaves. */
export interface ExecuteRequest extends SubmitTaskRequest {
  /** All of the command's input. Text is sent as UTF-8. Default: empty. */
  readonly stdin?: Uint8Array | string
  /** Input that goes on comes by `executeInteractive`, which sets this; elsewhere true is refused. */
  readonly interactive?: boolean
  /** A terminal for the command. Everything it prints is `stdout` then. */
  readonly tty?: boolean
  /** Which one. Default: 80 × 24 of a plain kind. */
  readonly terminal?: Terminal
}

/** How a command ended. Times are ISO 8601, by the clock of its device. */
export interface ExecuteEnd {
  readonly id: string
  readonly device: string
  /** null when a signal ended it, or nobody knows. */
  readonly exitCode: number | null
  readonly signal: string | null
  /** One reason: `exit`, `timeout`, `cancelled`, `limit`, `lost`, `revoked`, … */
  readonly why: string
  readonly startTime: string
  readonly endTime: string
  /** Milliseconds. */
  readonly duration: number
  /** What ended it, when that was neither itself nor a cancel: TIMED_OUT, OUTPUT_LIMIT, REVOKED, LOST, … */
  readonly error: WireError | null
  readonly cancelled: boolean
  readonly stdoutBytes: number
  readonly stderrBytes: number
}

export interface ExecuteResponse extends ExecuteEnd {
  readonly stdout: Uint8Array
  readonly stderr: Uint8Array
}

/** What is heard of a command, in order. The bytes are the reader's. */
export type ExecuteEvent =
  /** All places of the device are taken; so many stand before it, and itself. */
  | { readonly t: 'queued'; readonly id: string; readonly place: number }
  /** People have to approve it first; `have` of them did. */
  | { readonly t: 'waiting'; readonly id: string; readonly message: string; readonly need: number; readonly have: number }
  /** The start is in the log of its device. */
  | { readonly t: 'started'; readonly id: string; readonly device: string; readonly startTime: string }
  | { readonly t: 'printed'; readonly fd: 1 | 2; readonly bytes: Uint8Array }
  /** So many bytes of output are not kept any more. */
  | { readonly t: 'skipped'; readonly bytes: number }
  /** The last. */
  | { readonly t: 'ended'; readonly end: ExecuteEnd }

export interface ExecuteOptions {
  /** Asks the device to end the command; the call still answers with how it ended, `cancelled` being true. */
  readonly signal?: AbortSignal
}

export interface AttachOptions extends Waiting {
  /** Offset of the first byte that is wanted; stdout and stderr share one. Default 0. */
  readonly from?: number
  /** False: what there is by now; then there is no `ended` while the task goes on. Default true. */
  readonly follow?: boolean
}

/**
 * The one door of a node. `task` is a whole id, or 6 characters at least of its beginning or end.
 * Every method rejects with an ErrandError, and every stream throws one: go by its `code`; `hint` says what to do.
 * A command that ended badly is an answer; an error means that nothing ran, or that nobody knows (`LINK_LOST`).
 */
export interface RuntimeClient {
  getStatus(o?: Waiting): Promise<Status>
  listDevices(o?: Waiting): Promise<DeviceView[]>
  /** Agents that devices of the mesh say they host, and skills that they lend. */
  listAgents(o?: Waiting): Promise<OfferedView[]>
  listSkills(o?: Waiting): Promise<OfferedView[]>
  /** The newest hundred, newest last; `all`: a thousand. */
  listTasks(o?: Waiting & { readonly all?: boolean }): Promise<TaskView[]>
  /** Resolves when its device has taken it on. @throws DENIED, NO_ROUTE, UNKNOWN_DEVICE, COMMAND_NOT_FOUND, TASK_EXISTS, TOO_BUSY */
  submitTask(request: SubmitTaskRequest, o?: Waiting): Promise<TaskView>
  /** @throws NO_SUCH_TASK, AMBIGUOUS_TASK, DENIED */
  getTask(task: string, o?: Waiting & { readonly events?: boolean }): Promise<TaskView>
  /** Resolves when it has ended. @throws NO_SUCH_TASK, TASK_OVER, DENIED */
  cancelTask(task: string, o?: Waiting): Promise<TaskView>
  pauseTask(task: string, o?: Waiting): Promise<TaskView>
  resumeTask(task: string, o?: Waiting): Promise<TaskView>
  /** First the state, then each change; from a cursor on without the state. Who falls behind gets a gap and the state anew. Aborting ends it. */
  streamTaskUpdates(o?: Waiting & { readonly cursor?: number }): AsyncIterable<TaskUpdate>
  /** Output of a task from an offset on, and how it ends. Leaving the loop leaves the task alone. */
  attach(task: string, o?: AttachOptions): AsyncIterable<ExecuteEvent>
  /** Runs a command and holds all that it prints. @throws OUTPUT_TOO_LARGE beyond `maxOutputBytes` (default 64 MiB); the command is ended then. */
  execute(request: ExecuteRequest, o?: ExecuteOptions & { readonly maxOutputBytes?: number }): Promise<ExecuteResponse>
  /** The same as it happens. A reader that stops, stops the command's output; leaving the loop ends the command. */
  executeStream(request: ExecuteRequest, o?: ExecuteOptions): AsyncIterable<ExecuteEvent>
  /** The same with input that goes on. It is read as fast as the command reads; its end is the command's end of input. */
  executeInteractive(request: ExecuteRequest, stdin: AsyncIterable<Uint8Array>, o?: ExecuteOptions): AsyncIterable<ExecuteEvent>
}

/** What only the owner of a device does: who belongs to the mesh, who may do what, and what the logs say. */
export interface OwnerClient {
  invite(request: InviteRequest, o?: Waiting): Promise<InviteView>
  /** Reads a code without using it: what joining would make of this device, what it would give and get. @throws BAD_INVITE */
  readOffer(request: JoinRequest, o?: Waiting): Promise<OfferView>
  /** What has become of an invite; with `after`, the next that does, within 20 s. @throws NO_SUCH_INVITE */
  watchInvite(id: string, o?: Waiting & { readonly after?: number }): Promise<InviteProgressView>
  /** Lets in, or not, the device that waits with an invite. @throws NO_SUCH_INVITE, NOBODY_WAITS */
  answerInvite(id: string, answer: InviteAnswer, o?: Waiting): Promise<InviteProgressView>
  /** The one try of a short code. @throws BAD_CODE before anything is tried; WRONG_CODE, CODE_UNKNOWN, NO_INVITER, NO_ROUTE */
  pair(request: PairRequest, o?: Waiting): Promise<PairView>
  /** @throws JOIN_HELD while somebody on the inviting device has yet to say yes: ask again. */
  join(request: JoinRequest, o?: Waiting): Promise<JoinView>
  grant(request: GrantRequest, o?: Waiting): Promise<GrantView[]>
  listGrants(o?: Waiting): Promise<GrantView[]>
  revoke(request: RevokeRequest, o?: Waiting): Promise<RevokeView>
  /** What waits for a yes of this device; with `mine`, the rights that it has asked for. */
  approvals(o?: Waiting & { readonly mine?: boolean }): Promise<ApprovalView[]>
  /** `intent` is that of the view: what waits under the id by then and is something else is not approved. @throws NO_SUCH_REQUEST, REFUSED_OTHER_INTENT, REFUSED_SELF_APPROVAL, DENIED */
  approve(id: string, request?: ApproveRequest, o?: Waiting): Promise<DecisionView>
  deny(id: string, request?: DenyRequest, o?: Waiting): Promise<DecisionView>
  /** Asks those who could grant it; the grant comes by itself. */
  requestRight(request: RightRequest, o?: Waiting): Promise<ApprovalView>
  /** Whether a command would run on a device, and why. Runs nothing. */
  why(request: WhyRequest, o?: Waiting): Promise<WhyView>
  /** Rights of its own for a while; `token` lets whoever has it act in the session and do nothing else. @throws CANNOT_GRANT, BAD_SESSION */
  openSession(request: SessionRequest, o?: Waiting): Promise<SessionOpened>
  listSessions(o?: Waiting): Promise<SessionView[]>
  /** @throws NO_SUCH_SESSION */
  getSession(session: string, o?: Waiting): Promise<SessionView>
  /** Ends what runs in it. @throws NO_SUCH_SESSION, DENIED when it is over */
  closeSession(session: string, o?: Waiting): Promise<SessionClosed>
  /** Where to listen from now on; the node is away for a moment. */
  listen(request: ListenRequest, o?: Waiting): Promise<{ addresses: string[] }>
  audit(query?: AuditQuery, o?: Waiting): AsyncIterable<AuditRecordView>
  verifyAudit(o?: Waiting): Promise<AuditVerifyView>
  /** Any route of the local API that answers with one document; `/api/openapi.json` and protocols/local list them. The answer is what that says. */
  call<T>(method: 'GET' | 'POST', path: string, body?: unknown, o?: Waiting): Promise<T>
}

/**
 * A face that errand does not have: serves callers of its own transport by calling the runtime, as the owner of this device.
 * Who those callers are, and what they may ask for, is the adapter's to know. See docs/adapters.md.
 */
export interface Adapter {
  /** For words. */
  readonly name: string
  /** Resolves when it can be used. @returns the stop: no calls are made after it has resolved. */
  start(runtime: RuntimeClient): Promise<() => Promise<void>>
}
