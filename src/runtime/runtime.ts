/**
 * The one door: everything that can be asked of a node, whatever the transport. Knows no HTTP, no libp2p and no command line.
 * Its faces (in-process, local socket, other devices) all come through here.
 */
import type {
  AuditQuery,
  AuditRecordView,
  AuditVerifyView,
  DeviceView,
  DownRequest,
  ExecRequest,
  GrantRequest,
  GrantView,
  InviteRequest,
  InviteView,
  JoinRequest,
  JoinView,
  ListenRequest,
  OfferView,
  RevokeRequest,
  RevokeView,
  Status,
  TaskView,
} from '../../protocols/local/messages.ts'
import type { FrameLink } from '../base/frames.ts'

/** Who asks, and by which door. For the local socket: the owner of the socket, acting as this device. */
export interface Actor {
  readonly did: string
  readonly via: 'local' | 'libp2p'
}

export interface Runtime {
  getStatus(): Promise<Status>
  listDevices(): Promise<DeviceView[]>
  listTasks(): Promise<TaskView[]>
  /** Runs one command on a named device; output, input and the outcome travel as frames on `link`. Aborting cancels the command. */
  exec(actor: Actor, request: ExecRequest, link: FrameLink, o: { signal: AbortSignal }): Promise<void>
  invite(actor: Actor, request: InviteRequest): Promise<InviteView>
  /** Reads a code without using it. @throws BAD_INVITE */
  readOffer(request: JoinRequest): Promise<OfferView>
  join(actor: Actor, request: JoinRequest): Promise<JoinView>
  grant(actor: Actor, request: GrantRequest): Promise<GrantView[]>
  listGrants(): Promise<GrantView[]>
  revoke(actor: Actor, request: RevokeRequest): Promise<RevokeView>
  audit(query: AuditQuery): AsyncIterable<AuditRecordView>
  verifyAudit(): Promise<AuditVerifyView>
  /** Listens where a preset says, from now on. @throws BUSY while commands run; LISTEN_GIVEN when addresses were named. */
  listen(actor: Actor, request: ListenRequest): Promise<{ addresses: string[] }>
  /** Stops the node; with `drainMs` it takes no new work and waits that long for the running. Resolves once the stop has begun. */
  shutdown(actor: Actor, request: DownRequest): Promise<{ stopping: true; active: number }>
}
