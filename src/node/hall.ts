/** The hall of a node: who decides, who runs, who answers, and how they know of each other. Builds, starts nothing. */
import { networkInterfaces } from 'node:os'
import { type Answer, WHAT_IF, WHY } from '../../protocols/call/messages.ts'
import type { SpoolBounds } from '../../protocols/host/messages.ts'
import type { Delegation } from '../authority/token.ts'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import { createExecutor } from '../exec/executor.ts'
import type { Did } from '../identity/identity.ts'
import type { CallDoor } from '../mesh/call.ts'
import { MeshNode } from '../mesh/mesh.ts'
import { ApprovalCheck } from '../runtime/approval-check.ts'
import { type ApprovalDoor, isApprovalAsk } from '../runtime/approval-door.ts'
import type { Approvals } from '../runtime/approvals.ts'
import { Attachments } from '../runtime/attachments.ts'
import { BridgeDesk } from '../runtime/bridge-desk.ts'
import { type Check, OthersCheck } from '../runtime/checks.ts'
import { Detacher } from '../runtime/detaching.ts'
import { DeviceDesk } from '../runtime/device-desk.ts'
import { ExecDoor } from '../runtime/exec-door.ts'
import type { FanDesk } from '../runtime/fan-desk.ts'
import { companyOf } from '../runtime/guest-view.ts'
import { LiveCommands } from '../runtime/live.ts'
import { LocalRuntime, type LocalRuntimeOn } from '../runtime/local.ts'
import { Mandates } from '../runtime/mandates.ts'
import { OrderDesk } from '../runtime/order-desk.ts'
import { Places } from '../runtime/places.ts'
import { Questions } from '../runtime/questions.ts'
import { Recovery } from '../runtime/recovery.ts'
import { RightsDesk } from '../runtime/rights-desk.ts'
import { rolesIn } from '../runtime/roles.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { SandboxCheck } from '../runtime/sandbox-check.ts'
import { SessionCheck } from '../runtime/session-check.ts'
import type { SessionDesk } from '../runtime/session-desk.ts'
import type { Submitter } from '../runtime/submit.ts'
import { TaskGate } from '../runtime/task-gate.ts'
import { type TaskAsk, TaskSteward } from '../runtime/task-steward.ts'
import { WaitingList } from '../runtime/waiting-list.ts'
import { Suppositions } from '../runtime/what-if.ts'
import { besideDoor } from './addresses.ts'
import { type OpenedDesk, openApprovalDesk, openApprovals } from './approvals.ts'
import { type Asking, openAsking } from './asking.ts'
import { type Ceiling, heedNews, openCeiling } from './ceiling.ts'
import { describeMachine } from './describe.ts'
import { doorkeeper } from './doorkeeper.ts'
import { openEquipment } from './equipment.ts'
import { type Forwarding, openForwarding } from './forwarding.ts'
import { openFreshness } from './freshness.ts'
import { type Inviting, openInvites } from './inviting.ts'
import { type OwnerRooms, openOwnerRooms } from './owner-rooms.ts'
import type { NodeParts } from './parts.ts'
import { openPolicies, type Policies } from './policy.ts'
import { openRoleRooms, type RoleRooms } from './role-rooms.ts'
import { type Cellar, isGuest, type Rooms } from './rooms.ts'
import { openSandbox, type Sandbox } from './sandbox.ts'
import { statusOf } from './status.ts'
import { openSuccession, reissueHere } from './succession.ts'

export interface Hall {
  readonly runtime: Omit<Runtime, 'pair'>
  readonly mesh: MeshNode
  readonly door: ExecDoor
  readonly executor: ReturnType<typeof createExecutor>
  readonly forwarding: Forwarding
  readonly live: LiveCommands
  readonly places: Places
  readonly submitter: Submitter
  readonly recovery: Recovery
  readonly fans: FanDesk
  readonly policies: Policies
  readonly sandbox: Sandbox
  readonly sessions: SessionDesk
  readonly approvals: Approvals
  readonly approving: OpenedDesk
  /** Signs again what was given to devices that have new keys. */
  readonly follow: () => void
}

