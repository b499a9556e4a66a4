/** A device under a new key is the same device and no more than it was; the old key is dead, and a removal wins whenever it was said. */
import { expect, test } from 'vitest'
import { DOMAIN } from '../../../protocols/wire.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { acceptance } from '../../../src/registry/succession.ts'
import { alice, bob, carol, keyOf, MeshWorld, mallory, owner, type Rooms } from '../runtime/mesh-world.ts'

const world = new MeshWorld()
const T = world.clock.now()
const [next, later, other] = [keyOf(51), keyOf(52), keyOf(53)]
const member = (device: Identity, name: string, o: { own?: boolean; by?: Identity; at?: number } = {}): Uint8Array =>
  world.member(device, name, { at: T, ...o })
const bobs = member(bob, 'bob')

interface Turn {
  readonly to?: Identity
  readonly from?: Identity
  readonly by?: Identity
  readonly at?: number
  readonly proof?: Uint8Array
  readonly fields?: object
  readonly accepted?: Identity
}
function turn({ to = next, from = bob, by = from, at = T + 10, proof = bobs, fields = {}, accepted = to }: Turn = {}): Uint8Array {
  const accepts = acceptance(world.mesh.id, accepted, from.did)
  const value = { v: 1, device: to.did, name: 'bob', kind: 'member', own: false, at, proofs: [proof], succeeds: from.did, accepts, ...fields }
  return world.sign(by, DOMAIN.membership, value)
}

async function mesh(...more: readonly (readonly ['members' | 'orders', Uint8Array])[]): Promise<Rooms & { verdicts: string[] }> {
  const rooms = world.device()
  const verdicts: string[] = []
  for (const bytes of [world.founder, bobs, member(carol, 'carol')]) await rooms.records.admit('members', bytes)
  for (const [set, bytes] of more) verdicts.push((await rooms.records.admit(set, bytes)).verdict)
  return { ...rooms, verdicts }
}
const names = ({ directory }: Rooms): string[] =>
  directory.members().map(({ name, device }) => `${name} ${device === next.did ? 'new' : device === bob.did ? 'old' : 'as it was'}`)

test('the old key names its successor, which keeps the name; the old key is refused and what passes through it dead', async () => {
  const rooms = await mesh(['members', turn()])
  expect(names(rooms)).toEqual(['alice as it was', 'bob new', 'carol as it was'])
  expect(rooms.directory.isRemoved(bob.did)).toBe(true)
  expect(rooms.directory.nameOf(bob.did)).toBe('bob')
  expect(rooms.revocations.kills([world.grant(carol, bob, carol)])).toBeDefined()
  expect(rooms.directory.before(next.did)).toEqual([bob.did])
  expect((await rooms.records.admit('members', bobs)).verdict).toBe('known')
  expect(rooms.directory.isMember(bob.did)).toBe(false)
})

test('somebody who has never heard of the old key believes it by the record alone', async () => {
  const rooms = world.device()
  await rooms.records.admit('members', world.founder)
  expect((await rooms.records.admit('members', turn())).verdict).toBe('new')
  const again = turn({ to: later, from: next, proof: turn(), at: T + 20 })
  expect((await world.device().records.admit('members', again)).verdict).toBe('new')
})

test.each<[string, Turn]>([
  ['signed by a stranger', { by: mallory }],
  ['signed by another member', { by: carol }],
  ['signed by the new key alone', { by: next }],
  ['that the new key does not accept', { accepted: mallory }],
  ['that makes another device the successor, which did not ask', { to: carol, accepted: bob }],
  ['that makes the device the owner’s own', { fields: { own: true } }],
  ['under another name', { fields: { name: 'alice' } }],
  ['without the membership before', { fields: { proofs: [] } }],
  ['with the membership of another device', { proof: member(carol, 'carol') }],
  ['with a membership that no owner signed', { proof: world.member(bob, 'bob', { by: mallory, at: T }) }],
  ['that is no later', { at: T }],
  ['of itself', { to: bob }],
])('a succession %s does not count', async (_name, wrong) => {
  const rooms = await mesh(['members', turn(wrong)])
  expect(rooms.verdicts).toEqual(['refused'])
  expect(rooms.directory.isMember(bob.did)).toBe(true)
})

test('an old membership that was better than the last one is no way back to it', async () => {
  const better = member(bob, 'bob', { own: true })
  const rooms = await mesh(
    ['members', better],
    ['members', world.member(bob, 'bob', { at: T + 5 })],
    ['members', turn({ proof: better, fields: { own: true } })],
  )
  expect(rooms.verdicts).toEqual(['new', 'new', 'refused'])
})

test('a removal wins over a succession, whichever is heard first, and of whichever key', async () => {
  const removal = world.order('remove', bob.did, { at: T + 5 })
  const lateRemoval = world.order('remove', bob.did, { at: T + 500 })
  for (const out of [removal, lateRemoval]) {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const said = [['orders', out] as const, ['members', turn()] as const]
      const rooms = await mesh(...order.flatMap((at) => (said[at] === undefined ? [] : [said[at]])))
      expect(names(rooms)).toEqual(['alice as it was', 'carol as it was'])
    }
  }
  const second = turn({ to: later, from: next, proof: turn(), at: T + 20 })
  const rooms = await mesh(['members', turn()], ['members', second], ['orders', lateRemoval])
  expect(rooms.directory.isMember(later.did)).toBe(false)
})

test('whoever stole the old key cannot name another successor once one is known; an owner can', async () => {
  const rooms = await mesh(['members', turn()], ['members', turn({ to: other, at: T + 5 })], ['members', turn({ to: other, at: T + 50 })])
  expect(rooms.verdicts).toEqual(['new', 'known', 'known'])
  expect(names(rooms)).toContain('bob new')
  const byOwner = turn({ to: later, by: owner, at: T + 60 })
  expect((await rooms.records.admit('members', byOwner)).verdict).toBe('new')
  expect([rooms.directory.isMember(later.did), rooms.directory.isMember(next.did), rooms.directory.isMember(bob.did)]).toEqual([true, false, false])
  expect((await rooms.records.admit('members', turn({ at: T + 70 }))).verdict).toBe('known')
})

test('what an owner said of the device is said of it under its new key: a new key is no way out of a ceiling', async () => {
  const { orders } = await mesh(['orders', world.order('trust', bob.did, { at: T, body: { level: 'untrusted' } })], ['members', turn()])
  expect(orders.get('trust', next.did)).toEqual({ level: 'untrusted' })
  expect(orders.get('trust', alice.did)).toBeUndefined()
})

test('after a restart all of it holds', async () => {
  const rooms = await mesh(['members', turn()])
  const again = world.device(rooms.shelf)
  expect(await again.records.load()).toEqual([])
  expect(names({ ...again })).toEqual(names(rooms))
})
