/** Owners who were taken out: what they sign from then on gives nothing; what the change named goes on; devices give to the owners of now. */
import { expect, test } from 'vitest'
import { DOMAIN } from '../../../protocols/wire.ts'
import type { Delegation } from '../../../src/authority/token.ts'
import { keptFor } from '../../../src/runtime/former.ts'
import { Lineage } from '../../../src/runtime/lineage.ts'
import { missingRoots } from '../../../src/runtime/owner-roots.ts'
import { ROLE_LINK } from '../../../src/runtime/roles.ts'
import { ann, ben, chainOf, words, world } from '../registry/owner-world.ts'
import { bob, carol, keyOf, mallory, type Rooms } from './mesh-world.ts'

const role = keyOf(41)
const toRole = (): Delegation => world.grant(ann, role, bob, { sub: null, meta: { [ROLE_LINK]: 'ops' } })

async function mesh(): Promise<Rooms> {
  const rooms = world.device()
  await rooms.records.admit('members', world.founder)
  for (const [device, name] of [
    [bob, 'bob'],
    [carol, 'carol'],
    [mallory, 'mallory'],
  ] as const)
    await rooms.records.admit('members', world.member(device, name, { own: device === bob }))
  const body = { did: role.did, salt: new Uint8Array(16), can: ['exec: *'], inherits: [], maxMs: null, removed: false }
  await rooms.records.admit('orders', world.order('role', 'ops', { at: 5, body }))
  return rooms
}

/** Ann hands the mesh to Ben; what Ben's device knows goes on to count. */
async function hand(rooms: Rooms): Promise<void> {
  const both = chainOf([{ owners: [ann, ben], by: [ann] }])
  await rooms.records.admit('orders', wrap(both))
  const { orders, directory, wallet } = rooms
  const kept = keptFor([ann.did], { orders, directory, wallet, nowSeconds: () => world.now })
  const [first] = both.steps
  const after = chainOf([{ owners: [ben], by: [ann, ben], kept: [...keptRecords(rooms)] }], both)
  expect(after.kept).toEqual(kept)
  expect(first).toBeDefined()
  expect(await rooms.records.admit('orders', wrap(after))).toMatchObject({ verdict: 'new' })
}

const wrap = (body: object): Uint8Array => world.sign(ben, DOMAIN.order, { v: 1, kind: 'owners', subject: '', at: 1, body })

function keptRecords({ orders, directory, wallet }: Rooms): Uint8Array[] {
  const links = wallet.list().filter(({ iss }) => iss === ann.did || iss === role.did)
  return [...orders.signedBy([ann.did]), ...directory.admittedBy([ann.did]), ...links.map(({ bytes }) => bytes)]
}

test('grants, memberships and orders of an owner who leaves go on; new ones of theirs do nothing', async () => {
  const rooms = await mesh()
  const { records, revocations, directory, orders } = rooms
  const root = world.root(bob)
  const before = world.grant(ann, carol, bob)
  for (const link of [root, before]) await records.admit('delegations', link.bytes)
  await hand(rooms)
  expect(directory.members().map(({ name }) => name)).toEqual(['alice', 'bob', 'carol', 'mallory'])
  expect(revocations.kills([root, before])).toBeUndefined()
  const after = world.grant(ann, mallory, bob)
  expect(revocations.kills([root, after])?.words).toContain('no owner of this mesh any more')
  expect(await records.admit('members', world.member(keyOf(42), 'late'))).toMatchObject({ verdict: 'known' })
  expect(directory.isMember(keyOf(42).did)).toBe(false)
  expect(await records.admit('orders', world.order('lockdown', '', { at: 9, body: { on: true } }))).toMatchObject({ verdict: 'known' })
  expect(orders.get('lockdown', '')).toBeUndefined()
})

test('whoever has the key of a role that a former owner made cannot give it to anybody new', async () => {
  const rooms = await mesh()
  const { records, revocations } = rooms
  const [root, upper] = [world.root(bob), toRole()]
  const lower = world.grant(role, carol, bob)
  for (const link of [root, upper, lower]) await records.admit('delegations', link.bytes)
  await hand(rooms)
  expect(revocations.kills([root, upper, lower])).toBeUndefined()
  expect(revocations.kills([root, upper, world.grant(role, mallory, bob)])).toBeDefined()
  expect(revocations.kills([root, toRole(), lower])).toBeDefined()
})

test('an admin of a former owner goes on to admit, and nobody whom they would have made one later', async () => {
  const rooms = await mesh()
  const leave = (to: typeof carol): Delegation => world.grant(ann, to, ann, { cmd: '/mesh/join', exp: world.now + 86_400 })
  const [early, late] = [leave(carol), leave(mallory)]
  await rooms.records.admit('delegations', early.bytes)
  await hand(rooms)
  const admit = async (by: typeof carol, proof: Delegation, device: typeof carol): Promise<string> =>
    (await rooms.records.admit('members', world.member(device, 'new', { by, proofs: [proof.bytes] }))).verdict
  expect([await admit(carol, early, keyOf(43)), await admit(mallory, late, keyOf(44))]).toEqual(['new', 'refused'])
})

test('after a restart a home holds the same owners and the same records, and calls none of them damaged', async () => {
  const rooms = await mesh()
  await rooms.records.admit('delegations', world.root(bob).bytes)
  await rooms.records.admit('orders', world.order('label', bob.did, { at: 7, body: { labels: {} } }))
  await hand(rooms)
  await rooms.records.admit('orders', world.sign(ben, DOMAIN.order, { v: 1, kind: 'label', subject: carol.did, at: 1, body: { labels: { x: '1' } } }))
  const again = world.device(rooms.shelf)
  expect(await again.records.load()).toEqual([])
  expect(again.orders.owners.list()).toEqual([ben.did])
  expect(again.orders.set().digest()).toEqual(rooms.orders.set().digest())
  expect(again.directory.members()).toEqual(rooms.directory.members())
})

test('a device gives to new owners what it gave to the old ones, and to nobody what it took back', async () => {
  const rooms = await mesh()
  const { wallet, directory, revocations, orders, records } = rooms
  const lineage = new Lineage({ wallet, revocations, nowSeconds: () => world.now })
  const missing = (device: typeof bob) => missingRoots({ device, owners: orders.owners, wallet, directory, lineage, random: world.random })
  expect(missing(bob).map(({ aud, cmd, exp }) => ({ aud, cmd, exp }))).toEqual([{ aud: ann.did, cmd: '/', exp: null }])
  expect(missing(carol)).toEqual([])
  const asked = world.grant(carol, ann, carol, { pol: [['==', '.exe', 'echo']] })
  for (const link of [...missing(bob), asked]) await records.admit('delegations', link.bytes)
  expect(missing(bob)).toEqual([])
  await records.admit(
    'orders',
    wrap(
      chainOf([
        { owners: [ann], by: [ann], recovery: words },
        { owners: [ann, ben], by: [ann] },
      ]),
    ),
  )
  expect(missing(bob).map(({ aud, cmd }) => [aud, cmd])).toEqual([
    [ben.did, '/'],
    [words.did, '/'],
  ])
  expect(missing(carol).map(({ aud, cmd, pol, exp }) => ({ aud, cmd, pol, exp }))).toEqual([{ aud: ben.did, cmd: asked.cmd, pol: asked.pol, exp: asked.exp }])
})
