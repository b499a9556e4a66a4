import { beforeEach, expect, test } from 'vitest'
import { ANNOUNCE } from '../../../protocols/announce/messages.ts'
import type { SetName } from '../../../protocols/sync/messages.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { settled } from '../base/hand-clock.ts'
import { alice, bob, carol, MemoryShelf, MeshWorld, mallory, owner, type Rooms } from './mesh-world.ts'

let world: MeshWorld
let here: Rooms
beforeEach(async () => {
  world = new MeshWorld()
  here = world.device()
  await here.records.admit('members', world.founder)
  await here.records.admit('members', world.member(bob, 'bob'))
  await here.records.admit('members', world.member(carol, 'carol'))
})

const seen = (rooms: Rooms, set: SetName, by: Identity): number => [...rooms.records.visible(set, by.did)].length
const digests = (rooms: Rooms): unknown => rooms.records.digests()

test('everything is there again after a restart', async () => {
  const grant = world.grant(bob, carol, bob)
  await here.records.admit('addresses', world.address(bob, 1))
  await here.records.admit('announcements', world.announcement(bob, world.clock.now()))
  await here.records.admit('delegations', grant.bytes)
  await here.records.admit('revocations', revoke(bob, grant.cid, world.random).bytes)
  const again = world.device(here.shelf)
  expect(await again.records.load()).toEqual([])
  expect(digests(again)).toEqual(digests(here))
  expect(again.directory.members()).toHaveLength(3)
  expect(again.directory.addressesOf(bob.did)).toEqual(['/ip4/10.0.0.1/tcp/4701'])
  expect(again.wallet.get(grant.cid)).toBeDefined()
  expect(again.revocations.size).toBe(1)
})

test('a device is shown offline after a restart until it is heard again, however new its last announcement is', async () => {
  await here.records.admit('announcements', world.announcement(bob, world.clock.now()))
  const again = world.device(here.shelf)
  await again.records.load()
  const heard = again.directory.announcementOf(bob.did)?.heardAt ?? 0
  expect(world.clock.now() - heard).toBeGreaterThan(ANNOUNCE.staleMs)
})

test('a record that was changed on the disk is named and does not count', async () => {
  const [key] = [...here.shelf.kept.keys()].filter((one) => one.startsWith('members/') && one.endsWith(bob.did))
  const bytes = Uint8Array.from(here.shelf.kept.get(key ?? '') ?? [])
  bytes[60] = (bytes[60] ?? 0) ^ 1
  here.shelf.kept.set(key ?? '', bytes)
  const again = world.device(here.shelf)
  expect(await again.records.load()).toEqual([key])
  expect(again.directory.isMember(bob.did)).toBe(false)
})

test('one record a device is kept: a newer one takes the place of the older', async () => {
  for (const seq of [1, 2, 3]) await here.records.admit('addresses', world.address(bob, seq))
  expect([...here.shelf.kept.keys()].filter((key) => key.startsWith('addresses/'))).toEqual([`addresses/${bob.did}`])
})

test('announcements come every few seconds and are written down every five minutes', async () => {
  let puts = 0
  const shelf = new MemoryShelf()
  const put = shelf.put.bind(shelf)
  shelf.put = (key, value) => {
    if (key.startsWith('announcements/')) puts++
    return put(key, value)
  }
  const rooms = world.device(shelf)
  await rooms.records.admit('members', world.founder)
  for (let i = 0; i < 31; i++) {
    await rooms.records.admit('announcements', world.announcement(alice, world.clock.now()))
    world.clock.advance(ANNOUNCE.everyMs)
  }
  expect(puts).toBe(2)
})

test('a record is acknowledged only when it is on the disk, also to the second who brings it', async () => {
  const revocation = revoke(bob, world.grant(bob, carol, bob).cid, world.random).bytes
  let synced = (): void => {}
  here.shelf.wait = new Promise((resolve) => (synced = resolve))
  const acknowledged: string[] = []
  const first = here.records.admit('revocations', revocation).then(() => acknowledged.push('gossip'))
  const second = here.records.admit('revocations', revocation).then(() => acknowledged.push('push'))
  await settled()
  expect(here.revocations.size).toBe(1) // it counts at once
  expect(acknowledged).toEqual([])
  synced()
  await Promise.all([first, second])
  expect(acknowledged).toEqual(['gossip', 'push'])
})

test('a record whose write failed is written when it comes again', async () => {
  const revocation = revoke(bob, world.grant(bob, carol, bob).cid, world.random).bytes
  here.shelf.wait = Promise.reject(new Error('disk full'))
  await expect(here.records.admit('revocations', revocation)).rejects.toThrow('disk full')
  await expect(here.records.admit('revocations', revocation)).rejects.toThrow('disk full')
  here.shelf.wait = Promise.resolve()
  expect(await here.records.admit('revocations', revocation)).toMatchObject({ verdict: 'known' })
  const again = world.device(here.shelf)
  await again.records.load()
  expect(again.revocations.size).toBe(1)
})

