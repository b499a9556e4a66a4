/** What the gate of commands refuses although the kernel lets it through. */
import { expect, test } from 'vitest'
import { EXEC, Open } from '../../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import { LAST_LINK } from '../../../src/authority/chain.ts'
import { SESSION } from '../../../src/authority/session.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import { SessionCheck } from '../../../src/runtime/session-check.ts'
import { settled } from '../base/hand-clock.ts'
import { laptop, taskId, World } from './door-world.ts'

test('a right to something else is no right to run: an invocation of another command starts nothing, and is in the log', async () => {
  const world = await World.open()
  const shown = world.asks(laptop, '/device/info', '', { chain: [world.grant(laptop, { cmd: '/device/info' })], args: {} })
  const call = world.call(laptop, encode({ ...shown, env: {} }))
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: '/device/info is not served here' })
  expect(world.executor.started).toHaveLength(0)
  expect(world.audit.facts).toMatchObject([{ action: 'exec.denied', actor: laptop.did }])
})

test('a terminal that was not declared, or that nobody would be at, is refused, and the command does not run without it', async () => {
  const world = await World.open()
  const terminal = { term: 'xterm', columns: 80, rows: 24 }
  const plain = decodeAs(Open, world.open(laptop, [world.grant(laptop)]), EXEC.maxFrameBytes)
  expect(await world.call(laptop, encode({ ...plain, terminal })).answer()).toMatchObject({
    t: 'refused',
    code: 'DENIED',
    message: expect.stringContaining('terminal'),
  })
  const withTty = decodeAs(Open, world.open(laptop, [world.grant(laptop)], { tty: true }), EXEC.maxFrameBytes)
  const detached = { ...withTty, about: { detached: true } }
  expect(await world.call(laptop, encode(detached)).answer()).toMatchObject({ t: 'refused', code: 'UNSUPPORTED' })
  await settled()
  expect(world.executor.started).toHaveLength(0)
})

const SESSION_ID = '019aa3c1-0000-7000-8000-00000000005e'

test('who was refused too often is not judged, also with a right: it is told so, and nothing is written down or run', async () => {
  const world = await World.open()
  const patience = { over: () => new ErrandError('TOO_BUSY', 'refused too often'), refused: () => undefined }
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]), { patience })
  await settled()
  expect(world.executor.started).toHaveLength(0)
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'TOO_BUSY', message: 'refused too often' })
  expect(world.audit.facts).toEqual([])
})

test('to name a session is not to act in it: what names one that its chain does not prove is refused, and the log says which', async () => {
  const world = await World.open()
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)], {}, { claims: SESSION_ID }))
  await settled()
  expect(world.executor.started).toHaveLength(0)
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringContaining(SESSION_ID) })
  expect(world.audit.facts).toMatchObject([{ action: 'exec.denied', actor: laptop.did, session: null }])
})

test('a chain that says half of a session is refused: it acts in none, and not outside of any either', async () => {
  const world = await World.open({ checks: [new SessionCheck()] })
  const half = world.grant(laptop, { meta: { [SESSION]: SESSION_ID, [LAST_LINK]: true } })
  const call = world.call(laptop, world.open(laptop, [half]))
  await settled()
  expect(world.executor.started).toHaveLength(0)
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: expect.stringContaining('a session is named by the two last links') })
  expect(world.audit.facts).toMatchObject([{ action: 'exec.denied', grant: half.cid }])
})

test('a device that stops asks nobody for proof: it says so at once, also to who may not, and writes down nothing', async () => {
  const world = await World.open()
  world.door.close()
  expect(await world.call(laptop, world.open(laptop, [])).answer()).toMatchObject({ t: 'refused', code: 'DRAINING' })
  expect(world.audit.facts).toEqual([])
})

test('a device that begins to stop while a request is judged does not run it', async () => {
  const world = await World.open()
  let synced = (): void => {}
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]), { synced: new Promise<void>((resolve) => (synced = resolve)) })
  await settled()
  world.door.close()
  synced()
  await settled()
  expect(world.executor.started).toHaveLength(0)
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DRAINING' })
  expect(await world.book.list()).toMatchObject({ tasks: [] })
})

test('one task id stands in the queue once, whoever asks again for it', async () => {
  const world = await World.open({ slots: 1, queue: 4 })
  const grant = world.grant(laptop)
  const first = world.call(laptop, world.open(laptop, [grant]))
  await settled()
  const again = (): Promise<unknown> => world.call(laptop, world.open(laptop, [grant], { task: taskId(7) })).answer()
  const queued = again()
  await settled()
  const second = again()
  await settled()
  expect(world.places.waiting).toBe(1)
  expect(await second).toMatchObject({ t: 'refused', code: 'TASK_EXISTS' })
  world.executor.started[0]?.exit(0)
  await first.answer()
  await settled()
  world.executor.started[1]?.exit(0)
  expect(await queued).toMatchObject({ t: 'ended' })
  expect(world.executor.started).toHaveLength(2)
})
