/** What a revocation would end: told to who could sign it, and nothing changes. */
import { expect, test } from 'vitest'
import { QUESTION_META } from '../../../protocols/authority/messages.ts'
import { REVOKE, revoke } from '../../../src/authority/revocations.ts'
import { type InvocationFields, linkTo, signDelegation, signInvocation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { Suppositions } from '../../../src/runtime/what-if.ts'
import { settled } from '../base/hand-clock.ts'
import { CHALLENGE, device, laptop, mallory, owner, taskId, World } from './door-world.ts'

/** A question as it is asked; `over` is what an attacker changes. */
function suppose(world: World, by: Identity, cid: string, over: Partial<InvocationFields> = {}): Uint8Array {
  return signInvocation(by, {
    ...{ sub: by.did, cmd: REVOKE, args: { ucan: linkTo(cid) }, prf: [], meta: { [QUESTION_META]: true } },
    nonce: Buffer.concat([CHALLENGE, world.random(16)]),
    exp: Math.floor(world.clock.now() / 1_000) + 60,
    ...over,
  }).bytes
}

const stopsOf = (world: World, ...supposed: Uint8Array[]): readonly string[] =>
  new Suppositions({ live: world.live, clock: world.clock, rates: { take: () => undefined } }).answer({ supposed }, { challenge: CHALLENGE, did: laptop.did })
    .stops ?? []

test('it names what runs and what waits, and ends neither', async () => {
  const world = await World.open({ slots: 1, queue: 2 })
  const [asked, other] = [world.grant(laptop), world.grant(laptop)]
  for (const grant of [asked, asked, other]) world.call(laptop, world.open(laptop, [grant], {}, { detached: true }))
  await settled()
  expect([...stopsOf(world, suppose(world, device, asked.cid))].sort()).toEqual([taskId(1), taskId(2)])
  expect(world.executor.started[0]?.stops).toEqual([])
  expect(world.revocations.size).toBe(0)
  expect(world.places.waiting).toBe(2)
})

test('a link further up takes with it what hangs below', async () => {
  const world = await World.open()
  const root = world.grant(owner, { cmd: '/' })
  const below = world.grant(laptop)
  const link = signDelegation(owner, { aud: laptop.did, sub: device.did, cmd: '/exec/run', pol: [], exp: below.exp, nonce: world.random(16) })
  world.call(laptop, world.open(laptop, [root, link]))
  await settled()
  expect(stopsOf(world, suppose(world, device, root.cid))).toEqual([taskId(1)])
  expect(stopsOf(world, suppose(world, owner, link.cid))).toEqual([taskId(1)])
})

test('who could not revoke learns nothing, though the question is well signed', async () => {
  const world = await World.open()
  const grant = world.grant(laptop)
  world.call(laptop, world.open(laptop, [grant]))
  await settled()
  expect(stopsOf(world, suppose(world, mallory, grant.cid))).toEqual([])
})

test.each<[string, (w: World, cid: string) => Uint8Array]>([
  ['for another connection', (w, cid) => suppose(w, device, cid, { nonce: Buffer.concat([new Uint8Array(16), w.random(16)]) })],
  ['long ago', (w, cid) => suppose(w, device, cid, { exp: Math.floor(w.clock.now() / 1_000) - 60 })],
  ['for ever', (w, cid) => suppose(w, device, cid, { exp: null })],
  ['for years', (w, cid) => suppose(w, device, cid, { exp: Math.floor(w.clock.now() / 1_000) + 1e8 })],
  ['as no question', (w, cid) => suppose(w, device, cid, { meta: {} })],
  ['as a real revocation, overheard', (w, cid) => revoke(device, cid, w.random).bytes],
])('a question that was signed %s is refused', async (_how, make) => {
  const world = await World.open()
  const grant = world.grant(laptop)
  world.call(laptop, world.open(laptop, [grant]))
  await settled()
  expect(() => stopsOf(world, make(world, grant.cid))).toThrowError(expect.objectContaining({ code: 'DENIED' }))
})

test('a question can never be taken for a revocation', async () => {
  const world = await World.open()
  const grant = world.grant(laptop)
  expect(() => world.revocations.add(suppose(world, device, grant.cid))).toThrowError(expect.objectContaining({ code: 'BAD_REVOCATION' }))
  expect(() => world.revocations.add(suppose(world, device, grant.cid, { exp: null }))).toThrowError(expect.objectContaining({ code: 'BAD_REVOCATION' }))
})
