/** An exec-host whose daemon is gone, and one whose daemon orders what nobody has a right to. */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HOST, HOST_TAG } from '../../../protocols/host/frames.ts'
import { type AnyRecord, signInvocation } from '../../../src/authority/token.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { Warrants } from '../../../src/exec/warrant.ts'
import type { CommandOrder } from '../../../src/tasks/ports.ts'
import { until } from '../../support/until.ts'
import { type Answer, say, socketOf } from './wire.ts'
import { Collector, openWorld, orderOf, run, sh, type World } from './world.ts'

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

test('where there is no place for the files of a task nothing runs, and what failed is said: it is not that the task exists', async () => {
  await run(world.executor, sh('true'))
  rmSync(join(world.directory, 'jobs'), { recursive: true })
  const order = { v: HOST.version, ...orderOf(world.identity, sh('true')) }
  const [answer] = await say(socketOf(world), [HOST_TAG.order, order], [HOST_TAG.go, new Uint8Array()])
  expect(answer).toMatchObject({ tag: HOST_TAG.failed, value: { message: expect.stringContaining('mkdir') } })
})

test('an invocation of another command carries no order, and neither does one for a terminal, which an order has no word for', () => {
  const { identity } = world
  const warrants = new Warrants({ device: identity.did, clock: systemClock })
  const order = { v: HOST.version, ...orderOf(identity, sh('true')) }
  const { challenge } = order.warrant
  const { env: _, ...bounds } = order.spec
  const on = (cmd: string, args: AnyRecord): CommandOrder & { v: number } => {
    const nonce = Buffer.concat([challenge, Buffer.from(randomUUID()).subarray(0, 12)])
    const exp = Math.floor(systemClock.now() / 1_000) + 60
    const { bytes } = signInvocation(identity, { sub: identity.did, aud: identity.did, cmd, args, prf: [], nonce, exp })
    return { ...order, warrant: { ...order.warrant, invocation: bytes } }
  }
  const run = { ...bounds, env: [], tty: false, task: order.task }
  expect(() => warrants.check(on('/exec/run', run))).not.toThrow()
  const denied = (why: string) => expect.objectContaining({ code: 'DENIED', message: expect.stringContaining(why) })
  expect(() => warrants.check(on('/exec/run', { ...run, tty: true }))).toThrowError(denied('the order is not what the invocation says'))
  expect(() => warrants.check(on('/device/info', {}))).toThrowError(denied('is for /device/info'))
})
