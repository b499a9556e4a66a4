import { beforeEach, expect, test } from 'vitest'
import type { Fact } from '../../../src/audit/facts.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { Keyring } from '../../../src/runtime/keyring.ts'
import { RightsDesk, type Telling } from '../../../src/runtime/rights-desk.ts'
import { alice, bob, carol, MeshWorld, owner, type Rooms } from './mesh-world.ts'

const HOUR_MS = 3_600_000

let world: MeshWorld
let here: Rooms
let facts: Fact[]
beforeEach(async () => {
  world = new MeshWorld()
  here = world.device()
  facts = []
  for (const record of [world.founder, world.member(bob, 'bob'), world.member(carol, 'carol')]) await here.records.admit('members', record)
})

/** The desk of one device; every other device acknowledges at once, and names what it stopped. */
function deskOf(device: Identity, o: { holdsOwner?: boolean; stopped?: string[] } = {}): RightsDesk {
  const { clock, random } = world
  const keyring = new Keyring({ device, wallet: here.wallet, revocations: here.revocations, clock, random, ...(o.holdsOwner === true ? { owner } : {}) })
  const telling: Telling = {
    push: (_set, _records, to = [bob.did]) => Promise.resolve(to.map((did) => ({ did, acknowledged: true, stopped: o.stopped ?? [], ms: 1 }))),
    gossipRevocation: () => undefined,
  }
  return new RightsDesk({ mayGive: () => undefined, ...here, keyring, telling, audit: { append: (fact) => Promise.resolve(facts.push(fact)) }, clock, random })
}

test('what a device gave the owner is not swept away by a filter; whoever tries is told where and how it is taken back', async () => {
  const root = world.grant(bob, owner, bob)
  await here.records.admit('delegations', root.bytes)
  const hint = `what bob gave the owner is taken back on bob itself: errand revoke ${root.cid.slice(-6)}`
  await expect(deskOf(alice, { holdsOwner: true }).revoke({ on: 'bob' })).rejects.toMatchObject({ code: 'NO_SUCH_GRANT', hint })
  expect(await deskOf(bob).revoke({ grant: root.cid.slice(-6) })).toMatchObject({ grants: [root.cid] })
  await expect(deskOf(alice, { holdsOwner: true }).revoke({ on: 'bob' })).rejects.toMatchObject({ hint: 'errand grants lists them' })
})

test('a grant that would outlive all it could rest on is refused with the longest of them', async () => {
  await here.records.admit('delegations', world.grant(bob, owner, bob, { exp: world.now + 28_800 }).bytes)
  await here.records.admit('delegations', world.grant(bob, alice, bob, { exp: world.now + 60 }).bytes)
  const asked = deskOf(alice, { holdsOwner: true }).grant({ who: 'carol', on: 'bob', can: ['exec: ls'], forMs: 9 * HOUR_MS })
  await expect(asked).rejects.toMatchObject({ code: 'CANNOT_GRANT', message: expect.stringContaining('at most 8h are left') })
  expect(facts).toEqual([])
})

test('devices and the owner are called by name, also where the owner’s key is not', async () => {
  await here.records.admit('delegations', world.root(bob).bytes)
  const [view] = deskOf(carol).list()
  expect(view).toMatchObject({ issuer: 'bob', audience: 'the owner', device: 'bob', words: 'the owner may do everything on bob, without end' })
})

test('a revocation says which tasks it ended on other devices', async () => {
  await here.records.admit('delegations', world.root(bob).bytes)
  const desk = deskOf(alice, { holdsOwner: true, stopped: ['task-1'] })
  const [given] = await desk.grant({ who: 'carol', on: 'bob', can: ['exec: ls'], forMs: HOUR_MS })
  expect(await desk.revoke({ on: 'bob', to: 'carol' })).toMatchObject({ grants: [given?.cid], stopped: ['task-1'], acknowledged: ['bob'] })
  expect(facts.map((fact) => fact.action)).toEqual(['grant.issue', 'grant.revoke'])
})
