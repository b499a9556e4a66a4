/** An exec-host whose daemon is gone, and one whose daemon orders what nobody has a right to. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HOST, HOST_TAG } from '../../../protocols/host/frames.ts'
import { signInvocation } from '../../../src/authority/token.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { Warrants } from '../../../src/exec/warrant.ts'
import { until } from '../../support/until.ts'
import { type Answer, say, socketOf } from './wire.ts'
import { Collector, openWorld, orderOf, sh, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

test('a host whose daemon is gone lets what runs go on, and takes no order of anybody', async () => {
  const { pid, ended } = await world.executor.start(sh('exec sleep 100'), new Collector(), { attached: false })
  void ended.catch(() => undefined) // its daemon is about to go
  const path = socketOf(world)
  const ask = (): Promise<Answer[]> => {
    const order = { v: HOST.version, ...orderOf(world.identity, sh('true')) }
    return say(path, [HOST_TAG.order, order], [HOST_TAG.go, new Uint8Array()])
  }
  expect((await ask()).at(-1)).toMatchObject({ tag: HOST_TAG.ended })
  await world.executor[Symbol.asyncDispose]()
  await until('it takes no more', async () => (await ask())[0]?.tag === HOST_TAG.failed, 5_000)
  expect(await ask()).toMatchObject([{ tag: HOST_TAG.failed, value: { code: 'DRAINING' } }])
  process.kill(pid)
})

test('an invocation of another command carries no order, whatever its arguments', () => {
  const { identity } = world
  const warrants = new Warrants({ device: identity.did, clock: systemClock })
  const order = { v: HOST.version, ...orderOf(identity, sh('true')) }
  expect(() => warrants.check(order)).not.toThrow()
  const { bytes } = signInvocation(identity, {
    ...{ sub: identity.did, aud: identity.did, cmd: '/device/info', args: {}, prf: [] },
    ...{ nonce: Buffer.concat([order.warrant.challenge, Buffer.from(randomUUID()).subarray(0, 12)]), exp: Math.floor(systemClock.now() / 1_000) + 60 },
  })
  const other = { ...order, warrant: { ...order.warrant, invocation: bytes } }
  expect(() => warrants.check(other)).toThrowError(expect.objectContaining({ code: 'DENIED', message: expect.stringContaining('is for /device/info') }))
})
