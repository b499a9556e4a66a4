/**
 * The builder: the only file that knows everyone. Plain constructor arguments, a written order of starts, the reverse order of stops.
 */
import { v7 as uuidv7 } from 'uuid'
import { systemClock as clock, pause, systemRandom as random } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
import { createExecutor } from '../exec/executor.ts'
import type { Did } from '../identity/identity.ts'
import { MeshNode } from '../mesh/mesh.ts'
import type { Directory } from '../registry/directory.ts'
import { ExecDoor } from '../runtime/exec-door.ts'
import { Invites } from '../runtime/invites.ts'
import { LocalRuntime } from '../runtime/local.ts'
import { RightsDesk } from '../runtime/rights-desk.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { Submitter } from '../runtime/submit.ts'
import { endUnfinished, findUnfinished } from '../runtime/unfinished.ts'
import { besideDoor, dialable } from './addresses.ts'
import { describeMachine } from './describe.ts'
import type { Log, NodeParts } from './parts.ts'
import { type Cellar, openCellar, openRooms, type Rooms } from './rooms.ts'
import { statusOf } from './status.ts'

export interface RunningNode {
  readonly runtime: Runtime
  readonly directory: Directory
  /** Said to whoever starts the node. */
  readonly warnings: readonly string[]
  addresses(): string[]
  /** Resolves when there is a line to a device. @throws NO_ROUTE */
  meet(did: Did, o: { signal: AbortSignal }): Promise<void>
  active(): number
  /** Takes no new work; resolves when nothing runs any more or the time is up. */
  drain(withinMs: number): Promise<void>
  stop(): Promise<void>
}

/** Starts one node of one mesh, from its database up. What was started is stopped again when a later step fails. @throws ErrandError with a next step. */
export async function startNode(p: NodeParts): Promise<RunningNode> {
  const stops: (() => Promise<void>)[] = []
  try {
    return await build(p, stops)
  } catch (thrown) {
    await stopAll(stops, p.log)
    throw thrown
  }
}

async function stopAll(stops: (() => Promise<void>)[], log: Log): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop().catch((thrown: unknown) => log('stop failed', { why: asErrand(thrown).message }))
}

async function build(p: NodeParts, stops: (() => Promise<void>)[]): Promise<RunningNode> {
  const cellar = await openCellar(p, stops)
  const rooms = await openRooms(p, cellar)
  const hall = openHall(p, cellar, rooms)
  stops.push(async () => {
    hall.door.close()
    await hall.executor.stopAll('lost')
    await hall.executor[Symbol.asyncDispose]()
  })
  const unfinished = await findUnfinished({ logs: { store: cellar.store.logs, mesh: p.mesh.id }, self: p.device.did })
  void endUnfinished(unfinished, cellar.audit).catch((thrown: unknown) => p.log('unfinished not recorded', { why: asErrand(thrown).message }))
  await hall.mesh.start()
  stops.push(() => hall.mesh.stop())
  return {
    runtime: hall.runtime,
    directory: rooms.directory,
    warnings: rooms.damaged.map((key) => `the record ${key} in the database was changed and is ignored`),
    addresses: () => hall.mesh.addresses(),
    meet: (did, o) => hall.mesh.meet(did, o),
    active: () => rooms.board.counts().active,
    async drain(withinMs) {
      hall.door.close()
      await Promise.race([Promise.all([rooms.board.idle(), hall.door.idle()]), pause(clock, withinMs)])
    },
    stop: () => stopAll(stops, p.log),
  }
}

interface Hall {
  readonly runtime: Runtime
  readonly mesh: MeshNode
  readonly door: ExecDoor
  readonly executor: ReturnType<typeof createExecutor>
}

