/** A running command that its caller leaves to itself: on what it goes on, what is written down, and who may not do that. */
import { expect, test } from 'vitest'
import { Detached, EXEC, TAG } from '../../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import { revoke } from '../../../src/authority/revocations.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { declaredAs, device, laptop, mallory, taskId, World } from './door-world.ts'

const FIRST = taskId(1) as TaskId

/** An attached command that runs, with its caller's stream heard. */
async function running(by = laptop) {
  const world = await World.open({})
  const chain = by === device ? [] : [world.grant(by)]
  const gone = new AbortController()
  const call = world.call(by, world.open(by, chain, { stdin: true }), { signal: gone.signal })
  await settled()
  expect((await call.link.read())?.tag).toBe(TAG.accepted)
  const [command] = world.executor.started
  if (command === undefined) throw new Error('nothing runs')
  const detach = async (mandate: Uint8Array): Promise<Detached> => {
    await call.link.write(TAG.detach, mandate)
    const frame = await call.link.read()
    expect(frame?.tag).toBe(TAG.detached)
    return decodeAs(Detached, frame?.payload.subarray() ?? new Uint8Array(), EXEC.maxFrameBytes)
  }
  return { world, chain, call, command, detach, gone }
}

test('with a mandate it goes on without its caller, whatever becomes of the line: in the log and in its history before that is said', async () => {
  const { world, chain, call, command, detach, gone } = await running()
  expect(await detach(world.mandate(laptop, chain, declaredAs(1, { stdin: true })).bytes)).toEqual({})
  expect(world.audit.facts.at(-1)).toMatchObject({ action: 'task.detach', actor: laptop.did, task: FIRST, grant: chain[0]?.cid })
  expect(await world.book.get(FIRST)).toMatchObject({ detached: true, state: 'RUNNING' })
  expect(await call.link.read(), 'the stream is over').toBeUndefined()
  expect(command.stops).toEqual(['detach block'])
  gone.abort()
  world.clock.advance(600_000)
  await settled()
  expect(command.stops, 'nobody is waited for').toEqual(['detach block'])
  command.exit(3)
  await settled()
  expect(await world.book.get(FIRST)).toMatchObject({ state: 'FAILED', exitCode: 3 })
  expect(world.audit.facts.at(-1)).toMatchObject({ action: 'exec.end', actor: laptop.did })
})

test('it rests on the mandate from then on: revoked, it ends; and it lives no longer than that', async () => {
  const revoked = await running()
  const mandate = revoked.world.mandate(laptop, revoked.chain, declaredAs(1, { stdin: true }))
  await revoked.detach(mandate.bytes)
  revoked.world.revocations.add(revoke(laptop, mandate.cid, revoked.world.random).bytes)
  revoked.world.live.stopRevoked()
  expect(revoked.command.stops).toContain('revoked')
  const expiring = await running()
  await expiring.detach(expiring.world.mandate(laptop, expiring.chain, declaredAs(1, { stdin: true })).bytes)
  expiring.world.clock.advance(3_601_000)
  expect(expiring.command.stops).toContain('revoked')
})

test('without a mandate, or with one that is not for it, it stays attached, and the refusal is in the log', async () => {
  const { world, chain, command, detach, gone } = await running()
  const wrong = [
    new Uint8Array(),
    new Uint8Array(64).fill(7),
    world.mandate(laptop, chain, declaredAs(2)).bytes,
    world.mandate(laptop, chain, declaredAs(1, { argv: ['install'] })).bytes,
    world.mandate(mallory, chain, declaredAs(1, { stdin: true })).bytes,
  ]
  for (const mandate of wrong) {
    expect(await detach(mandate)).toMatchObject({ fault: { code: 'DENIED' } })
    expect(world.audit.facts.at(-1)).toMatchObject({ action: 'task.denied', result: 'denied', task: FIRST })
  }
  expect(await world.book.get(FIRST)).toMatchObject({ detached: false })
  gone.abort()
  world.clock.advance(600_000)
  expect(command.stops, 'nobody came back').toEqual(['lost'])
})

test('a flood of mandates that are none is counted in the log and not written out, is judged one by one, and is held against its sender', async () => {
  const world = await World.open({})
  const refused: string[] = []
  let isOver = false
  const busy = new ErrandError('TOO_BUSY', 'refused too often')
  const patience = { over: () => (isOver ? busy : undefined), refused: (error: ErrandError) => void refused.push(error.code) }
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)], { stdin: true }), { patience })
  await settled()
  expect((await call.link.read())?.tag).toBe(TAG.accepted)
  for (let n = 0; n < 200; n++) {
    await call.link.write(TAG.detach, new Uint8Array())
    if (n >= 100) expect((await call.link.read())?.tag).toBe(TAG.detached)
  }
  await settled()
  expect(refused.length).toBeGreaterThanOrEqual(100)
  expect(world.audit.actions().filter((action) => action === 'task.denied').length).toBeLessThanOrEqual(20)
  isOver = true
  await call.link.write(TAG.detach, new Uint8Array())
  const count = refused.length
  await settled()
  expect(refused.length, 'who was refused too often is not even judged').toBe(count)
})

test('this device itself needs none', async () => {
  const { world, command, detach } = await running(device)
  expect(await detach(new Uint8Array())).toEqual({})
  expect(command.stops).toEqual(['detach block'])
  expect(await world.book.get(FIRST)).toMatchObject({ detached: true })
})

test('a watcher detaches nothing', async () => {
  const { world, command, chain } = await running()
  const right = world.grant(mallory, { cmd: '/task/logs' })
  const asked = { task: FIRST, from: 0, follow: true, ...world.asks(mallory, '/task/logs', FIRST, { chain: [right] }) }
  const watching = world.call(mallory, encode(asked), { tag: TAG.attach })
  expect((await watching.link.read())?.tag).toBe(TAG.accepted)
  await watching.link.write(TAG.detach, world.mandate(laptop, chain, declaredAs(1, { stdin: true })).bytes)
  await watching.link.write(TAG.resize, encode({ columns: 10, rows: 10 }))
  await watching.link.write(TAG.stdin, Buffer.from('x'))
  await settled()
  expect(await world.book.get(FIRST)).toMatchObject({ detached: false })
  expect([command.stops, command.sizes, command.input]).toEqual([[], [], []])
})
