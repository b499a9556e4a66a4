import { expect, test } from 'vitest'
import { TAG } from '../../../protocols/exec/messages.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import { settled } from '../base/hand-clock.ts'
import { device, laptop, mallory, owner, taskId, World } from './door-world.ts'

const never = new Promise<never>(() => undefined)

test('a granted command runs, its output and end reach the caller, and start and end are in the log', async () => {
  const world = await World.open()
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  const [command] = world.executor.started
  expect(command?.spec).toEqual({ exe: 'make', argv: ['test'], cwd: '', env: {}, user: '', timeoutMs: 0, maxOutputBytes: 0, stdin: false })
  await command?.sink.output(1, Buffer.from('hi'))
  command?.exit(3)
  expect(await call.answer()).toMatchObject({ t: 'ended', ended: { exitCode: 3, why: 'exit' } })
  expect(call.tags).toEqual([TAG.accepted, TAG.stdout, TAG.ended])
  expect(world.audit.facts).toMatchObject([
    { action: 'exec.start', result: 'allowed', actor: laptop.did, task: taskId(1), details: { command: ['make', 'test'], requestedBy: laptop.did } },
    { action: 'exec.end', result: 'failed', task: taskId(1), details: { exitCode: 3, why: 'exit', durationMs: 5 } },
  ])
  expect(await world.book.get(taskId(1) as never)).toMatchObject({ state: 'FAILED', exitCode: 3 })
})

test('a device that runs nothing for others refuses whoever is not itself, also with a right, and records it', async () => {
  const world = await World.open({ allowsOthers: false })
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: 'this device runs nothing for other devices' })
  expect(world.executor.started).toHaveLength(0)
  expect(world.audit.facts).toMatchObject([{ action: 'exec.denied', actor: laptop.did, details: { command: ['make', 'test'] } }])
  world.call(device, world.open(device, []))
  await settled()
  expect(world.executor.started).toHaveLength(1)
})

test('nothing is spawned before its start is durable', async () => {
  const world = await World.open()
  let durable = (): void => {}
  world.audit.wait = new Promise((resolve) => (durable = resolve))
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  expect(world.executor.started).toHaveLength(0)
  durable()
  await settled()
  expect(world.executor.started).toHaveLength(1)
})

test('a log that never answers means a command that never starts', async () => {
  const world = await World.open()
  world.audit.wait = never
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  world.clock.advance(3_600_000)
  await settled()
  expect(world.executor.started).toHaveLength(0)
})

test('without a log nothing runs, and the caller is told why', async () => {
  const world = await World.open()
  world.audit.wait = Promise.reject(new ErrandError('LOG_UNAVAILABLE', 'the disk is full'))
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'LOG_UNAVAILABLE' })
  expect(world.executor.started).toHaveLength(0)
  expect(world.book.counts().active).toBe(0)
  expect(world.places.free).toBe(4)
})

test.each([
  ['without a grant', (w: World) => w.open(laptop, []), /no grant/],
  ['with a grant that was given to somebody else', (w: World) => w.open(laptop, [w.grant(mallory)]), /given to/],
  ['with a grant for other commands', (w: World) => w.open(laptop, [w.grant(laptop, { pol: parseRight('exec: git').pol })]), /make/],
  ['made for another connection', (w: World) => w.open(laptop, [w.grant(laptop)], {}, { challenge: new Uint8Array(16) }), /another connection/],
  ['signed by another device than the connection’s', (w: World) => w.open(mallory, [w.grant(mallory)]), /the connection is that of/],
  ['with a variable that was not declared', (w: World) => w.open(laptop, [w.grant(laptop)], {}, { env: { LD_PRELOAD: 'x' } }), /LD_PRELOAD/],
  ['with a declared variable missing', (w: World) => w.open(laptop, [w.grant(laptop)], { env: ['CI'] }), /CI/],
])('a command %s is denied, logged and not run', async (_name, first, why) => {
  const world = await World.open()
  const answer = await world.call(laptop, first(world)).answer()
  expect(answer).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringMatching(why) })
  expect(world.executor.started).toHaveLength(0)
  expect(world.audit.facts).toMatchObject([{ action: 'exec.denied', result: 'denied', actor: laptop.did, details: { command: ['make', 'test'] } }])
})

test('an invocation works once: the same bytes again are a replay', async () => {
  const world = await World.open()
  const first = world.open(laptop, [world.grant(laptop)])
  world.call(laptop, first)
  await settled()
  expect(await world.call(laptop, first).answer()).toMatchObject({ code: 'DENIED', message: expect.stringMatching(/used before/) })
  expect(world.executor.started).toHaveLength(1)
})

test('a command needs a free place; one that ended makes room', async () => {
  const world = await World.open({ slots: 2 })
  const grant = world.grant(laptop)
  const calls = [1, 2].map(() => world.call(laptop, world.open(laptop, [grant])))
  await settled()
  expect(world.places.free).toBe(0)
  expect(await world.call(laptop, world.open(laptop, [grant])).answer()).toMatchObject({ code: 'TOO_BUSY' })
  world.executor.started[0]?.exit(0)
  await calls[0]?.served
  expect(world.places.free).toBe(1)
  world.call(laptop, world.open(laptop, [grant]))
  await settled()
  expect(world.executor.started).toHaveLength(3)
})

