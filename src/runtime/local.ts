/** The Runtime of this node: one thin method for each thing that can be asked, each handed to the room that knows. */

import type {
  AttachRequest,
  AuditQuery,
  AuditRecordView,
  AuditVerifyView,
  DeviceView,
  DownRequest,
  DownView,
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
  RevokeRequest,
  RevokeView,
  Status,
  TaskUpdate,
  TaskView,
  WhyRequest,
  WhyView,
} from '../../protocols/local/messages.ts'
import type { Membership } from '../../protocols/member/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { every } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { FrameLink } from '../base/frames.ts'
import type { TaskBook } from '../tasks/book.ts'
import type { ApprovalRoom } from './approval-desk.ts'
import type { AuditDesk } from './audit-desk.ts'
import { DenialMeter } from './denial.ts'
import type { DeviceRoom } from './device-desk.ts'
import { type DeviceViewOn, deviceView } from './device-view.ts'
import type { FanDesk } from './fan-desk.ts'
import type { ForwardRoom } from './forwarder.ts'
import type { GroupRoom } from './group-desk.ts'
import { offerView, readCode } from './invite-code.ts'
import type { InviteHold } from './invite-hold.ts'
import type { Invites } from './invites.ts'
import { offeredIn } from './offered.ts'
import type { OrderRoom } from './order-desk.ts'
import type { OwnerRoom } from './owner-desk.ts'
import type { RecoveryRoom } from './recovery-desk.ts'
import type { RightsDesk } from './rights-desk.ts'
import type { RoleRoom } from './role-desk.ts'
import type { Actor, BridgeRoom, FanRoom, Runtime, SessionRoom } from './runtime.ts'
import type { SessionDesk } from './session-desk.ts'
import { ASK_EVERY_MS, sessionFace } from './session-face.ts'
import type { Submitter } from './submit.ts'
import type { SuccessionRoom } from './succession-desk.ts'
import type { TaskDesk } from './task-desk.ts'
import type { WhatIf } from './what-if.ts'
import type { WhyDesk } from './why-desk.ts'

export interface LocalRuntimeOn extends DeviceViewOn {
  readonly book: TaskBook
  readonly tasks: TaskDesk
  readonly submitter: Submitter
  readonly invites: Invites
  readonly hold: InviteHold
  readonly rights: RightsDesk
  readonly orders: OrderRoom
  readonly owners: OwnerRoom
  readonly recovery: RecoveryRoom
  readonly succession: SuccessionRoom
  readonly devices: DeviceRoom
  readonly roles: RoleRoom
  readonly groups: GroupRoom
  readonly fans: FanDesk
  readonly approvals: ApprovalRoom
  readonly forwards: ForwardRoom
  readonly bridge: BridgeRoom
  readonly whys: WhyDesk
  readonly whatIf: WhatIf
  readonly sessions: SessionDesk
  readonly log: AuditDesk
  readonly audit: { append(fact: Fact): Promise<unknown> }
  /** The devices that are shown here: everybody, or on a guest those that its grants name. */
  readonly shown: () => readonly Membership[]
  /** Of the mesh. */
  readonly meshId: Uint8Array
  /** What only the whole node knows. */
  readonly status: () => Omit<Status, 'devices' | 'tasks' | 'mode'> & { localOnly: boolean }
  readonly join: (request: JoinRequest) => Promise<JoinView>
  readonly listen: (request: ListenRequest) => Promise<{ addresses: string[] }>
  readonly shutdown: (request: DownRequest) => void
  /** What a stop waits for detached tasks. */
  readonly drainTimeoutMs: number
}

/** All of a node but the pairing of this device with another mesh, which is its daemon's. */
export class LocalRuntime implements Omit<Runtime, 'pair'> {
  readonly bridge: BridgeRoom
  readonly forwards: ForwardRoom
  readonly approvals: ApprovalRoom
  readonly orders: OrderRoom
  readonly owners: OwnerRoom
  readonly recovery: RecoveryRoom
  readonly succession: SuccessionRoom
  readonly devices: DeviceRoom
  readonly roles: RoleRoom
  readonly groups: GroupRoom
  readonly fans: FanRoom
  readonly sessions: SessionRoom
  readonly #denials: DenialMeter

  constructor(private readonly on: LocalRuntimeOn) {
    this.bridge = on.bridge
    this.forwards = on.forwards
    this.approvals = on.approvals
    this.orders = on.orders
    this.owners = on.owners
    this.recovery = on.recovery
    this.succession = on.succession
    this.devices = on.devices
    this.roles = on.roles
    this.groups = on.groups
    this.fans = on.fans.room()
    this.sessions = on.sessions
    this.#denials = new DenialMeter(on.clock)
  }

