/** The lower storeys of a node: the database with the log in it, and the rooms that hold what is known. */
import { AuditLog } from '../audit/log.ts'
import { Replica } from '../audit/replica.ts'
import { Revocations } from '../authority/revocations.ts'
import { Wallet } from '../authority/wallet.ts'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import { Directory } from '../registry/directory.ts'
import { Orders } from '../registry/orders.ts'
import { Owners } from '../registry/owners.ts'
import { ClockWatch } from '../runtime/clock-watch.ts'
import { isVoid } from '../runtime/former.ts'
import { RevocationNews } from '../runtime/freshness.ts'
import { Groups } from '../runtime/groups.ts'
import { readMembership } from '../runtime/joining.ts'
import { Keyring } from '../runtime/keyring.ts'
import { MeshRecords } from '../runtime/records.ts'
import { Roles } from '../runtime/roles.ts'
import { Store } from '../store/level.ts'
import { openPeerDatastore } from '../store/peers.ts'
import { TaskBook } from '../tasks/book.ts'
import { admission } from './admission.ts'
import { clockFloor } from './clock-floor.ts'
import { OwnerKey } from './owner-key.ts'
import type { NodeParts } from './parts.ts'

/** How long a node with an empty database and an old identity waits to hear what its log was, before it begins anew. */
const RESTORE_WAIT_MS = 15_000

/** How long the first entry after a start waits for a peer that may know more of this log. A line to a device that is there takes a third of a second. */
const LISTEN_FIRST_MS = 2_000

export interface Cellar {
  readonly store: Store
  readonly datastore: Awaited<ReturnType<typeof openPeerDatastore>>
  readonly audit: AuditLog
}

export async function openCellar(p: NodeParts, stops: (() => Promise<void>)[]): Promise<Cellar> {
  const store = await Store.open(p.home.at('db', 'main'))
  stops.push(() => store.close())
  const datastore = await openPeerDatastore(p.home.at('db', 'peers'), clock)
  stops.push(async () => await datastore.close())
  const audit = await AuditLog.open({ store: store.logs, identity: p.device, mesh: p.mesh.id, clock })
  if (store.isNew && !p.isNewHere && !isGuest(p)) holdForRestore(audit)
  return { store, datastore, audit }
}

/** The database is new, the identity is not: what this log held must come back from the others before anything is appended, or it would fork. */
function holdForRestore(audit: AuditLog): void {
  audit.hold('the database is new: this device first asks the others for its log')
  clock.after(RESTORE_WAIT_MS, () => audit.release())
}

/** Nobody else keeps copies of a guest's log. */
export function isGuest({ mesh, membership }: NodeParts): boolean {
  return readMembership(mesh, membership).kind === 'guest'
}

export interface Rooms {
  readonly owners: Owners
  readonly directory: Directory
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly orders: Orders
  readonly roles: Roles
  readonly groups: Groups
  readonly records: MeshRecords
  readonly replica: Replica
  readonly book: TaskBook
  readonly keyring: Keyring
  readonly ownerKey: OwnerKey
  readonly news: RevocationNews
  readonly watch: ClockWatch
  readonly damaged: readonly string[]
}

export async function openRooms(p: NodeParts, { store, audit }: Cellar): Promise<Rooms> {
  const { owners, wallet, revocations, orders, directory, records, damaged } = await openRecords(p, store)
  const replica = await Replica.open({
    store: store.logs,
    shelf: store.shelf('heads'),
    mesh: p.mesh.id,
    own: audit,
    keeps: (log) => directory.isMember(log) || directory.successorOf(log) !== undefined,
  })
  if (!store.isNew && directory.members().length > 1 && !isGuest(p)) audit.listenFirst(LISTEN_FIRST_MS)
  const { ownerKey, keyring } = openKeys(p, { owners, wallet, revocations })
  const roles = new Roles({ orders, owner: () => keyring.owner })
  directory.callAlso((did) => roles.called(did))
  const news = new RevocationNews({ shelf: store.shelf('news'), clock })
  await news.load()
  const book = await TaskBook.open({ store: store.shelf('tasks'), clock })
  const groups = new Groups({ orders, directory })
  return {
    owners,
    orders,
    roles,
    groups,
    directory,
    wallet,
    revocations,
    records,
    replica,
    book,
    keyring,
    ownerKey,
    news,
    watch: new ClockWatch({ clock, file: clockFloor(p.home) }),
    damaged: [...damaged, ...book.damaged.map((id) => `task ${id}`)],
  }
}

type Known = Pick<Rooms, 'owners' | 'wallet' | 'revocations' | 'orders' | 'directory' | 'records' | 'damaged'>

/** Everything that was signed and is known here, read back from the disk. */
async function openRecords(p: NodeParts, store: Store): Promise<Known> {
  const owners = new Owners(p.mesh)
  const wallet = new Wallet()
  const revocations = new Revocations()
  const orders = new Orders(owners)
  const removedAt = (did: string): number | undefined => orders.atOf('remove', did)
  const directory = new Directory(owners, admission(owners, revocations), removedAt, () => clock.now())
  orders.followDevices((did) => directory.before(did))
  revocations.bar((did) => directory.isRemoved(did))
  revocations.voids((link, above) => isVoid(owners, link, above))
  const records = new MeshRecords({ orders, directory, wallet, revocations, shelf: store.shelf('records'), clock, owners })
  const damaged = await records.load()
  await records.admit('members', p.membership)
  for (const [set, bytes] of p.brought) await records.admit(set, bytes)
  return { owners, wallet, revocations, orders, directory, records, damaged }
}

/** The keys of this device: its own, and an owner's where one lies here, is open and counts. */
function openKeys(p: NodeParts, on: { owners: Owners; wallet: Wallet; revocations: Revocations }): { ownerKey: OwnerKey; keyring: Keyring } {
  const ownerKey = new OwnerKey(p.home, clock)
  const { owners, ...rest } = on
  const lockedOwner = (): Did | undefined => (ownerKey.current() === undefined ? ownerKey.did() : undefined)
  const isOwner = (did: Did): boolean => owners.has(did)
  return { ownerKey, keyring: new Keyring({ device: p.device, owner: () => ownerKey.current(), isOwner, lockedOwner, ...rest, clock, random }) }
}
