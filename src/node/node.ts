/**
 * The builder: the only file that knows everyone. Plain constructor arguments, a written order of starts, the reverse order of stops.
 */
import { v7 as uuidv7 } from 'uuid'
import { LOCAL, type JoinRequest, type JoinView, type ListenRequest } from '../../protocols/local/messages.ts'
import { AuditLog } from '../audit/log.ts'
import { Replica } from '../audit/replica.ts'
import { Revocations } from '../authority/revocations.ts'
import { Wallet } from '../authority/wallet.ts'
import { pause, systemClock as clock, systemRandom as random } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
import { createExecutor } from '../exec/executor.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { MeshNode } from '../mesh/mesh.ts'
import { Directory } from '../registry/directory.ts'
import { ExecDoor } from '../runtime/exec-door.ts'
import { Invites } from '../runtime/invites.ts'
import type { KnownMesh } from '../runtime/joining.ts'
import { Keyring } from '../runtime/keyring.ts'
import { LocalRuntime } from '../runtime/local.ts'
import { MeshRecords } from '../runtime/records.ts'
import { RightsDesk } from '../runtime/rights-desk.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { Submitter } from '../runtime/submit.ts'
import { wordsOf } from '../runtime/words.ts'
import { Store } from '../store/level.ts'
import { openPeerDatastore } from '../store/peers.ts'
import { Board } from '../tasks/board.ts'
import { admission } from './admission.ts'
import type { Config } from './config.ts'
import { describeMachine } from './describe.ts'
import { rootFor } from './found.ts'
import type { Home } from './home.ts'

export type Log = (event: string, facts: Record<string, unknown>) => void
type BroughtSet = 'members' | 'addresses' | 'revocations' | 'delegations'

export interface NodeParts {
  readonly home: Home
  readonly config: Config
  readonly listen: readonly string[]
  readonly device: Identity
  readonly mesh: KnownMesh
  readonly membership: Uint8Array
  /** Records that founding or joining brought along; empty at a restart. */
  readonly brought: readonly (readonly [set: BroughtSet, bytes: Uint8Array])[]
  /** Addresses, with PeerId, where a device of this mesh was met a moment ago. */
  readonly met?: readonly string[]
  /** This device founds or joins the mesh right now, so an empty database is what is expected. */
  readonly isNewHere: boolean
  readonly version: string
  /** Of the commands that run here: the user's. */
  readonly umask: number
  /** The bundled exec-host program. */
  readonly hostFile: string
  /** Monotonic milliseconds. */
  readonly startedAt: number
  readonly log: Log
  readonly join: (request: JoinRequest) => Promise<JoinView>
  readonly relisten: (request: ListenRequest) => Promise<{ addresses: string[] }>
  readonly shutdown: (request: { drainMs?: number | undefined }) => void
}

export interface RunningNode {
  readonly runtime: Runtime
  readonly directory: Directory
  /** Said to whoever starts the node. */
  readonly warnings: readonly string[]
  addresses(): string[]
  active(): number
  /** Takes no new work; resolves when nothing runs any more or the time is up. */
  drain(withinMs: number): Promise<void>
  stop(): Promise<void>
}

/** How long a node with an empty database and an old identity waits to hear what its log was, before it begins anew. */
const RESTORE_WAIT_MS = 15_000

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
  await hall.mesh.start()
  stops.push(() => hall.mesh.stop())
  return {
    runtime: hall.runtime,
    directory: rooms.directory,
    warnings: rooms.damaged.map((key) => `the record ${key} in the database was changed and is ignored`),
    addresses: () => hall.mesh.addresses(),
    active: () => rooms.board.counts().active,
    async drain(withinMs) {
      hall.door.close()
      await Promise.race([Promise.all([rooms.board.idle(), hall.door.idle()]), pause(clock, withinMs)])
    },
    stop: () => stopAll(stops, p.log),
  }
}

interface Cellar {
  readonly store: Store
  readonly datastore: Awaited<ReturnType<typeof openPeerDatastore>>
  readonly audit: AuditLog
}

async function openCellar(p: NodeParts, stops: (() => Promise<void>)[]): Promise<Cellar> {
  const store = await Store.open(p.home.at('db', 'main'))
  stops.push(() => store.close())
  const datastore = await openPeerDatastore(p.home.at('db', 'peers'), clock)
  stops.push(async () => await datastore.close())
  const audit = await AuditLog.open({ store: store.logs, identity: p.device, mesh: p.mesh.id, clock })
  if (store.isNew && !p.isNewHere) holdForRestore(audit)
  return { store, datastore, audit }
}

/** The database is new, the identity is not: what this log held must come back from the others before anything is appended, or it would fork. */
function holdForRestore(audit: AuditLog): void {
  audit.hold('the database is new: this device first asks the others for its log')
  clock.after(RESTORE_WAIT_MS, () => audit.release())
}

interface Rooms {
  readonly directory: Directory
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly records: MeshRecords
  readonly replica: Replica
  readonly board: Board
  readonly keyring: Keyring
  readonly damaged: readonly string[]
}