function openHall(p: NodeParts, cellar: Cellar, rooms: Rooms): Hall {
  const { directory, wallet, revocations, records, board, keyring } = rooms
  const { audit } = cellar
  const executor = createExecutor({
    clock,
    device: p.device.did,
    hostFile: p.hostFile,
    runtimeDir: p.home.at('run'),
    jobsDir: p.home.at('jobs'),
    path: p.config.exec.path,
    umask: p.umask,
  })
  const door = new ExecDoor({
    self: p.device.did,
    executor,
    revocations,
    audit,
    board,
    clock,
    random,
    besideDoor: (address) => besideDoor(address, p.listen),
    named: (text) => directory.named(text),
    slots: p.config.deployment.maxConcurrentTasks,
    allowsOthers: p.config.security.allowRemoteSessions,
  })
  records.onRevocation(() => door.stopRevoked())
  const invites: Invites = openInvites(p, cellar, rooms, () => mesh)
  const mesh: MeshNode = openMesh(p, cellar, rooms, { door, invites })
  const telling = { push: mesh.push.bind(mesh), gossipRevocation: mesh.gossipRevocation.bind(mesh) }
  const rights = new RightsDesk({ keyring, wallet, revocations, directory, records, telling, audit, clock, random })
  const submitter = new Submitter({ keyring, directory, route: mesh, door, board, audit, clock, random, newTaskId: uuidv7 })
  return { runtime: openRuntime(p, cellar, rooms, { mesh, invites, rights, submitter }), mesh, door, executor }
}

/** Invites name this device's addresses and tell the mesh of members; the mesh serves joins through invites. So one of them gets the other late. */
function openInvites(p: NodeParts, { store, audit }: Cellar, rooms: Rooms, mesh: () => MeshNode): Invites {
  const { directory, wallet, revocations, records, keyring } = rooms
  return new Invites({
    ...{ keyring, directory, wallet, revocations, records, audit, clock, random },
    mesh: { id: p.mesh.id, name: p.mesh.genesis.name, owners: p.mesh.genesis.owners, genesis: p.mesh.bytes },
    shelf: store.shelf('invites'),
    addresses: () => dialable(mesh().addresses()),
    announceMember: (membership, given) => {
      const owned = directory
        .members()
        .filter((member) => member.own)
        .map((member) => member.device as Did)
      void mesh()
        .push('members', [membership])
        .then(() => mesh().push('delegations', given, owned)) // a grant counts only for members
    },
  })
}

function openMesh(p: NodeParts, { datastore, audit }: Cellar, rooms: Rooms, { door, invites }: { door: ExecDoor; invites: Invites }): MeshNode {
  const { directory, records, replica } = rooms
  const { config, device, version, listen, log } = p
  const { labels, transport } = config
  return new MeshNode(
    { identity: device, meshId: p.mesh.id, version, listen, bootstrap: [...transport.bootstrap, ...(p.met ?? [])], datastore, discovery: transport },
    {
      ...{ directory, records, door, replica, clock, random, log },
      auditLog: audit,
      admitJoin: (ask, from) => invites.admit(ask, from),
      mayRead: (did: Did) => directory.member(did)?.own === true,
      describe: () => describeMachine({ name: directory.nameOf(device.did) ?? 'device', labels, version, freeSlots: door.freeSlots() }),
    },
  )
}

function openRuntime(
  p: NodeParts,
  { store, audit }: Cellar,
  rooms: Rooms,
  on: { mesh: MeshNode; invites: Invites; rights: RightsDesk; submitter: Submitter },
): Runtime {
  const { directory, board, replica, damaged } = rooms
  const { mesh, ...desks } = on
  return new LocalRuntime({
    ...{ self: p.device.did, directory, board, clock, witnesses: replica.witnesses, ...desks },
    logs: { store: store.logs, mesh: p.mesh.id, nameOf: (did) => directory.nameOf(did) },
    lineTo: (did) => mesh.lineTo(did),
    lostAt: (did) => mesh.lostAt(did),
    refreshLogs: () => mesh.refreshLogs(),
    status: () => statusOf(p, { addresses: mesh.addresses(), name: directory.nameOf(p.device.did) ?? '', logRefusal: audit.refusal()?.message, damaged }),
    join: p.join,
    listen: p.relisten,
    shutdown: p.shutdown,
  })
}
