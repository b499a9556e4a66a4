/**
 * The one door: everything that can be asked of a node, whatever the transport. Knows no HTTP, no libp2p and no command line.
 * Its faces (in-process, local socket, other devices) all come through here.
 */

import type { ChooseRequest, ChosenView, FanRequest, FanStand, FanView } from '../../protocols/local/fans.ts'
import type {
  AttachRequest,
  AuditQuery,
  AuditRecordView,
  AuditVerifyView,
  DeviceView,
  DownRequest,
  DownView,
  ExecRequest,
  ExportGrantRequest,
  ExportView,
  GrantRequest,
  GrantView,
  ImportGrantRequest,
  ImportView,
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
import type { FrameLink } from '../base/frames.ts'
import type { ApprovalRoom } from './approval-desk.ts'
import type { DeviceRoom } from './device-desk.ts'
import type { ForwardRoom } from './forwarder.ts'
import type { GroupRoom } from './group-desk.ts'
import type { OrderRoom } from './order-desk.ts'
import type { OwnerRoom } from './owner-desk.ts'
import type { RecoveryRoom } from './recovery-desk.ts'
import type { RoleRoom } from './role-desk.ts'
import type { SuccessionRoom } from './succession-desk.ts'

/** Who asks, and by which door. For the local socket: the owner of the socket, acting as this device. */
export interface Actor {
  readonly did: string
  readonly via: 'local' | 'libp2p'
  /** In which session, by its id: then what this caller gets is `inSession` of it. */
  readonly session?: string
}

export interface Runtime {
  getStatus(): Promise<Status>
  listDevices(): Promise<DeviceView[]>
  /** Agents that devices of the mesh say they host, and skills that they lend. */
  listAgents(): Promise<OfferedView[]>
  listSkills(): Promise<OfferedView[]>
  listTasks(o?: { all?: boolean }): Promise<TaskView[]>
  /** Hands a command over; returns when its device has taken it on. The same id with the same request is the same task. @throws TASK_EXISTS */
  submitTask(actor: Actor, request: ExecRequest): Promise<TaskView>
  /** @param task a whole id, or 6 characters at least of its beginning or end. @throws NO_SUCH_TASK, AMBIGUOUS_TASK */
  getTask(task: string, o?: { events?: boolean }): Promise<TaskView>
  /** Resolves when it has ended, 8 s later at most. @throws NO_SUCH_TASK, TASK_OVER, DENIED */
  cancelTask(actor: Actor, task: string): Promise<TaskView>
  pauseTask(actor: Actor, task: string): Promise<TaskView>
  resumeTask(actor: Actor, task: string): Promise<TaskView>
  /** First the state, then each change; from a cursor on without the state. A reader that falls behind gets a gap, and the state anew. */
  streamTaskUpdates(o: { cursor?: number; signal: AbortSignal }): AsyncIterable<TaskUpdate>
  /** Output of a task from an offset on, and how it ends, as frames on `link`. */
  attach(actor: Actor, request: AttachRequest, link: FrameLink, o: { signal: AbortSignal }): Promise<void>
  /** Runs one command on a named device; output, input and the outcome travel as frames on `link`. Aborting cancels the command. */
  exec(actor: Actor, request: ExecRequest, link: FrameLink, o: { signal: AbortSignal }): Promise<void>
  /** Ways through devices, to TCP ports that they reach or listen on. */
  readonly forwards: ForwardRoom
  invite(actor: Actor, request: InviteRequest): Promise<InviteView>
  /** Reads a code without using it. @throws BAD_INVITE */
  readOffer(request: JoinRequest): Promise<OfferView>
  /** What has become of an invite; with `after`, the next that does, within 20 s. @throws NO_SUCH_INVITE */
  watchInvite(id: string, o: { after?: number | undefined; signal: AbortSignal }): Promise<InviteProgressView>
  /** Lets in, or not, whoever waits with an invite. @throws NO_SUCH_INVITE, NOBODY_WAITS */
  answerInvite(actor: Actor, id: string, answer: InviteAnswer): Promise<InviteProgressView>
  /** The one try of a short code. @throws BAD_CODE before anything is tried; WRONG_CODE, CODE_UNKNOWN, NO_ROUTE */
  pair(actor: Actor, request: PairRequest): Promise<PairView>
  join(actor: Actor, request: JoinRequest): Promise<JoinView>
  grant(actor: Actor, request: GrantRequest): Promise<GrantView[]>
  listGrants(): Promise<GrantView[]>
  revoke(actor: Actor, request: RevokeRequest): Promise<RevokeView>
  readonly bridge: BridgeRoom
  /** Whether a command would run, and why; runs nothing. @throws UNKNOWN_DEVICE */
  why(actor: Actor, request: WhyRequest): Promise<WhyView>
  readonly sessions: SessionRoom
  /** What there is for a caller in this session, and nothing else. @throws NO_SUCH_SESSION, DENIED when it is over */
  inSession(session: string): Runtime
  audit(query: AuditQuery): AsyncIterable<AuditRecordView>
  verifyAudit(): Promise<AuditVerifyView>
  /** Listens where a preset says, from now on. @throws BUSY while commands run; LISTEN_GIVEN when addresses were named. */
  listen(actor: Actor, request: ListenRequest): Promise<{ addresses: string[] }>
  /** What waits for somebody's yes. */
  readonly approvals: ApprovalRoom
  /** What an owner decides for the whole mesh. */
  readonly orders: OrderRoom
  /** Who owns the mesh, and how that changes. */
  readonly owners: OwnerRoom
  /** What the words for an emergency decide. */
  readonly recovery: RecoveryRoom
  /** A new key for this device. */
  readonly succession: SuccessionRoom
  /** What an owner decides about devices: removal, trust, lockdown. */
  readonly devices: DeviceRoom
  /** Named bundles of rights, and who has them. */
  readonly roles: RoleRoom
  /** Devices under one name. */
  readonly groups: GroupRoom
  /** One command on many devices. */
  readonly fans: FanRoom
  /** Stops the node; with `drainMs` it takes no new work and waits that long for the running. Resolves once the stop has begun. */
  shutdown(actor: Actor, request: DownRequest): Promise<DownView>
}

/** Rights of their own for a while, a view of the tasks and a trail apart. A session is named by its id, a part of it, or its name while it is open. */
export interface SessionRoom {
  /** The token is told here and never again. @throws CANNOT_GRANT, BAD_SESSION, BAD_RIGHT */
  open(request: SessionRequest): Promise<SessionOpened>
  /** Those that are open, and the last ones that ended. */
  list(): Promise<SessionView[]>
  /** @throws NO_SUCH_SESSION */
  get(session: string): Promise<SessionView>
  /** Ends what runs in it on every device that can be told. @throws NO_SUCH_SESSION, DENIED when it is over */
  close(session: string): Promise<SessionClosed>
  /** The id of the open session that a token or a name stands for. @throws NO_SUCH_SESSION, DENIED when it is over */
  enter(credential: string): Promise<string>
}

/** One command on many devices, each a task of its own under one that is the whole. */
export interface FanRoom {
  /** Which devices it would go to. @throws BAD_EXPRESSION, NO_DEVICE_FITS, DENIED, NOBODY_ONLINE, TOO_FEW_DEVICES */
  choose(request: ChooseRequest): Promise<ChosenView>
  /** Hands it over, and returns before it has begun. @throws the same */
  submit(request: FanRequest): Promise<FanView>
  /** How each of its tasks stands. @throws NO_SUCH_TASK */
  stand(task: string): Promise<FanStand>
  /** Runs it; output and ends travel as frames on `link`. Aborting ends all of it. */
  run(request: FanRequest, link: FrameLink, o: { signal: AbortSignal }): Promise<void>
}

/** To and from tokens of UCAN 0.8. */
export interface BridgeRoom {
  /** Shows what a JWT gives, and signs it when that was agreed to. @throws OldTokenError, CANNOT_GRANT, UNKNOWN_DEVICE, REVOKED, BUSY */
  import(request: ImportGrantRequest): Promise<ImportView>
  /** @throws NO_SUCH_GRANT, AMBIGUOUS_GRANT, CANNOT_EXPORT */
  export(request: ExportGrantRequest): Promise<ExportView>
}