test('a new revocation is told before it is stored, and what it ended is named', async () => {
  const revocation = revoke(bob, world.grant(bob, carol, bob).cid, world.random).bytes
  here.records.onRevocation((bytes) => (bytes === revocation ? ['task-1'] : []))
  expect(await here.records.admit('revocations', revocation)).toEqual({ verdict: 'new', stopped: ['task-1'] })
  expect(await here.records.admit('revocations', revocation)).toEqual({ verdict: 'known', stopped: ['task-1'] })
})

test('rights from or for somebody outside the mesh are refused', async () => {
  for (const link of [world.grant(bob, mallory, bob), world.grant(mallory, bob, mallory)]) {
    expect(await here.records.admit('delegations', link.bytes)).toMatchObject({ verdict: 'refused' })
    expect(here.wallet.get(link.cid)).toBeUndefined()
  }
  expect(await here.records.admit('delegations', world.root(bob).bytes)).toMatchObject({ verdict: 'new' }) // the owner is no device, and belongs
})

test.each(['members', 'addresses', 'announcements', 'revocations', 'delegations'] as const)('noise is no record of %s', async (set) => {
  for (const bytes of [new Uint8Array(), Uint8Array.of(0xff), new Uint8Array(300), world.grant(mallory, mallory, bob).bytes.subarray(1)]) {
    expect(await here.records.admit(set, bytes)).toEqual({ verdict: 'refused', stopped: [] })
  }
})

test('a device sees no delegation that does not concern it', async () => {
  await here.records.admit('delegations', world.grant(alice, bob, alice).bytes)
  expect(seen(here, 'delegations', carol)).toBe(0)
  expect(seen(here, 'delegations', bob)).toBe(1)
  expect(seen(here, 'delegations', alice)).toBe(1)
})

test('a device sees what its grants rest on, up to the root, and nothing beside it', async () => {
  const chain = [world.root(alice), world.grant(owner, bob, alice)]
  const other = world.grant(owner, carol, carol)
  for (const link of [...chain, other]) await here.records.admit('delegations', link.bytes)
  const shown = [...here.records.visible('delegations', bob.did)].map(([, bytes]) => bytes)
  expect(shown).toEqual(expect.arrayContaining(chain.map((link) => link.bytes)))
  expect(shown).not.toContainEqual(other.bytes)
})

test('the owner’s own devices see every delegation', async () => {
  await here.records.admit('delegations', world.grant(bob, carol, bob).bytes)
  expect(seen(here, 'delegations', alice)).toBe(1)
})

test('members, addresses and revocations are the same for every member, and who is in the mesh as nothing gets none of them', async () => {
  await here.records.admit('addresses', world.address(bob, 1))
  await here.records.admit('revocations', revoke(bob, world.grant(bob, carol, bob).cid, world.random).bytes)
  for (const set of ['members', 'addresses', 'revocations'] as const) {
    expect([seen(here, set, carol), seen(here, set, mallory)]).toEqual([seen(here, set, alice), 0])
  }
})

test('a member that signs grants without end does not fill the room of the others; an owner may', async () => {
  let exp = 4_000_000_000
  const flood = async (by: Identity, count: number): Promise<string> => {
    let last = ''
    for (let i = 0; i < count; i++) last = (await here.records.admit('delegations', world.grant(by, carol, bob, { exp: exp++ }).bytes)).verdict
    return last
  }
  expect(await flood(bob, 2_048)).toBe('new')
  expect(await flood(bob, 1)).toBe('refused')
  expect((await here.records.admit('delegations', world.grant(carol, bob, carol).bytes)).verdict).toBe('new')
  expect(await flood(owner, 2_049)).toBe('new')
})

test('what is held is known when it comes again, also from who has used up its share: it costs nothing of it, and is not refused', async () => {
  const link = world.grant(bob, carol, bob)
  for (const verdict of ['new', 'known']) expect(await here.records.admit('delegations', link.bytes)).toMatchObject({ verdict })
  const said = Array.from({ length: 513 }, (_, i) => revoke(bob, world.grant(bob, carol, bob, { exp: 4_000_000_000 + i }).cid, world.random).bytes)
  const verdicts: string[] = []
  for (const bytes of said) verdicts.push((await here.records.admit('revocations', bytes)).verdict)
  expect([verdicts.slice(0, 512).every((one) => one === 'new'), verdicts[512]]).toEqual([true, 'refused'])
  expect(await here.records.admit('revocations', said[0] ?? new Uint8Array())).toMatchObject({ verdict: 'known' })
})