async function openRooms(p: NodeParts, { store, audit }: Cellar): Promise<Rooms> {
  const { genesis, id } = p.mesh
  const wallet = new Wallet()
  const revocations = new Revocations()
  const directory = new Directory({ id, genesis }, admission(genesis.owners, revocations))
  const records = new MeshRecords({ directory, wallet, revocations, shelf: store.shelf('records'), clock, owners: genesis.owners })
  const damaged = await records.load()
  await records.admit('members', p.membership)
  for (const [set, bytes] of p.brought) await records.admit(set, bytes)
  const replica = await Replica.open({ store: store.logs, shelf: store.shelf('heads'), mesh: id, own: audit, keeps: (log) => directory.isMember(log) })
  const owner = p.home.owner()
  if (owner !== undefined && !wallet.list().some(({ iss, sub, aud, cmd }) => iss === p.device.did && sub === iss && aud === owner.did && cmd === '/')) {
    await records.admit('delegations', rootFor(owner, p.device, random).bytes)
  }
  const keyring = new Keyring({ device: p.device, ...(owner === undefined ? {} : { owner }), wallet, revocations, clock, random })
  return { directory, wallet, revocations, records, replica, board: new Board(), keyring, damaged }
}

interface Hall {
  readonly runtime: Runtime
  readonly mesh: MeshNode
  readonly door: ExecDoor
  readonly executor: ReturnType<typeof createExecutor>
}

function openHall(p: NodeParts, { store, datastore, audit }: Cellar, rooms: Rooms): Hall {
  const { directory, wallet, revocations, records, replica, board, keyring } = rooms
  const self = p.device.did
  const executor = createExecutor({ clock, hostFile: p.hostFile, runtimeDir: p.home.at('run'), path: p.config.execPath, umask: p.umask })
  const door = new ExecDoor({ self, executor, revocations, audit, board, clock, named: (text) => directory.named(text), slots: p.config.slots })
  records.onRevocation(() => door.stopRevoked())
  const membersTold = (bytes: Uint8Array): void => void mesh.push('members', [bytes])
  const invites: Invites = new Invites({
    ...{ keyring, directory, wallet, revocations, records, audit, clock, random },
    mesh: { id: p.mesh.id, name: p.mesh.genesis.name, owners: p.mesh.genesis.owners, genesis: p.mesh.bytes },
    shelf: store.shelf('invites'),
    addresses: () => dialable(mesh.addresses()),
    announceMember: membersTold,
  })
  const mesh: MeshNode = new MeshNode(
    { identity: p.device, meshId: p.mesh.id, version: p.version, listen: p.listen, bootstrap: [...p.config.bootstrap, ...(p.met ?? [])], datastore, discovery: p.config },
    {
      ...{ directory, records, door, replica, clock, random, log: p.log },
      auditLog: audit,
      admitJoin: (ask, from) => invites.admit(ask, from),
      mayRead: (did: Did) => directory.member(did)?.own === true,
      describe: () => describeMachine({ name: directory.nameOf(self) ?? 'device', labels: p.config.labels, version: p.version, freeSlots: door.freeSlots() }),
    },
  )
  const telling = { push: mesh.push.bind(mesh), gossipRevocation: mesh.gossipRevocation.bind(mesh) }
  const rights = new RightsDesk({ keyring, wallet, revocations, directory, records, telling, audit, clock, random })
  const submitter = new Submitter({ keyring, directory, route: mesh, door, board, audit, clock, random, newTaskId: uuidv7 })
  const runtime = new LocalRuntime({
    ...{ self, directory, board, submitter, invites, rights, clock, witnesses: replica.witnesses },
    logs: { store: store.logs, mesh: p.mesh.id, nameOf: (did) => directory.nameOf(did) },
    lineTo: (did) => mesh.lineTo(did),
    refreshLogs: () => mesh.refreshLogs(),
    status: () => ({
      ready: true,
      apiVersion: LOCAL.version,
      did: self,
      peerId: p.device.peerId,
      name: directory.nameOf(self) ?? '',
      words: wordsOf(self),
      version: p.version,
      mesh: { id: Buffer.from(p.mesh.id).toString('hex'), name: p.mesh.genesis.name },
      pid: process.pid,
      uptimeSeconds: Math.round((clock.monotonic() - p.startedAt) / 1_000),
      addresses: mesh.addresses(),
      healthy: audit.refusal() === undefined && rooms.damaged.length === 0,
      problems: [...(audit.refusal() === undefined ? [] : [audit.refusal()?.message ?? '']), ...rooms.damaged.map((key) => `the record ${key} was changed on disk`)],
      preset: p.config.listen.length > 0 ? null : p.config.preset,
      localOnly: p.listen.every((address) => /^\/ip4\/127\.|^\/ip6\/::1\//.test(address)),
    }),
    join: p.join,
    listen: p.relisten,
    shutdown: p.shutdown,
  })
  return { runtime, mesh, door, executor }
}

/** Addresses for an invite: without the PeerId, those of the network first, loopback only when there is nothing else. */
function dialable(addresses: readonly string[]): string[] {
  const plain = addresses.map((address) => address.replace(/\/p2p\/[^/]+$/, ''))
  const outside = plain.filter((address) => !/^\/ip4\/127\.|^\/ip6\/::1\//.test(address))
  return outside.length > 0 ? outside : plain
}
