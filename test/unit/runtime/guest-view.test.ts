/** What a guest gets to see of a mesh: what its living grants are made of, and not a record more, whatever else is there. */
import * as fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { SETS, type SetName } from '../../../protocols/sync/messages.ts'
import { LAST_LINK } from '../../../src/authority/chain.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import type { Delegation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { recordId } from '../../../src/registry/records.ts'
import { companyOf } from '../../../src/runtime/guest-view.ts'
import { alice, bob, carol, mallory as guest, keyOf, MeshWorld, owner, type Rooms } from './mesh-world.ts'

const other = keyOf(6)
let world: MeshWorld
let here: Rooms

beforeEach(async () => {
  world = new MeshWorld()
  here = world.device()
  const members = [world.founder, world.member(bob, 'bob'), world.member(carol, 'carol'), world.guest(guest, 'visitor'), world.guest(other, 'other')]
  for (const bytes of members) await here.records.admit('members', bytes)
  for (const device of [alice, bob, carol, guest, other]) await here.records.admit('addresses', world.address(device, 1))
  for (const device of [alice, bob, carol]) await here.records.admit('announcements', world.announcement(device, 1))
  for (const device of [alice, bob, carol]) await here.records.admit('delegations', world.root(device).bytes)
  await here.records.admit('orders', world.order('policy', '', { at: 1, body: { text: 'execPolicy: {}' } }))
  await here.records.admit('orders', world.order('remove', keyOf(7).did, { at: 1 }))
})

const visible = (set: SetName, by: Identity = guest): Uint8Array[] => [...here.records.visible(set, by.did)].map(([, bytes]) => bytes)
const counts = (by: Identity = guest): Record<string, number> => Object.fromEntries(SETS.map((set) => [set, visible(set, by).length]))
const give = async (to: Identity, on: Identity): Promise<ReturnType<MeshWorld['grant']>> => {
  const link = world.grant(owner, to, on, { meta: { [LAST_LINK]: true } })
  await here.records.admit('delegations', link.bytes)
  return link
}

test('without a grant a guest sees itself and its host; with one the device that it names, and the chain of that grant alone', async () => {
  expect(counts()).toEqual({ orders: 0, members: 2, addresses: 2, announcements: 0, revocations: 0, delegations: 0 })
  const link = await give(guest, bob)
  await give(carol, bob)
  await give(other, carol)
  await here.records.admit('delegations', world.grant(bob, guest, bob, { sub: null }).bytes)
  expect(counts()).toEqual({ orders: 0, members: 3, addresses: 3, announcements: 0, revocations: 0, delegations: 2 })
  const cids = visible('delegations').map((bytes) => recordId(bytes))
  expect(cids).toContain(recordId(link.bytes))
  expect(here.records.guests.granted(guest.did)).toEqual([bob.did])
})

test('a revoked or expired grant names no device any more, and its revocation is the one that a guest hears of', async () => {
  const link = await give(guest, bob)
  await here.records.admit('revocations', revoke(owner, world.root(carol).cid, world.random).bytes)
  const mine = revoke(owner, link.cid, world.random).bytes
  await here.records.admit('revocations', mine)
  expect(visible('revocations')).toEqual([mine])
  expect(counts()).toMatchObject({ members: 2, addresses: 2, delegations: 1 })
  expect(companyOf(bob.did, here.directory, here.records.guests).mayMeet(guest.did)).toBe(false)
})

test('members and guests meet as their grants say: members all, guests the devices named and their host, guests each other never', async () => {
  await give(guest, bob)
  const meets = (self: Identity, them: Identity): boolean => companyOf(self.did, here.directory, here.records.guests).mayMeet(them.did)
  expect([meets(alice, carol), meets(alice, guest), meets(bob, guest), meets(carol, guest), meets(carol, keyOf(9))]).toEqual([true, true, true, false, false])
  expect([meets(guest, alice), meets(guest, bob), meets(guest, carol), meets(guest, other), meets(other, guest)]).toEqual([true, true, false, false, false])
  world.clock.advance(600_001)
  expect([meets(alice, guest), meets(bob, guest)]).toEqual([false, false])
  expect(counts()).toEqual({ orders: 0, members: 0, addresses: 0, announcements: 0, revocations: 0, delegations: 0 })
})

test('the digests of a guest tell of its own view: what changes elsewhere does not change them', async () => {
  await give(guest, bob)
  const before = here.records.digests(guest.did)
  await here.records.admit('members', world.member(keyOf(9), 'new'))
  await here.records.admit('addresses', world.address(carol, 2))
  await here.records.admit('orders', world.order('label', carol.did, { at: 2, body: { labels: { a: 'b' } } }))
  await here.records.admit('revocations', revoke(owner, world.root(carol).cid, world.random).bytes)
  expect(here.records.digests(guest.did)).toEqual(before)
  await here.records.admit('addresses', world.address(bob, 2))
  expect(here.records.digests(guest.did)).not.toEqual(before)
})