export function openHall(p: NodeParts, cellar: Cellar, rooms: Rooms): Hall {
  const { directory, revocations, records, book } = rooms
  const [self, audit, sandbox, spool] = [p.device.did, cellar.audit, openSandbox(p.home), spoolOf(p)]
  const named = (text: string, reader: Did): string => records.guests.named(text, reader)
  const executor = openExecutor(p, sandbox)
  const live = new LiveCommands({ revocations, audit, book, clock })
  const ceiling = openCeiling(p, rooms)
  const rolesOf = (chain: readonly Delegation[]): readonly string[] => rolesIn(chain, (did) => rooms.owners.has(did) || rooms.owners.isFormer(did))
  const policies = openPolicies(p, { audit, meshText: () => rooms.orders.get('policy', '')?.text, of: { trustOf: ceiling.trustOf, rolesOf } })
  const { rates, uses } = policies
  const [timely, approval] = [openFreshness(p, rooms, () => mesh), new ApprovalCheck()]
  const gate = new TaskGate({ uses, self, revocations, audit, clock, named, checks: [...timely, ceiling.trust, ...policies.checks, approval], rates })
  const places = openPlaces(p, policies)
  const mandates = new Mandates({ device: p.device, revocations, clock, random })
  const waiting = new WaitingList({ shelf: cellar.store.shelf('waiting'), mandates, clock })
  const detacher = new Detacher({ self, mandates, book, audit, live, clock, spool })
  const session = { executor, live, clock, random, detacher, besideDoor: (address: string) => besideDoor(address, p.listen) }
  const others = new OthersCheck({ self, allowsOthers: p.config.security.allowRemoteSessions })
  const checks: readonly Check[] = [others, ...timely, new SessionCheck(), ...ceiling.checks, ...policies.checks, shutIn(sandbox, policies), approval]
  const waits = openApprovals(p, cellar, rooms)
  const door = new ExecDoor({
    ...{ ...session, self, revocations, audit, book, named, places, waiting, mandates, rates, uses, spool },
    attachments: new Attachments({ ...session, book, gate }),
    ...waits,
    checks,
  })
  const forwarding = openForwarding(p, cellar, rooms, { checks, policies, named, live, mesh: () => mesh, side: () => side })
  const questions = new Questions({ self, revocations, audit, clock, checks, places, rates, named })
  const steward = new TaskSteward({ self, book, gate, live, audit, clock })
  const inviting = openInvites(p, cellar, rooms, { mesh: () => mesh, desks: () => desks, mayAdmit: () => ceiling.lockdown.refuse() })
  const calls = answering({ steward, questions, suppositions: new Suppositions({ live, clock, rates }), approvals: () => approving.door })
  const mesh: MeshNode = openMesh(p, cellar, rooms, { door, forwards: forwarding.door, inviting, calls, places, sandbox })
  heedNews(rooms, { ceiling, live, forwards: forwarding.door, expel: () => mesh.expel() })
  const desks = openDesks(p, cellar, rooms, { mesh, ceiling, live })
  const asking = openAsking(p, cellar, rooms, { mesh, door, steward, questions, rights: desks.rights, live, ceiling })
  const { submitter, side, sessions, fans } = asking
  const approving = openApprovalDesk(p, cellar, rooms, { approvals: waits.approvals, checks, rights: desks.rights, side, mesh })
  const recovery = new Recovery({ self, executor, book, live, places, door, submitter, directory, audit, clock })
  const runtime = openRuntime(p, cellar, rooms, { mesh, ceiling, inviting, policies, sandbox, forwarding, approvals: approving.desk, ...asking, ...desks })
  const parts = { mesh, door, forwarding, executor, live, places, submitter, recovery, fans, sessions, policies, sandbox, approving }
  return { ...parts, runtime, approvals: waits.approvals, follow: desks.follow }
}

function openPlaces({ config }: NodeParts, policies: Policies): Places {
  const { maxConcurrentTasks, queueSize, queueTimeoutMs } = config.deployment
  const places = new Places({ clock, bounds: { atOnce: maxConcurrentTasks, queueSize, queueTimeoutMs }, boundsOf: policies.boundsOf })
  policies.onChange(() => places.revisit())
  return places
}

function spoolOf({ config }: NodeParts): SpoolBounds {
  return { maxBytes: config.deployment.spoolBytes, policy: config.deployment.spoolPolicy }
}

function shutIn({ hold }: Sandbox, policies: Policies): SandboxCheck {
  return new SandboxCheck({ hold, policyOf: (asked) => policies.limitsOf(asked) })
}

type Desks = RoleRooms & OwnerRooms & Pick<LocalRuntimeOn, 'rights' | 'orders' | 'devices' | 'bridge' | 'succession'> & Pick<Hall, 'follow'>

/** Where people hand out rights and owners decide. */
function openDesks(p: NodeParts, cellar: Cellar, rooms: Rooms, { mesh, ceiling, live }: { mesh: MeshNode; ceiling: Ceiling; live: LiveCommands }): Desks {
  const { directory, wallet, revocations, records, keyring } = rooms
  const { audit } = cellar
  const telling = { push: mesh.push.bind(mesh), gossipRevocation: mesh.gossipRevocation.bind(mesh) }
  const toAll = { keyring, directory, records, telling, audit, clock }
  const { groups, roles } = rooms
  const rights = new RightsDesk({ ...toAll, wallet, revocations, groups, random, mayGive: () => ceiling.lockdown.refuse() })
  const orders = new OrderDesk({ ...toAll, orders: rooms.orders })
  const follow = (): void => void reissueHere(rooms, rights).catch((thrown: unknown) => p.log('grants did not follow', { why: String(thrown) }))
  rooms.records.onOrder(() => {
    follow()
    return []
  })
  rooms.ownerKey.onOpen(follow)
  return {
    rights,
    orders,
    ...openOwnerRooms(p, cellar, rooms, { desk: orders, telling }),
    succession: openSuccession(p, cellar, rooms, telling),
    follow,
    ...openRoleRooms(rooms, { owners: () => rooms.owners.ever(), roles, groups, orders, rights }),
    devices: new DeviceDesk({ ...toAll, desk: orders, wallet, random, local: ceiling.local, stopBarred: () => ceiling.stopBarred(live) }),
    bridge: new BridgeDesk({ keyring, wallet, revocations, directory, rights, audit, clock, bridgeFile: p.bridgeFile }),
  }
}

