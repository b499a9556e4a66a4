/** Two devices meet over real libp2p on loopback: what hello leaves behind, and that sync gets past what it cannot use. */
import { afterEach, expect, test } from 'vitest'
import type { SetName } from '../../../protocols/sync/messages.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { type Host, startHost } from '../../../src/mesh/host.ts'
import { Links, type Peer } from '../../../src/mesh/links.ts'
import { Sync, type SyncedRecords } from '../../../src/mesh/sync.ts'
import { recordId } from '../../../src/registry/records.ts'
import { companyOf } from '../../../src/runtime/guest-view.ts'
import { alice, bob, carol, MeshWorld, type Rooms } from '../runtime/mesh-world.ts'

const running: Node[] = []
afterEach(async () => {
  for (const { host, sync } of running.splice(0)) {
    sync.stop()
    await host.stop()
  }
})

interface Node {
  readonly host: Host
  readonly links: Links
  readonly sync: Sync
}

async function nodeOf(world: MeshWorld, identity: Identity, o: { rooms: Rooms; records?: SyncedRecords; membership: Uint8Array }): Promise<Node> {
  const { rooms, membership, records = rooms.records } = o
  const company = companyOf(identity.did, rooms.directory, rooms.records.guests)
  const links = new Links({
    self: identity.did,
    removals: { of: (did) => rooms.records.removalOf(did), learn: (order) => rooms.records.admit('orders', order) },
    meshId: world.mesh.id,
    directory: rooms.directory,
    company,
    refused: () => undefined,
    admitMember: async (bytes) => (await rooms.records.admit('members', bytes)).verdict,
    clock: systemClock,
    random: systemRandom,
    log: () => undefined,
    ownHello: () => ({ version: '0.1.0', membership, protocols: [], digests: rooms.records.digests() }),
    onUp: () => undefined,
    reached: () => undefined,
    onDown: () => undefined,
  })
  const sync = new Sync({
    links,
    records,
    company,
    clock: systemClock,
    random: systemRandom,
    addresses: true,
    refused: () => undefined,
    compared: () => undefined,
    log: () => undefined,
  })
  const options = { identity, meshId: world.mesh.id, listen: ['/ip4/127.0.0.1/tcp/0'], version: '0.1.0', mdns: false, dht: false }
  const host = await startHost(options, async (made) => {
    await links.attach(made)
    await sync.attach(made)
  })
  const node = { host, links, sync }
  running.push(node)
  return node
}

async function meet(from: Node, to: Node): Promise<Peer> {
  return await from.links.ready(await from.host.dial(to.host.getMultiaddrs()))
}

test('a member first met in a hello is known after a restart too', async () => {
  const world = new MeshWorld()
  const [a, b] = [world.device(), world.device()]
  for (const rooms of [a, b]) await rooms.records.admit('members', world.founder)
  const membership = world.member(bob, 'bob')
  const [listener, dialer] = [await nodeOf(world, alice, { rooms: a, membership: world.founder }), await nodeOf(world, bob, { rooms: b, membership })]
  await meet(dialer, listener)
  expect(a.directory.nameOf(bob.did)).toBe('bob')
  await a.records.admit('addresses', world.address(bob, 1))
  const again = world.device(a.shelf)
  expect(await again.records.load()).toEqual([])
  expect(again.directory.addressesOf(bob.did)).toHaveLength(1)
})

test('a whole page of records that are refused here does not keep the next page away', async () => {
  const world = new MeshWorld()
  const [a, b] = [world.device(), world.device()]
  const membership = world.member(bob, 'bob')
  for (const rooms of [a, b]) for (const bytes of [world.founder, membership]) await rooms.records.admit('members', bytes)
  // 600 addresses of a device that is a member on one side only, then one that is of use.
  const useless = Array.from({ length: 600 }, (_, seq) => world.address(carol, seq))
  const useful = world.address(bob, 1)
  const shown = [...useless, useful].map((bytes) => [recordId(bytes), bytes] as const)
  const records: SyncedRecords = {
    digests: () => ({ ...a.records.digests(), addresses: new Uint8Array(32) }),
    visible: (set: SetName) => (set === 'addresses' ? shown : []),
    tellable: (_set, all) => [...all],
    mayBring: () => true,
    removalOf: () => [],
    admit: (set, bytes) => a.records.admit(set, bytes),
  }
  const listener = await nodeOf(world, alice, { rooms: a, records, membership: world.founder })
  const dialer = await nodeOf(world, bob, { rooms: b, membership })
  const peer = await meet(dialer, listener)
  await dialer.sync.catchUp({ ...peer, hello: { ...peer.hello, digests: records.digests() } })
  expect(b.directory.addressesOf(bob.did)).toHaveLength(1)
})
