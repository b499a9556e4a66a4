/** Requests that stand in the queue when their daemon goes: what the next one makes of them. */
import { expect, test } from 'vitest'
import { revoke } from '../../../src/authority/revocations.ts'
import { Recovery } from '../../../src/runtime/recovery.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { device, laptop, taskId, World } from './door-world.ts'

const [RUNS, WAITS, LATER] = [1, 2, 3].map((n) => taskId(n) as TaskId) as [TaskId, TaskId, TaskId]

/** One place, taken; two more requests wait. `restart` is the next daemon on this disk, which finds nothing that runs. */
async function queued(o: { env?: Record<string, string>; detached?: boolean; lives?: number } = {}) {
  const world = await World.open({ slots: 1, queue: 3 })
  const { env = {}, detached = true, lives = 86_400 } = o
  const grant = world.grant(laptop, { exp: Math.floor(world.clock.now() / 1_000) + lives })
  world.call(laptop, world.open(laptop, [grant], {}, { detached: true }))
  await settled()
  for (let i = 0; i < 2; i++) {
    world.call(laptop, world.open(laptop, [grant], { env: Object.keys(env) }, { env, detached }))
    await settled()
  }
  expect(await world.book.get(LATER)).toMatchObject({ state: 'WAITING', why: 'queue', place: 2 })
  const restart = async ({ laterMs = 0, prepare }: { laterMs?: number; prepare?: (next: World) => void } = {}): Promise<World> => {
    world.disk.powerCut()
    const next = await World.open({ slots: 1, queue: 3, before: world, laterMs })
    prepare?.(next)
    const { book, live, audit, clock, places, door } = next
    const executor = { follow: () => Promise.reject(new Error('nothing runs')), left: () => undefined }
    const submitter = { watchEnd: () => undefined }
    await new Recovery({ self: device.did, executor, book, live, places, door, submitter, directory: { nameOf: () => 'bob' }, audit, clock }).recover([])
    await settled()
    return next
  }
  return { world, grant, restart }
}

test('they are run in their turn, hours later too, by the device itself on their mandates; and then nothing is kept', async () => {
  const { restart } = await queued()
  const next = await restart({ laterMs: 7_200_000 })
  expect(next.executor.orders.map(({ task, warrant }) => [task, warrant.caller])).toEqual([[WAITS, device.did]])
  expect(await next.book.get(RUNS)).toMatchObject({ state: 'FAILED', why: 'lost' })
  expect(await next.book.get(WAITS)).toMatchObject({ state: 'RUNNING', attempts: 1 })
  expect(await next.book.get(LATER)).toMatchObject({ state: 'WAITING', why: 'queue', place: 1 })
  next.executor.started[0]?.exit(0)
  await settled()
  next.executor.started[1]?.exit(7)
  await settled()
  expect(await next.book.get(WAITS)).toMatchObject({ state: 'COMPLETED' })
  expect(await next.book.get(LATER)).toMatchObject({ state: 'FAILED', why: 'exit', exitCode: 7 })
  expect(await keptIn(next)).toEqual([])
})

test('what waits when a node stops gets no place any more', async () => {
  const { world } = await queued()
  world.places.freeze()
  world.executor.started[0]?.exit(0)
  await settled()
  expect(world.executor.started).toHaveLength(1)
  expect(await world.book.get(WAITS)).toMatchObject({ state: 'WAITING', why: 'queue' })
})

test('a right that was revoked meanwhile lets nothing run, and task and log say why', async () => {
  const { grant, restart } = await queued()
  const next = await restart({ prepare: ({ revocations, random }) => void revocations.add(revoke(device, grant.cid, random).bytes) })
  expect(next.executor.started).toEqual([])
  expect(await next.book.get(WAITS)).toMatchObject({
    state: 'FAILED',
    why: 'lost',
    message: expect.stringMatching(/before it started, and by now it may not: .*revoked/),
  })
  expect(next.audit.facts.filter(({ task }) => task === WAITS)).toMatchObject([{ action: 'task.failed', result: 'failed' }])
})

test('a right that has expired by the time there is a place lets nothing run, after a restart and without one', async () => {
  const expired = { state: 'FAILED', message: expect.stringContaining('expired') }
  const { world, restart } = await queued({ lives: 30 })
  const next = await restart({ laterMs: 31_000 })
  expect(next.executor.started).toEqual([])
  expect(await next.book.get(WAITS)).toMatchObject(expired)
  const same = (await queued({ lives: 30 })).world
  same.clock.advance(31_000)
  same.executor.started[0]?.exit(0)
  await settled()
  expect(same.executor.started).toHaveLength(1)
  expect(await same.book.get(WAITS)).toMatchObject(expired)
  expect(world.executor.started).toHaveLength(1)
})

test.each([
  ['values of the environment are never on the disk', { env: { TOKEN: 'secret' } }, 'values of its environment are not kept'],
  ['who has to be there is not', { detached: false }, 'went down before it started'],
])('%s, so such a request is not kept', async (_name, o, why) => {
  const { world, restart } = await queued(o)
  expect(await keptIn(world)).toEqual([])
  const disk = await world.disk.read({ gte: '', lt: '\u{10ffff}' })
  expect(disk.length).toBeGreaterThan(5)
  expect(disk.filter(([, value]) => Buffer.from(value).includes('secret'))).toEqual([])
  expect(await (await restart()).book.get(WAITS)).toMatchObject({ state: 'FAILED', why: 'lost', message: expect.stringContaining(why) })
})

async function keptIn({ store }: World): Promise<string[]> {
  const keys: string[] = []
  for await (const [key] of store.shelf('waiting').entries('')) keys.push(key)
  return keys
}
