/** Work that outlives its asker: what the door takes as a mandate, what it makes of it later, and what it refuses. */
import { expect, test } from 'vitest'
import { TAG } from '../../../protocols/exec/messages.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import { decodeDelegation, decodeInvocation, signDelegation } from '../../../src/authority/token.ts'
import { verifyInvocation } from '../../../src/authority/verify.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { declaredAs, device, keyOf, laptop, mallory, taskId, World } from './door-world.ts'

const FIRST = taskId(1) as TaskId

async function asked(mandate: (world: World, chain: ReturnType<World['grant']>[]) => Uint8Array | null, o: { prepare?: (world: World) => void } = {}) {
  const world = await World.open({})
  const chain = [world.grant(laptop)]
  o.prepare?.(world)
  const call = world.call(laptop, world.open(laptop, chain, {}, { detached: true, mandate: mandate(world, chain) }))
  await settled()
  return { world, call, chain }
}

test('a detached command is run by the device itself on its mandate, and log and end still name who asked', async () => {
  const { world, chain } = await asked((w, links) => w.mandate(laptop, links, declaredAs(1)).bytes)
  const [order] = world.executor.orders
  const invocation = decodeInvocation(order?.warrant.invocation ?? new Uint8Array())
  const proofs = (order?.warrant.proofs ?? []).map((bytes) => decodeDelegation(bytes))
  expect([order?.warrant.caller, invocation.iss, invocation.sub]).toEqual([device.did, device.did, device.did])
  expect(proofs.map(({ iss, aud }) => [iss, aud])).toEqual([
    [device.did, laptop.did],
    [laptop.did, device.did],
  ])
  world.executor.started[0]?.exit(0)
  await settled()
  const said = world.audit.facts.map(({ action, actor, grant, details }) => [action, actor, grant, details?.requestedBy])
  expect(said).toEqual([
    ['exec.start', laptop.did, chain[0]?.cid, laptop.did],
    ['exec.end', laptop.did, chain[0]?.cid, laptop.did],
  ])
  expect(world.audit.facts[0]?.details?.policyApplied).toContain(proofs[1]?.cid)
  const later = { self: device.did, peer: device.did, challenge: order?.warrant.challenge ?? new Uint8Array(16), revocations: world.revocations }
  const now = Math.floor(world.clock.now() / 1_000)
  expect(verifyInvocation(invocation.bytes, order?.warrant.proofs ?? [], { ...later, now, seen: { take: () => 'new' } }).ok).toBe(true)
})

const OTHER = keyOf(9)
test.each<[string, (world: World, chain: ReturnType<World['grant']>[]) => Uint8Array | null, RegExp]>([
  ['none', () => null, /runs on a mandate, and none was sent/],
  ['one for another task', (w, chain) => w.mandate(laptop, chain, declaredAs(2)).bytes, /task is/],
  ['one for other arguments', (w, chain) => w.mandate(laptop, chain, declaredAs(1, { argv: ['install'] })).bytes, /another task, or for other arguments/],
  ['one that leaves an argument out', (w, chain) => w.mandate(laptop, chain, { exe: 'make', task: FIRST }).bytes, /another task, or for other arguments/],
  ['one that somebody else signed', (w, chain) => w.mandate(mallory, chain, declaredAs(1)).bytes, /no mandate of the asker/],
  ['the grant itself', (_w, chain) => chain[0]?.bytes ?? null, /no mandate of the asker|listed twice/],
  ['no token at all', () => new Uint8Array(64).fill(7), /the mandate: /],
  ['a token that is too long', () => new Uint8Array(8_192), /the mandate: /],
])('detached work with %s is refused, and the log says why', async (_name, mandate, why) => {
  const { world, call } = await asked(mandate)
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringMatching(why) })
  expect(world.executor.orders).toEqual([])
  expect(world.audit.facts).toMatchObject([
    { action: 'exec.denied', result: 'denied', actor: laptop.did, task: FIRST, details: { reason: expect.stringMatching(why) } },
  ])
})

test('a mandate for another device, and one that says nothing of its task, are refused', async () => {
  for (const more of [{ sub: OTHER.did, aud: OTHER.did }, { aud: OTHER.did }, { meta: {} }, { exp: null }]) {
    const { world, call } = await asked((w, chain) => {
      const { pol, exp, meta, nonce, aud, sub, cmd } = w.mandate(laptop, chain, declaredAs(1))
      return signDelegation(laptop, { aud, sub, cmd, pol, exp, nonce, ...(meta === undefined ? {} : { meta }), ...more }).bytes
    })
    expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED' })
    expect(world.executor.orders).toEqual([])
    expect(world.audit.actions()).toEqual(['exec.denied'])
  }
})

