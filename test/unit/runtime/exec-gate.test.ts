/** What the gate of commands refuses although the kernel lets it through. */
import { expect, test } from 'vitest'
import { encode } from '../../../protocols/wire.ts'
import { settled } from '../base/hand-clock.ts'
import { laptop, World } from './door-world.ts'

test('a right to something else is no right to run: an invocation of another command starts nothing, and is in the log', async () => {
  const world = await World.open()
  const shown = world.asks(laptop, '/device/info', '', { chain: [world.grant(laptop, { cmd: '/device/info' })], args: {} })
  const call = world.call(laptop, encode({ ...shown, env: {} }))
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'DENIED', message: '/device/info is not served here' })
  expect(world.executor.started).toHaveLength(0)
  expect(world.audit.facts).toMatchObject([{ action: 'exec.denied', actor: laptop.did }])
})

test('a terminal is refused where there is none to give, and the command does not run without it', async () => {
  const world = await World.open()
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)], { tty: true }))
  expect(await call.answer()).toMatchObject({ t: 'refused', code: 'UNSUPPORTED' })
  await settled()
  expect(world.executor.started).toHaveLength(0)
})