  inSession(session: string): Runtime {
    return sessionFace(this.on.sessions.find(session), { ...this.on, denials: this.#denials, devices: () => this.listDevices() })
  }

  async getStatus(): Promise<Status> {
    const { localOnly, ...rest } = this.on.status()
    const devices = await this.listDevices()
    const online = devices.filter((device) => device.online).length
    const mode = online >= 2 ? 'distributed-cluster' : localOnly ? 'local-only' : 'remote-enabled'
    return { ...rest, devices: { known: devices.length, online }, tasks: this.on.book.counts(), mode }
  }

  listDevices(): Promise<DeviceView[]> {
    return Promise.resolve(this.on.shown().map((member) => deviceView(member, this.on)))
  }

  listAgents(): Promise<OfferedView[]> {
    return Promise.resolve(offeredIn(this.on.directory, 'agents', (member) => deviceView(member, this.on).online))
  }

  listSkills(): Promise<OfferedView[]> {
    return Promise.resolve(offeredIn(this.on.directory, 'skills', (member) => deviceView(member, this.on).online))
  }

  async listTasks(o: { all?: boolean } = {}): Promise<TaskView[]> {
    return await this.on.tasks.list(o)
  }

  async submitTask(actor: Actor, request: ExecRequest): Promise<TaskView> {
    if (request.session !== undefined) return await this.inSession(request.session).submitTask(actor, withoutSession(request))
    return this.on.tasks.view(await this.on.submitter.submit(request))
  }

  async getTask(task: string, o: { events?: boolean } = {}): Promise<TaskView> {
    return await this.on.tasks.get(task, o)
  }

  async cancelTask(_actor: Actor, task: string): Promise<TaskView> {
    return await this.on.tasks.steer(task, 'cancel')
  }

  async pauseTask(_actor: Actor, task: string): Promise<TaskView> {
    return await this.on.tasks.steer(task, 'pause')
  }

  async resumeTask(_actor: Actor, task: string): Promise<TaskView> {
    return await this.on.tasks.steer(task, 'resume')
  }

  async *streamTaskUpdates(o: { cursor?: number; signal: AbortSignal }): AsyncIterable<TaskUpdate> {
    const { tasks, book, clock } = this.on
    const stop = every(clock, ASK_EVERY_MS, () => tasks.refresh())
    try {
      for await (const item of book.watch(o)) {
        if (item.t === 'state') yield { ...item, tasks: item.tasks.map((task) => tasks.view(task)) }
        else if (item.t === 'changed') yield { t: 'changed', cursor: item.cursor, event: item.event, task: tasks.view(item.task) }
        else yield item
      }
    } finally {
      stop()
    }
  }

  async attach(_actor: Actor, request: AttachRequest, link: FrameLink, o: { signal: AbortSignal }): Promise<void> {
    await this.on.tasks.attach(request, link, o)
  }

  async exec(actor: Actor, request: ExecRequest, link: FrameLink, o: { signal: AbortSignal }): Promise<void> {
    if (request.session !== undefined) return await this.inSession(request.session).exec(actor, withoutSession(request), link, o)
    await this.on.submitter.exec(request, link, o)
  }

  async invite(_actor: Actor, request: InviteRequest): Promise<InviteView> {
    return await this.on.invites.create(request)
  }

  async watchInvite(id: string, o: { after?: number | undefined; signal: AbortSignal }): Promise<InviteProgressView> {
    return await this.on.hold.watch(id, o)
  }

  async answerInvite(_actor: Actor, id: string, answer: InviteAnswer): Promise<InviteProgressView> {
    return await this.on.hold.answer(id, answer)
  }

  async readOffer(request: JoinRequest): Promise<OfferView> {
    const self = { did: this.on.self, name: request.name ?? this.on.directory.nameOf(this.on.self) ?? 'this device' }
    const code = readCode(request.code)
    if (sameBytes(code.meshId, this.on.meshId) && this.on.directory.isMember(this.on.self)) {
      throw new ErrandError('ALREADY_MEMBER', `this device is a member of mesh "${code.offer.meshName}" already`, { hint: 'errand devices shows it' })
    }
    return offerView(code, self)
  }

  async join(_actor: Actor, request: JoinRequest): Promise<JoinView> {
    return await this.on.join(request)
  }

  async listen(_actor: Actor, request: ListenRequest): Promise<{ addresses: string[] }> {
    return await this.on.listen(request)
  }

  async grant(_actor: Actor, request: GrantRequest): Promise<GrantView[]> {
    return await this.on.rights.grant(request)
  }

  listGrants(): Promise<GrantView[]> {
    return Promise.resolve(this.on.rights.list())
  }

  async revoke(_actor: Actor, request: RevokeRequest): Promise<RevokeView> {
    return await (request.whatIf === true ? this.on.whatIf : this.on.rights).revoke(request)
  }

  async why(_actor: Actor, request: WhyRequest): Promise<WhyView> {
    return await this.on.whys.why(request)
  }

  audit(q: AuditQuery): AsyncIterable<AuditRecordView> {
    return this.on.log.query(q)
  }

  async verifyAudit(): Promise<AuditVerifyView> {
    return await this.on.log.verify()
  }

  shutdown(_actor: Actor, request: DownRequest): Promise<DownView> {
    const { book, self, drainTimeoutMs } = this.on
    const { active } = book.counts()
    const detached = book.live().filter((task) => task.detached && task.device === self).length
    this.on.shutdown(request)
    return Promise.resolve({ stopping: true, active, detached, waitsMs: Math.max(request.drainMs ?? 0, detached > 0 ? drainTimeoutMs : 0) })
  }
}

function withoutSession({ session: _, ...request }: ExecRequest): ExecRequest {
  return request
}
