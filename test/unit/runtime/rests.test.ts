/** A right that dies takes with it what only waits on it or listens by it: requests in the queue, callers who follow output. */
import { expect, test } from 'vitest'
import { TAG } from '../../../protocols/exec/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import type { Delegation } from '../../../src/authority/token.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { type Call, device, laptop, mallory, taskId, World } from './door-world.ts'

const FIRST = taskId(1) as TaskId
const SECOND = taskId(2) as TaskId

function revokes(world: World, grant: Delegation): string[] {
  world.revocations.add(revoke(device, grant.cid, world.random).bytes)
  return world.live.stopRevoked()
}

/** Somebody who follows the first task by a right to its output. */
function follows(world: World, chain: readonly Delegation[], follow = true): Call {
  return world.call(mallory, encode({ task: FIRST, from: null, follow, ...world.asks(mallory, '/task/logs', FIRST, { chain }) }), { tag: TAG.attach })
}

test('a revocation ends what waits in the queue: its caller is told, it is named to the revoker, and the next one moves up', async () => {
  const world = await World.open({ slots: 1, queue: 3 })
  const [lasting, dying] = [world.grant(laptop), world.grant(laptop)]
  world.call(laptop, world.open(laptop, [lasting], {}, { detached: true }))
  await settled()
  const second = world.call(laptop, world.open(laptop, [dying], {}, { detached: true }))
  await settled()
  world.call(laptop, world.open(laptop, [lasting], {}, { detached: true }))
  await settled()
  expect(revokes(world, dying)).toEqual([SECOND])
  expect(await second.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringMatching(/revoked by/) })
  await settled()
  expect(await world.book.get(SECOND)).toMatchObject({ state: 'FAILED', why: 'refused' })
  expect(world.audit.facts.at(-1)).toMatchObject({ action: 'exec.denied', task: SECOND, grant: dying.cid })
  world.clock.advance(1_000)
  expect(await world.book.get(taskId(3) as TaskId)).toMatchObject({ state: 'WAITING', place: 1 })
  world.executor.started[0]?.exit(0)
  await settled()
  expect(world.executor.started).toHaveLength(2)
  expect(await world.waiting.take(SECOND)).toBeUndefined()
})

test('what waits in the queue ends when its right expires, and not when it gets its turn', async () => {
  const world = await World.open({ slots: 1, queue: 1 })
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  const short = world.grant(laptop, { exp: Math.floor(world.clock.now() / 1_000) + 20 })
  const call = world.call(laptop, world.open(laptop, [short]))
  await settled()
  world.clock.advance(20_000)
  expect(await call.answer()).toMatchObject({ code: 'DENIED', message: expect.stringMatching(/expired/) })
})

test('who follows output by a right is cut off when that is revoked; the command goes on, and so does who submitted it', async () => {
  const world = await World.open()
  const mine = world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  const [right, other] = [world.grant(mallory, { cmd: '/task/logs' }), world.grant(mallory, { cmd: '/task/logs' })]
  const [cut, stays] = [follows(world, [right]), follows(world, [other])]
  await settled()
  expect(revokes(world, right)).toEqual([])
  expect(await cut.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringMatching(/revoked/) })
  expect(world.executor.started[0]?.stops).toEqual([])
  world.executor.started[0]?.exit(0)
  expect(await mine.answer()).toMatchObject({ t: 'ended' })
  expect(await stays.answer()).toMatchObject({ t: 'ended' })
})

test('who follows is cut off when the right expires', async () => {
  const world = await World.open()
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  const call = follows(world, [world.grant(mallory, { cmd: '/task/logs', exp: Math.floor(world.clock.now() / 1_000) + 20 })])
  await settled()
  world.clock.advance(19_000)
  await settled()
  expect(call.tags).toEqual([])
  world.clock.advance(1_000)
  expect(await call.answer()).toMatchObject({ t: 'refused', message: expect.stringMatching(/expired/) })
})

test('who waits for the output of a task in the queue is cut off as well', async () => {
  const world = await World.open({ slots: 1, queue: 1 })
  world.places.seize()
  world.call(laptop, world.open(laptop, [world.grant(laptop)], {}, { detached: true }))
  await settled()
  const right = world.grant(mallory, { cmd: '/task/logs' })
  const call = follows(world, [right])
  await settled()
  revokes(world, right)
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED' })
})