test('a mandate that has expired is refused, whatever the right is worth', async () => {
  const old = await asked((w, chain) => {
    const bytes = w.mandate(laptop, chain, declaredAs(1)).bytes
    w.clock.advance(3_601_000)
    chain[0] = w.grant(laptop)
    return bytes
  })
  expect(await old.call.answer()).toMatchObject({ code: 'DENIED' })
  expect(old.world.audit.actions()).toEqual(['exec.denied'])
})

/** One place, taken; the request that is asked about waits behind it. */
async function waits(o: { detached: boolean }) {
  const world = await World.open({ slots: 1, queue: 3 })
  const chain = [world.grant(laptop, { exp: Math.floor(world.clock.now() / 1_000) + 86_400 })]
  world.call(laptop, world.open(laptop, chain))
  await settled()
  const call = world.call(laptop, world.open(laptop, chain, {}, o))
  await settled()
  const free = async (): Promise<void> => {
    world.executor.started[0]?.exit(0)
    await settled()
  }
  return { world, call, chain, free }
}

test('what waits is judged anew when its place is free: a revoked mandate, or one whose right was taken back, lets nothing run', async () => {
  for (const which of ['mandate', 'right'] as const) {
    const { world, chain } = await waits({ detached: true })
    const mandate = world.mandate(laptop, chain, declaredAs(2))
    const dead = which === 'right' ? revoke(device, chain[0]?.cid ?? '', world.random) : revoke(laptop, await keptMandate(world), world.random)
    world.revocations.add(dead.bytes)
    expect(mandate.iss).toBe(laptop.did)
    world.live.stopRevoked()
    await settled()
    expect(await world.book.get(taskId(2) as TaskId)).toMatchObject({ state: 'FAILED', message: expect.stringContaining('revoked') })
    expect(world.audit.facts.filter(({ task }) => task === taskId(2))).toMatchObject([{ action: 'exec.denied', result: 'denied' }])
  }
})

async function keptMandate(world: World): Promise<string> {
  const request = await world.waiting.take(taskId(2) as TaskId)
  return decodeDelegation(request?.warrant.proofs.at(-1) ?? new Uint8Array()).cid
}

test('an attached command that had to wait runs on the mandate that its caller sent meanwhile', async () => {
  const { world, call, chain, free } = await waits({ detached: false })
  await call.link.write(TAG.mandate, world.mandate(laptop, chain, declaredAs(2)).bytes)
  world.clock.advance(59_000)
  await settled()
  await free()
  expect(world.executor.orders.map(({ task, warrant }) => [task, warrant.caller])).toEqual([
    [FIRST, laptop.did],
    [taskId(2), device.did],
  ])
})

test.each<[string, (world: World, chain: ReturnType<World['grant']>[]) => Uint8Array, RegExp]>([
  ['one for another task', (w, chain) => w.mandate(laptop, chain, declaredAs(1)).bytes, /task is/],
  ['a broken one', () => Uint8Array.of(1, 2, 3), /the mandate/],
])('one that waited with %s is refused, in the log and in its history', async (_name, mandate, why) => {
  const { world, call, chain, free } = await waits({ detached: false })
  await call.link.write(TAG.mandate, mandate(world, chain))
  const answer = call.answer()
  await free()
  expect(await answer).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringMatching(why) })
  expect(world.executor.orders).toHaveLength(1)
  expect(await world.book.get(taskId(2) as TaskId)).toMatchObject({ state: 'FAILED', why: 'refused' })
  expect(world.audit.facts.at(-1)).toMatchObject({ action: 'exec.denied', task: taskId(2) })
})

test('a second task on the same mandate is refused, and so is the same one again', async () => {
  const { world, chain } = await asked((w, links) => w.mandate(laptop, links, declaredAs(1)).bytes)
  const { bytes } = world.mandate(laptop, chain, declaredAs(1))
  const second = world.call(laptop, world.open(laptop, chain, {}, { detached: true, mandate: bytes }))
  expect(await second.answer()).toMatchObject({ t: 'refused', code: 'DENIED' })
  const again = world.call(laptop, world.open(laptop, chain, { task: FIRST }, { detached: true, mandate: bytes }))
  expect(await again.answer()).toMatchObject({ t: 'refused', code: 'TASK_EXISTS' })
  expect(world.executor.started).toHaveLength(1)
})