function openExecutor(p: NodeParts, { means, tag, hidden }: Sandbox): Hall['executor'] {
  return createExecutor({
    clock,
    device: p.device.did,
    hostFile: p.hostFile,
    runtimeDir: p.home.at('run'),
    jobsDir: p.home.at('jobs'),
    path: p.config.exec.path,
    umask: p.umask,
    ...{ means, tag, hidden },
  })
}

/** One door for all questions of other devices. */
function answering(on: { steward: TaskSteward; questions: Questions; suppositions: Suppositions; approvals: () => ApprovalDoor }): CallDoor {
  return {
    answer: async (ask, caller): Promise<Answer> => {
      if (ask.question === WHY) return { tasks: [], steps: await on.questions.answer(ask, caller) }
      if (ask.question === WHAT_IF) return on.suppositions.answer(ask, caller)
      return isApprovalAsk(ask) ? await on.approvals().answer(ask, caller) : await on.steward.answer(ask as TaskAsk, caller)
    },
  }
}

function openMesh(
  p: NodeParts,
  { datastore, audit }: Cellar,
  rooms: Rooms,
  on: { door: ExecDoor; forwards: Forwarding['door']; inviting: Inviting; calls: CallDoor; places: Places; sandbox: Sandbox },
): MeshNode {
  const { directory, records, replica } = rooms
  const { config, device, version, listen, log } = p
  const { labels, transport } = config
  const { door, forwards, inviting, calls, places, sandbox } = on
  const equipment = openEquipment(config.exec.path, clock)
  return new MeshNode(
    {
      identity: device,
      meshId: p.mesh.id,
      version,
      listen,
      bootstrap: [...transport.bootstrap, ...(p.met ?? [])],
      datastore,
      discovery: transport,
      isGuest: isGuest(p),
    },
    {
      ...{
        directory,
        company: companyOf(device.did, directory, records.guests),
        refused: doorkeeper(audit),
        records,
        ...{ door, forwards },
        calls,
        replica,
        clock,
        random,
        log,
      },
      auditLog: audit,
      joins: { admit: (ask, from) => inviting.invites.admit(ask, from), pairing: inviting.pairings },
      machineAddresses: () => Object.values(networkInterfaces()).flatMap((ones) => (ones ?? []).map(({ address }) => address)),
      compared: (did) => rooms.news.compared(did),
      heardTime: (did, ms) => rooms.watch.heard(did, ms),
      mayRead: (did: Did) => directory.member(did)?.own === true,
      describe: () =>
        describeMachine({ name: directory.nameOf(device.did) ?? 'device', labels, version, freeSlots: places.free, ...sandbox.published(), ...equipment() }),
    },
  )
}

function asGuest(self: Did, directory: Rooms['directory']): string | undefined {
  const until = directory.isGuest(self) ? directory.member(self)?.until : undefined
  return until === undefined
    ? undefined
    : `this device is a guest here until ${new Date(until).toISOString()}: it knows the devices that its grants name, and no others`
}

function openRuntime(
  p: NodeParts,
  { audit }: Cellar,
  rooms: Rooms,
  on: { mesh: MeshNode; ceiling: Ceiling; inviting: Inviting; policies: Policies; sandbox: Sandbox; forwarding: Forwarding } & Pick<
    LocalRuntimeOn,
    'approvals'
  > &
    Desks &
    Asking,
): Omit<Runtime, 'pair'> {
  const { directory, book, damaged } = rooms
  const { mesh, viewing, ceiling, inviting, policies, sandbox, forwarding, ...desks } = on
  return new LocalRuntime({
    ...{ ...viewing, meshId: p.mesh.id, book, audit, invites: inviting.invites, hold: inviting.hold, forwards: forwarding.room, ...desks },
    status: () =>
      statusOf(p, {
        ...{ addresses: mesh.addresses(), name: directory.nameOf(p.device.did) ?? '', logRefusal: audit.refusal()?.message, damaged },
        ...{
          policy: policies.problem(),
          time: rooms.watch.problem(),
          sandbox: sandbox.view(),
          isRemoved: directory.isRemoved(p.device.did),
          overSince: directory.overSince(p.device.did),
        },
        notices: [ceiling.lockdown.words, ...on.ownerNews.notices(), asGuest(p.device.did, directory)].filter((words) => words !== undefined),
      }),
    join: p.join,
    listen: p.relisten,
    shutdown: p.shutdown,
    drainTimeoutMs: p.config.deployment.shutdown === 'drain' ? p.config.deployment.drainTimeoutMs : 0,
  })
}
