/** Grants follow a device to its new key: the same and no more, once, and never what was revoked or has expired. */
import { expect, test } from 'vitest'
import { revoke } from '../../../src/authority/revocations.ts'
import { Lineage } from '../../../src/runtime/lineage.ts'
import { reissues } from '../../../src/runtime/reissue.ts'
import { alice, bob, carol, keyOf, MeshWorld, owner, type Rooms } from './mesh-world.ts'

const world = new MeshWorld()
const next = keyOf(61)
const on = ({ wallet, revocations }: Rooms) => ({
  wallet,
  revocations,
  lineage: new Lineage({ wallet, revocations, nowSeconds: () => world.now }),
  successions: [[bob.did, next.did]] as const,
  nowSeconds: world.now,
  random: world.random,
})
const signers = new Map([[owner.did as string, owner]])

test('what an owner gave the device, and gave others on it, is signed again in all but the key', () => {
  const rooms = world.device()
  const pol = [['==', '.exe', 'git']] as never
  const to = rooms.wallet.add(world.grant(owner, bob, carol, { pol, meta: { 'errand/last': true } }).bytes)
  const about = rooms.wallet.add(world.grant(owner, carol, bob).bytes)
  rooms.wallet.add(world.grant(owner, carol, alice).bytes)
  rooms.wallet.add(world.grant(carol, bob, alice).bytes) // not ours to sign
  const fresh = reissues(signers, on(rooms))
  expect(fresh.map(({ iss, aud, sub }) => [iss, aud, sub])).toEqual([
    [owner.did, next.did, carol.did],
    [owner.did, carol.did, next.did],
  ])
  expect(fresh[0]).toMatchObject({ cmd: to.cmd, pol: to.pol, exp: to.exp, meta: to.meta })
  expect(fresh[1]).toMatchObject({ cmd: about.cmd, exp: about.exp })
  for (const { bytes } of fresh) rooms.wallet.add(bytes)
  expect(reissues(signers, on(rooms))).toEqual([])
})

test('what was revoked or has expired does not follow, nor does a copy that was revoked come again', () => {
  const rooms = world.device()
  const dead = rooms.wallet.add(world.grant(owner, bob, carol).bytes)
  rooms.wallet.add(world.grant(owner, bob, alice, { exp: world.now - 1 }).bytes)
  rooms.revocations.add(revoke(owner, dead.cid).bytes)
  expect(reissues(signers, on(rooms))).toEqual([])
  rooms.wallet.add(world.grant(owner, bob, carol, { cmd: '/task/read' }).bytes)
  const [copy] = reissues(signers, on(rooms))
  if (copy === undefined) throw new Error('one follows')
  rooms.wallet.add(copy.bytes)
  rooms.revocations.add(revoke(owner, copy.cid).bytes)
  expect(reissues(signers, on(rooms))).toEqual([])
})

test('what the device itself took back from it does not follow, though the owner who gave it did not', () => {
  const rooms = world.device()
  rooms.wallet.add(world.root(carol).bytes)
  const given = rooms.wallet.add(world.grant(owner, bob, carol).bytes)
  expect(reissues(signers, on(rooms))).toHaveLength(1)
  rooms.revocations.add(revoke(carol, given.cid).bytes)
  expect(reissues(signers, on(rooms))).toEqual([])
})

test('what the old key gave, the new one gives', () => {
  const rooms = world.device()
  rooms.wallet.add(world.grant(bob, owner, bob, { cmd: '/', exp: null }).bytes)
  const fresh = reissues(new Map([[bob.did as string, next]]), on(rooms))
  expect(fresh.map(({ iss, aud, sub, cmd, exp }) => ({ iss, aud, sub, cmd, exp }))).toEqual([
    { iss: next.did, aud: owner.did, sub: next.did, cmd: '/', exp: null },
  ])
})
