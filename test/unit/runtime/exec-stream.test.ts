/** One stream of one command at the door: who waits for a place, who goes away, what a caller may say. */
import { expect, test } from 'vitest'
import { EXEC, TAG } from '../../../protocols/exec/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { settled } from '../base/hand-clock.ts'
import { laptop, taskId, World } from './door-world.ts'

const never = new Promise<never>(() => undefined)

test('to a caller that is gone nothing more is sent; its command waits for it in the exec-host, and its end is recorded without it', async () => {
  const world = await World.open()
  const gone = new AbortController()
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]), { signal: gone.signal })
  await settled()
  gone.abort()
  call.link.abort(new Error('cable pulled'))
  await settled()
  const [command] = world.executor.started
  expect([command?.holds, command?.stops]).toEqual([1, []])
  command?.stop('lost') // the exec-host, when nobody came back
  await settled()
  expect(world.audit.facts.at(-1)).toMatchObject({ action: 'exec.end', result: 'failed', details: { why: 'lost' } })
  expect(await world.book.get(taskId(1) as never)).toMatchObject({ state: 'FAILED', why: 'lost' })
})

test('who finds no place stands in the queue, is told where, and is run in its turn; the task says why it waits', async () => {
  const world = await World.open({ slots: 1, queue: 2 })
  const grant = world.grant(laptop)
  const calls = [1, 2, 3].map(() => world.call(laptop, world.open(laptop, [grant])))
  await settled()
  expect(await world.book.get(taskId(3) as never)).toMatchObject({ state: 'WAITING', why: 'queue', place: 2, startedAt: null })
  expect(await world.call(laptop, world.open(laptop, [grant])).answer()).toMatchObject({ code: 'TOO_BUSY' })
  for (const [i, call] of calls.entries()) {
    world.executor.started[i]?.exit(0)
    expect(await call.answer()).toMatchObject({ t: 'ended' })
    await settled()
  }
  expect(calls.map(({ tags }) => tags.includes(TAG.queued))).toEqual([false, true, true])
  expect(await world.book.list()).toMatchObject({ tasks: [{ why: 'refused' }, { state: 'COMPLETED' }, { state: 'COMPLETED' }, { state: 'COMPLETED' }] })
})

test('a caller that went while its command was being spawned leaves nothing running', async () => {
  const world = await World.open()
  let spawned = (): void => {}
  world.executor.wait = new Promise((resolve) => (spawned = resolve))
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  call.link.abort(new Error('cable pulled'))
  spawned()
  await call.served
  expect(world.executor.started[0]?.stops[0]).toBe('lost')
  expect(world.book.counts().active).toBe(0)
})

test('cancel, stdin and its end reach the command', async () => {
  const world = await World.open()
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)], { stdin: true }))
  await settled()
  await call.link.write(TAG.stdin, Buffer.from('abc'))
  await call.link.write(TAG.stdinEnd)
  await call.link.write(TAG.cancel)
  expect(await call.answer()).toMatchObject({ ended: { why: 'cancelled' } })
  expect(call.tags).toContain(TAG.stdinCredit)
  expect(Buffer.concat(world.executor.started[0]?.input ?? []).toString()).toBe('abc')
  expect(world.executor.started[0]?.inputEnded).toBe(true)
})

test('who sends more stdin than the window is cut off', async () => {
  const world = await World.open()
  const call = world.call(laptop, world.open(laptop, [world.grant(laptop)], { stdin: true }))
  await settled()
  const [command] = world.executor.started
  if (command === undefined) throw new TypeError('nothing was started')
  command.stdin = () => never // takes nothing
  await call.link.write(TAG.stdin, new Uint8Array(EXEC.stdinWindowBytes))
  await settled()
  expect(command.stops).toEqual([])
  void call.link.write(TAG.stdin, new Uint8Array(1))
  await settled()
  expect(command.stops).toEqual(['lost'])
})

test.each([
  ['another frame first', TAG.stdin, new Uint8Array(1), 'UNSUPPORTED'],
  ['no DAG-CBOR', TAG.open, Uint8Array.of(0xff), 'NOT_CBOR'],
  ['another shape', TAG.open, encode({ invocation: 'x' }), 'BAD_SHAPE'],
])('%s is no request: refused with %s', async (_name, tag, bytes, code) => {
  const world = await World.open()
  expect(await world.call(laptop, bytes, { tag }).answer()).toMatchObject({ t: 'refused', code })
  expect(world.audit.facts).toEqual([])
})

test('a stream without a request is closed and gives its place back', async () => {
  const world = await World.open()
  const call = world.call(laptop, new Uint8Array(), { tag: TAG.open })
  await call.served
  expect(world.places.free).toBe(4)
})
