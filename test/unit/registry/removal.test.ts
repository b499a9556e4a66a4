/** Removal wins: against it stands only an owner's own, later word; and all devices agree on who is a member, in whatever order they heard of it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { signDelegation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { alice, bob, carol, MeshWorld, mallory, owner, type Rooms } from '../runtime/mesh-world.ts'

const AT = 1_700_000_000_000

function withAdmin(): { world: MeshWorld; proofs: Uint8Array[] } {
  const world = new MeshWorld()
  const leave = signDelegation(owner, { aud: alice.did, sub: owner.did, cmd: '/mesh/join', pol: [], exp: null, nonce: world.random(16) })
  return { world, proofs: [leave.bytes] }
}

async function told(world: MeshWorld, ...said: readonly (readonly ['members' | 'orders', Uint8Array])[]): Promise<Rooms> {
  const rooms = world.device()
  await rooms.records.admit('members', world.founder)
  for (const [set, bytes] of said) await rooms.records.admit(set, bytes)
  return rooms
}

test('a removed device is no member, whatever admins sign and whatever time they write; an owner’s later word brings it back', async () => {
  const { world, proofs } = withAdmin()
  const rooms = await told(world, ['members', world.member(bob, 'bob', { at: AT })], ['orders', world.order('remove', bob.did, { at: AT + 10 })])
  expect([rooms.directory.isMember(bob.did), rooms.directory.isRemoved(bob.did), rooms.directory.nameOf(bob.did)]).toEqual([false, true, 'bob'])
  for (const at of [AT + 5, AT + 11, Number.MAX_SAFE_INTEGER]) {
    await rooms.records.admit('members', world.member(bob, 'bob', { at, by: alice, proofs }))
    expect(rooms.directory.isMember(bob.did), `an admin at ${at}`).toBe(false)
  }
  for (const at of [AT, AT + 10]) await rooms.records.admit('members', world.member(bob, 'bob', { at }))
  expect(rooms.directory.isMember(bob.did), 'an owner, not later').toBe(false)
  await rooms.records.admit('members', world.member(bob, 'bob', { at: AT + 11 }))
  expect(rooms.directory.isMember(bob.did), 'an owner, later').toBe(true)
  await rooms.records.admit('orders', world.order('remove', bob.did, { at: AT + 20 }))
  expect(rooms.directory.isMember(bob.did), 'and removed again').toBe(false)
})

test.each<[string, Identity]>([
  ['the device that is to go', bob],
  ['another member', alice],
  ['a stranger', mallory],
])('a removal that %s signed does nothing', async (_who, by) => {
  const { world } = withAdmin()
  const rooms = await told(world, ['members', world.member(bob, 'bob', { at: AT })])
  expect((await rooms.records.admit('orders', world.order('remove', bob.did, { at: AT + 1, by }))).verdict).toBe('refused')
  expect(rooms.directory.isMember(bob.did)).toBe(true)
})

test('nothing of a removed device is handed on, nothing through it counts, and a restart finds nothing damaged', async () => {
  const { world } = withAdmin()
  const rooms = await told(world, ['members', world.member(bob, 'bob', { at: AT })], ['members', world.member(carol, 'carol', { at: AT })])
  await rooms.records.admit('addresses', world.address(bob, 1))
  await rooms.records.admit('announcements', world.announcement(bob, 1))
  const [root, link, on] = [world.root(alice), world.grant(owner, bob, alice), world.grant(bob, carol, alice)]
  for (const one of [root, link, on]) await rooms.records.admit('delegations', one.bytes)
  expect(rooms.revocations.kills([root, link, on])).toBeUndefined()
  await rooms.records.admit('orders', world.order('remove', bob.did, { at: AT + 1 }))
  expect(rooms.revocations.kills([root, link, on])).toMatchObject({ link: { cid: link.cid }, words: expect.stringContaining('was removed from the mesh') })
  expect(rooms.revocations.kills([root])).toBeUndefined()
  for (const set of ['addresses', 'announcements', 'delegations'] as const)
    for (const [, bytes] of rooms.records.visible(set, alice.did)) expect(Buffer.from(bytes).includes(bob.did), set).toBe(false)
  expect(rooms.directory.members().map(({ name }) => name)).toEqual(['alice', 'carol'])
  expect(rooms.directory.peers(alice.did).map(({ did }) => did)).toEqual([carol.did])
  expect(() => rooms.directory.resolve('bob')).toThrowError(expect.objectContaining({ code: 'REMOVED' }))
  expect((await rooms.records.admit('addresses', world.address(bob, 2))).verdict).toBe('known')
  const again = world.device(rooms.shelf)
  expect(await again.records.load()).toEqual([])
  expect([again.directory.isRemoved(bob.did), again.directory.isMember(carol.did)]).toEqual([true, true])
})

test('in whatever order memberships and removals are heard, and whatever is lost in between, all devices agree on the members', async () => {
  const { world, proofs } = withAdmin()
  const whom = fc.constantFrom(bob, carol)
  const membership = fc
    .record({ device: whom, at: fc.nat(6), byOwner: fc.boolean(), name: fc.constantFrom('a', 'b') })
    .map(({ device, at, byOwner, name }) => ['members', world.member(device, name, byOwner ? { at } : { at, by: alice, proofs })] as const)
  const removal = fc.record({ device: whom, at: fc.nat(6) }).map(({ device, at }) => ['orders', world.order('remove', device.did, { at })] as const)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(membership, removal), { maxLength: 10 }), fc.infiniteStream(fc.nat()), async (said, order) => {
      const mixed = said.map((one) => ({ one, place: order.next().value })).sort((a, b) => a.place - b.place)
      const [a, b] = [await told(world, ...said), await told(world, ...mixed.map(({ one }) => one))]
      expect(b.records.digests()).toEqual(a.records.digests())
      expect(b.directory.members()).toEqual(a.directory.members())
      const late = await told(world)
      for (const set of ['members', 'orders'] as const) for (const [, bytes] of a.records.visible(set, alice.did)) await late.records.admit(set, bytes)
      expect(late.directory.members(), 'who hears only what is left').toEqual(a.directory.members())
    }),
    { numRuns: 150 },
  )
})