test('a draining device takes nothing new and ends nothing', async () => {
  const world = await World.open()
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  world.door.close()
  expect(await world.call(laptop, world.open(laptop, [world.grant(laptop)])).answer()).toMatchObject({ code: 'DRAINING' })
  expect(world.executor.started.map((command) => command.stops)).toEqual([[]])
})

test('a right that expires takes its command with it', async () => {
  const world = await World.open()
  const now = Math.floor(world.clock.now() / 1_000)
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop, { exp: now + 30 })]))
  await settled()
  world.clock.advance(29_000)
  expect(world.executor.started[0]?.stops).toEqual([])
  world.clock.advance(1_000)
  expect(await call.answer()).toMatchObject({ ended: { why: 'revoked' } })
})

test('a revocation ends the commands that rest on the grant, and no others', async () => {
  const world = await World.open()
  const [dead, alive] = [world.grant(laptop), world.grant(laptop)]
  const calls = [dead, alive].map((grant) => world.call(laptop, world.open(laptop, [grant])))
  await settled()
  world.revocations.add(revoke(device, dead.cid, world.random).bytes)
  expect(world.live.stopRevoked()).toEqual([taskId(1)])
  expect(await calls[0]?.answer()).toMatchObject({ ended: { why: 'revoked' } })
  expect(world.executor.started[1]?.stops).toEqual([])
})

test('a revocation that comes while the start is being logged: nothing is spawned', async () => {
  const world = await World.open()
  let durable = (): void => {}
  world.audit.wait = new Promise((resolve) => (durable = resolve))
  const grant = world.grant(laptop)
  const call = world.call(laptop, world.open(laptop, [grant]))
  await settled()
  world.revocations.add(revoke(device, grant.cid, world.random).bytes)
  world.live.stopRevoked()
  durable()
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringMatching(/revoked/) })
  expect(world.executor.started).toHaveLength(0)
  expect(world.audit.actions()).toEqual(['exec.start', 'exec.end'])
})

test('a revocation that comes while the command is being spawned stops it', async () => {
  const world = await World.open()
  let spawned = (): void => {}
  world.executor.wait = new Promise((resolve) => (spawned = resolve))
  const grant = world.grant(laptop)
  const call = world.call(laptop, world.open(laptop, [grant]))
  await settled()
  world.revocations.add(revoke(device, grant.cid, world.random).bytes)
  expect(world.live.stopRevoked()).toEqual([])
  spawned()
  expect(await call.answer()).toMatchObject({ ended: { why: 'revoked' } })
})

test('one task id is one command: a second one under it is refused, during the start, while it runs and after', async () => {
  const world = await World.open()
  const grant = world.grant(laptop)
  const twice = (): Promise<unknown> => world.call(laptop, world.open(laptop, [grant], { task: taskId(7) })).answer()
  const first = twice()
  expect(await twice()).toMatchObject({ code: 'TASK_EXISTS' })
  await settled()
  expect(await twice()).toMatchObject({ code: 'TASK_EXISTS' })
  world.executor.started[0]?.exit(0)
  await first
  expect(await twice()).toMatchObject({ code: 'TASK_EXISTS' })
  expect(world.executor.started).toHaveLength(1)
  expect(world.audit.actions()).toEqual(['exec.start', 'exec.end'])
})

test('a command that cannot be started is logged with its reason', async () => {
  const world = await World.open()
  world.executor.refusal = new ErrandError('COMMAND_NOT_FOUND', 'no "make" here')
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'COMMAND_NOT_FOUND' })
  expect(world.audit.facts).toMatchObject([{ action: 'exec.start' }, { action: 'exec.end', result: 'failed', details: { why: 'COMMAND_NOT_FOUND' } }])
})

test('a fresh connection is judged with its caller’s revocations, or after five seconds with what is known', async () => {
  const world = await World.open()
  const grant = world.grant(laptop)
  let synced = (): void => {}
  const syncing = new Promise<void>((resolve) => (synced = resolve))
  const late = world.call(laptop, world.open(laptop, [grant]), { synced: syncing })
  await settled()
  expect(world.executor.started).toHaveLength(0)
  world.revocations.add(revoke(device, grant.cid, world.random).bytes)
  synced()
  expect(await late.answer()).toMatchObject({ code: 'DENIED' })
  world.call(laptop, world.open(laptop, [world.grant(laptop)]), { synced: never })
  await settled()
  world.clock.advance(5_000)
  await settled()
  expect(world.executor.started).toHaveLength(1)
})

test('a flood of refusals is counted, not recorded one by one; each caller has its own measure', async () => {
  const world = await World.open()
  for (let i = 0; i < 100; i++) await world.call(mallory, world.open(mallory, [])).answer()
  expect(world.audit.facts).toHaveLength(20)
  await world.call(owner, world.open(owner, [])).answer()
  expect(world.audit.facts).toHaveLength(21)
  world.clock.advance(3_000)
  await world.call(mallory, world.open(mallory, [])).answer()
  expect(world.audit.facts.at(-1)?.details?.reason).toMatch(/and 80 more refusals before/)
})

test('the device itself needs no proof for its own commands', async () => {
  const world = await World.open()
  world.call(device, world.open(device, []))
  await settled()
  expect(world.executor.started).toHaveLength(1)
})
