/** A small mesh for the tests of records, keys and invites: an owner, devices, and the shipped rooms of one of them over a shelf in memory. */
import { DOMAIN, type Domain } from '../../../protocols/wire.ts'
import { Revocations } from '../../../src/authority/revocations.ts'
import { type Delegation, type DelegationFields, signDelegation } from '../../../src/authority/token.ts'
import { Wallet } from '../../../src/authority/wallet.ts'
import { seal } from '../../../src/identity/envelope.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { admission } from '../../../src/node/admission.ts'
import { foundMesh } from '../../../src/node/found.ts'
import { Directory } from '../../../src/registry/directory.ts'
import { Orders } from '../../../src/registry/orders.ts'
import { Owners } from '../../../src/registry/owners.ts'
import { isVoid } from '../../../src/runtime/former.ts'
import { Groups } from '../../../src/runtime/groups.ts'
import { MeshRecords, type RecordShelf } from '../../../src/runtime/records.ts'
import { Roles } from '../../../src/runtime/roles.ts'
import { countingRandom, HandClock } from '../base/hand-clock.ts'

export const keyOf = (n: number): Identity => new Identity(new Uint8Array(32).fill(n))
export const [owner, alice, bob, carol, mallory] = [keyOf(1), keyOf(2), keyOf(3), keyOf(4), keyOf(5)] as const

/** A shelf that can be slow and can fail. */
export class MemoryShelf implements RecordShelf {
  readonly kept = new Map<string, Uint8Array>()
  wait: Promise<void> = Promise.resolve()

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.wait
    this.kept.set(key, value)
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.kept.get(key))
  }

  async *entries(prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    for (const [key, value] of [...this.kept].sort(([a], [b]) => (a < b ? -1 : 1))) if (key.startsWith(prefix)) yield [key, value] as const
  }
}

export class MeshWorld {
  readonly random = countingRandom()
  readonly mesh
  readonly founder: Uint8Array

  constructor(readonly clock = new HandClock()) {
    const { random } = this
    const founded = foundMesh({ device: alice, owner, name: 'home', deviceName: 'alice', clock, random })
    this.mesh = founded.mesh
    this.founder = founded.membership
  }

  get now(): number {
    return Math.floor(this.clock.now() / 1_000)
  }

  sign(by: Identity, domain: Domain, value: object): Uint8Array {
    return seal(by, domain, this.mesh.id, value)
  }

  member(device: Identity, name: string, o: { own?: boolean; at?: number; by?: Identity; proofs?: readonly Uint8Array[] } = {}): Uint8Array {
    const { own = false, at = this.clock.now(), by = owner, proofs = [] } = o
    return this.sign(by, DOMAIN.membership, { v: 1, device: device.did, name, kind: 'member', own, at, proofs })
  }

  /** @param until milliseconds from now. */
  guest(device: Identity, name: string, o: { host?: Identity; at?: number; until?: number; by?: Identity; proofs?: readonly Uint8Array[] } = {}): Uint8Array {
    const { host = alice, at = this.clock.now(), until = 600_000, by = owner, proofs = [] } = o
    const value = { v: 1, device: device.did, name, kind: 'guest', own: false, at, proofs, until: this.clock.now() + until, host: host.did }
    return this.sign(by, DOMAIN.membership, value)
  }

  address(device: Identity, seq: number, addrs: readonly string[] = ['/ip4/10.0.0.1/tcp/4701'], by = device): Uint8Array {
    return this.sign(by, DOMAIN.address, { v: 1, device: device.did, seq, addrs })
  }

  announcement(device: Identity, seq: number, by = device): Uint8Array {
    const machine = { name: 'x', labels: {}, os: 'linux', arch: 'x64', cpus: 2, memoryBytes: 1, loadPercent: 0, version: '0.1.0', freeSlots: 1 }
    return this.sign(by, DOMAIN.announce, { v: 1, device: device.did, seq, ...machine })
  }

  grant(from: Identity, to: Identity, on: Identity, fields: Partial<DelegationFields> = {}): Delegation {
    return signDelegation(from, { aud: to.did, sub: on.did, cmd: '/exec/run', pol: [], exp: this.now + 3_600, nonce: this.random(16), ...fields })
  }

  root(on: Identity): Delegation {
    return this.grant(on, owner, on, { cmd: '/', exp: null })
  }

  orders(): Orders {
    return new Orders(new Owners(this.mesh))
  }

  directory(revocations = new Revocations(), orders = this.orders()): Directory {
    const removedAt = (did: string): number | undefined => orders.atOf('remove', did)
    return new Directory(orders.owners, admission(orders.owners, revocations), removedAt, () => this.clock.now())
  }

  order(kind: string, subject: string, o: { at: number; by?: Identity; body?: object }): Uint8Array {
    return this.sign(o.by ?? owner, DOMAIN.order, { v: 1, kind, subject, at: o.at, body: o.body ?? {} })
  }

  /** The rooms of one device. Over the shelf of an earlier one they are the same device after a restart. */
  device(shelf = new MemoryShelf()): Rooms {
    const wallet = new Wallet()
    const revocations = new Revocations()
    const orders = this.orders()
    const directory = this.directory(revocations, orders)
    orders.followDevices((did) => directory.before(did))
    revocations.bar((did) => directory.isRemoved(did))
    revocations.voids((link, above) => isVoid(orders.owners, link, above))
    const records = new MeshRecords({ orders, directory, wallet, revocations, shelf, clock: this.clock, owners: orders.owners })
    const groups = new Groups({ orders, directory })
    const roles = new Roles({ orders, owner: () => undefined })
    return { directory, orders, groups, roles, wallet, revocations, records, shelf }
  }
}

export interface Rooms {
  readonly directory: Directory
  readonly orders: Orders
  readonly groups: Groups
  readonly roles: Roles
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly records: MeshRecords
  readonly shelf: MemoryShelf
}