test('a guest speaks for itself alone: its address, what it gives on itself, and what it takes back', async () => {
  const gift = world.grant(guest, owner, guest)
  const words: [SetName, Uint8Array, boolean][] = [
    ['addresses', world.address(guest, 2), true],
    ['addresses', world.address(bob, 2), false],
    ['delegations', gift.bytes, true],
    ['delegations', world.grant(guest, carol, bob).bytes, false],
    ['delegations', world.grant(bob, guest, bob).bytes, false],
    ['revocations', revoke(guest, gift.cid, world.random).bytes, true],
    ['revocations', revoke(owner, gift.cid, world.random).bytes, false],
    ['orders', gift.bytes, false],
    ['members', world.member(keyOf(9), 'new'), false],
    ['orders', world.order('label', carol.did, { at: 2, body: { labels: {} } }), false],
    ['announcements', world.announcement(guest, 2), false],
    ['addresses', new Uint8Array(40), false],
  ]
  for (const [set, bytes, may] of words) expect(here.records.mayBring(set, bytes, guest.did), set).toBe(may)
  for (const [set, bytes] of words) expect(here.records.mayBring(set, bytes, bob.did)).toBe(true)
  for (const [set, bytes] of words) expect(here.records.mayBring(set, bytes, keyOf(9).did)).toBe(false)
  expect(here.directory.admitAnnouncement(world.announcement(guest, 3), () => 0)).toBe('refused')
})

test('a sentence names to a guest whom it knows, and tells of the others not even their names', async () => {
  await give(guest, bob)
  const text = `${bob.did} says that ${carol.did} and ${owner.did} heard ${keyOf(9).did}`
  expect(here.records.guests.named(text, guest.did)).toBe('bob says that somebody of this mesh and the owner heard somebody of this mesh')
  expect(here.records.guests.named(text, alice.did)).toBe(`bob says that carol and the owner heard ${keyOf(9).did}`)
})

test('a guest admits nobody, whatever leave it shows; and an older membership does not come back when its time is over', async () => {
  const leave = world.grant(owner, guest, owner, { cmd: '/mesh/join', sub: owner.did })
  const proofs = [leave.bytes]
  const mine = world.member(keyOf(9), 'mine', { by: guest, proofs })
  expect(here.directory.admitMember(mine)).toBe('refused')
  await here.records.admit('members', world.member(bob, 'bob', { at: world.clock.now() - 5 }))
  await here.records.admit('members', world.guest(bob, 'bob', { at: world.clock.now() + 1, until: 1_000 }))
  expect([here.directory.isMember(bob.did), here.directory.isGuest(bob.did)]).toEqual([false, true])
  world.clock.advance(1_001)
  expect([here.directory.isAdmitted(bob.did), here.directory.overSince(bob.did) !== undefined]).toEqual([false, true])
  expect(() => here.directory.resolve('bob')).toThrow(/was a guest, and its time is over/)
  const again = world.device(here.shelf)
  expect(await again.records.load()).toEqual([])
})

/** A mesh of random grants among six devices and the owner; the guest is one of them. */
const given = fc.array(fc.record({ from: fc.nat(6), to: fc.nat(5), on: fc.nat(5), wide: fc.boolean() }), { maxLength: 14 })
type Given = typeof given extends fc.Arbitrary<infer T> ? T : never

async function meshOf(grants: Given): Promise<Rooms> {
  const devices = [alice, bob, carol, guest, other, keyOf(8)]
  const rooms = world.device()
  const members = [world.founder, world.member(bob, 'bob'), world.member(carol, 'carol'), world.guest(guest, 'visitor'), world.guest(other, 'other')]
  for (const bytes of members) await rooms.records.admit('members', bytes)
  for (const device of [alice, bob, carol]) await rooms.records.admit('delegations', world.root(device).bytes)
  for (const { from, to, on, wide } of grants) {
    const [by = owner, aud = guest, sub = bob] = [[...devices, owner][from], devices[to], devices[on]]
    if (by !== aud) await rooms.records.admit('delegations', world.grant(by, aud, sub, wide ? { sub: null } : {}).bytes)
  }
  return rooms
}

/** Who signed the guest's grants, and whoever those have their power from. */
function issuersOf(mine: readonly Delegation[], all: readonly Delegation[]): ReadonlySet<string> {
  const issuers = new Set<string>(mine.map(({ iss }) => iss))
  for (let before = 0; before < issuers.size; ) {
    before = issuers.size
    for (const { aud, iss } of all) if (issuers.has(aud)) issuers.add(iss)
  }
  return issuers
}

test('whatever is granted to whom: a guest is shown a link only if one of its own grants rests on it, and a member only if such a grant names it', async () => {
  await fc.assert(
    fc.asyncProperty(given, async (grants) => {
      const { wallet, records } = await meshOf(grants)
      const all = wallet.list()
      const mine = all.filter(({ aud, iss, sub }) => (aud === guest.did && sub !== null && sub !== guest.did) || (iss === guest.did && sub === guest.did))
      const [issuers, subjects] = [issuersOf(mine, all), new Set<string | null>([null, ...mine.map(({ sub }) => sub)])]
      const shown = new Set([...records.visible('delegations', guest.did)].map(([id]) => id))
      const wrong = all.filter((link) => shown.has(recordId(link.bytes)) && !mine.includes(link) && !(issuers.has(link.aud) && subjects.has(link.sub)))
      expect(wrong).toEqual([])
      const named = new Set<string | null>([guest.did, alice.did, ...mine.map(({ sub }) => sub)])
      expect(records.guests.visible('members', guest.did).length).toBeLessThanOrEqual(named.size)
    }),
    { numRuns: 60 },
  )
})
