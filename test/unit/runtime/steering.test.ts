/** Steering a task at every moment of its life, and coming for its output: the device's side. */
import { expect, test } from 'vitest'
import { Accepted, type Ended, Ended as EndedSchema, TAG } from '../../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { type Call, laptop, owner, taskId, World } from './door-world.ts'

const FIRST = taskId(1) as TaskId
const SECOND = taskId(2) as TaskId

const ask = (world: World, question: '/task/read' | '/task/cancel' | '/task/pause' | '/task/resume', task: string, by: Identity = laptop) =>
  world.steward.answer({ question, task, ...world.asks(by, question, task) }, world.caller(by))

const stateOf = async (world: World, task: TaskId): Promise<unknown> => {
  const { state, why } = (await world.book.get(task)) ?? {}
  return `${state} ${why}`
}

/** Comes for the output of a task. */
function attach(world: World, from: number | null, by: Identity = laptop): Call {
  return world.call(by, encode({ task: FIRST, from, follow: true, ...world.asks(by, '/task/logs', FIRST) }), { tag: TAG.attach })
}

async function heard(call: Call): Promise<{ ended: Ended; text: string; offsets: number }> {
  let [text, offsets] = ['', 0]
  for (let frame = await call.link.read(); frame !== undefined; frame = await call.link.read()) {
    const bytes = frame.payload.subarray()
    if (frame.tag === TAG.accepted) decodeAs(Accepted, bytes, bytes.length)
    if (frame.tag === TAG.stdout) text += Buffer.from(bytes).toString()
    if (frame.tag === TAG.at) offsets++
    if (frame.tag === TAG.ended) return { ended: decodeAs(EndedSchema, bytes, bytes.length), text, offsets }
    if (frame.tag === TAG.refused) throw new Error('refused')
  }
  throw new Error('the stream ended without an end')
}

test('a cancel ends what runs and answers when that is durable', async () => {
  const world = await World.open()
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  expect(await ask(world, '/task/cancel', FIRST)).toMatchObject({ tasks: [{ state: 'CANCELLED', why: 'cancelled' }] })
  expect(world.executor.started[0]?.stops).toEqual(['cancelled'])
  expect(world.audit.actions()).toEqual(['exec.start', 'task.cancel', 'exec.end'])
  await expect(ask(world, '/task/cancel', FIRST)).rejects.toMatchObject({ code: 'TASK_OVER' })
})

test('a cancel takes what waits for its place out of the queue, and the next one moves up', async () => {
  const world = await World.open({ slots: 1, queue: 2 })
  const grant = world.grant(laptop)
  for (let i = 0; i < 3; i++) world.call(laptop, world.open(laptop, [grant], {}, { detached: true }))
  await settled()
  expect(await ask(world, '/task/cancel', SECOND)).toMatchObject({ tasks: [{ state: 'CANCELLED' }] })
  world.clock.advance(1_000)
  expect(await world.book.get(taskId(3) as TaskId)).toMatchObject({ state: 'WAITING', place: 1 })
  world.executor.started[0]?.exit(0)
  await settled()
  expect(world.executor.started.map(({ spec }) => spec.exe)).toHaveLength(2)
  expect(await stateOf(world, taskId(3) as TaskId)).toBe('RUNNING started')
})

test('what is cancelled between its place and its process never runs; a process that is made in that moment is stopped', async () => {
  for (const isSpawning of [false, true]) {
    const world = await World.open()
    let go = (): void => {}
    const wait = new Promise<void>((resolve) => (go = resolve))
    if (isSpawning) world.executor.wait = wait
    else world.audit.wait = wait
    const call = world.call(laptop, world.open(laptop, [world.grant(laptop)]))
    await settled()
    world.live.cancel(FIRST)
    go()
    expect(await call.answer()).toMatchObject(isSpawning ? { ended: { why: 'cancelled' } } : { code: 'CANCELLED' })
    expect(world.executor.started.map(({ stops }) => stops)).toEqual(isSpawning ? [['cancelled']] : [])
    expect(await stateOf(world, FIRST)).toBe('CANCELLED cancelled')
    expect([world.places.free, world.live.isUnwanted(FIRST)]).toEqual([4, false])
  }
})

test('a caller that goes while its wait is being written down takes no place; a place that becomes free then is taken', async () => {
  const world = await World.open({ slots: 1, queue: 2 })
  const leave = world.places.tryTake()
  const gone = new AbortController()
  const [left, stays] = [gone.signal, new AbortController().signal].map((signal) => world.call(laptop, world.open(laptop, [world.grant(laptop)]), { signal }))
  while (world.book.counts().active < 2) await Promise.resolve() // both are on their way to the disk
  expect(world.places.waiting).toBe(0)
  gone.abort()
  leave?.()
  await settled()
  expect(await left?.answer()).toMatchObject({ code: 'CANCELLED' })
  expect(world.executor.started).toHaveLength(1)
  world.executor.started[0]?.exit(0)
  expect(await stays?.answer()).toMatchObject({ t: 'ended' })
  expect(world.places.free).toBe(1)
})

test('pause and resume reach the process, are states of the task and facts of the log', async () => {
  const world = await World.open()
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  expect(await ask(world, '/task/pause', FIRST)).toMatchObject({ tasks: [{ state: 'WAITING', why: 'paused' }] })
  expect(await ask(world, '/task/resume', FIRST)).toMatchObject({ tasks: [{ state: 'RUNNING', why: 'resumed' }] })
  expect(world.executor.started[0]?.stops).toEqual(['pause', 'resume'])
  expect(world.audit.actions()).toEqual(['exec.start', 'task.pause', 'task.resume'])
})

test('somebody else’s task is not to be seen or steered without a right, and nothing happens to it', async () => {
  const world = await World.open()
  world.call(laptop, world.open(laptop, [world.grant(laptop)]))
  await settled()
  for (const question of ['/task/read', '/task/cancel', '/task/pause'] as const)
    await expect(ask(world, question, FIRST, owner)).rejects.toMatchObject({ code: 'DENIED' })
  expect(world.executor.started[0]?.stops).toEqual([])
  expect(world.audit.actions()).toEqual(['exec.start', 'task.denied', 'task.denied', 'task.denied'])
})

test('a watcher that leaves, breaks off or talks nonsense ends nothing', async () => {
  const world = await World.open()
  world.call(laptop, world.open(laptop, [world.grant(laptop)], {}, { detached: true }))
  await settled()
  const calls = [1, 2, 3].map(() => attach(world, 0))
  await settled()
  const [leaves, breaks, babbles] = calls
  await leaves?.link.end()
  breaks?.link.abort(new Error('cable pulled'))
  await babbles?.link.write(TAG.stdin, new Uint8Array())
  await settled()
  for (const { sink } of world.executor.followers) {
    void sink.output(1, Buffer.from('x'))
    sink.skipped?.(7)
  }
  await settled()
  expect([world.executor.started, world.executor.followers].flat().flatMap(({ stops }) => stops)).toEqual([])
  expect(world.executor.started[0]?.inputEnded).toBe(false)
})

test('who comes in the moment of the start gets the output all the same', async () => {
  const world = await World.open()
  let spawned = (): void => {}
  world.executor.wait = new Promise((resolve) => (spawned = resolve))
  world.call(laptop, world.open(laptop, [world.grant(laptop)], {}, { detached: true }))
  await settled()
  const hears = heard(attach(world, 0))
  await settled()
  spawned()
  await settled()
  void world.executor.followers[0]?.sink.output(1, Buffer.from('here'))
  world.executor.started[0]?.exit(4)
  expect(await hears).toMatchObject({ text: 'here', ended: { exitCode: 4 } })
})

test('who comes in the moment of the end gets what was printed, from the spool', async () => {
  const world = await World.open()
  world.call(laptop, world.open(laptop, [world.grant(laptop)], {}, { detached: true }))
  await settled()
  world.executor.kept.set(FIRST, [{ fd: 1, bytes: Buffer.from('kept'), offset: 3 }])
  let durable = (): void => {}
  world.audit.wait = new Promise((resolve) => (durable = resolve))
  world.executor.started[0]?.exit(0)
  await settled()
  const hears = heard(attach(world, 0))
  await settled()
  durable()
  expect(await hears).toMatchObject({ text: 'kept', offsets: 1, ended: { exitCode: 0 } })
  expect(await heard(attach(world, 0)), 'and later').toMatchObject({ text: 'kept', ended: { exitCode: 0 } })
})

test('who waits for a task in the queue hears of its end there', async () => {
  const world = await World.open({ slots: 0, queue: 1 })
  world.call(laptop, world.open(laptop, [world.grant(laptop)], {}, { detached: true }))
  await settled()
  const hears = heard(attach(world, 0))
  await settled()
  await ask(world, '/task/cancel', FIRST)
  expect(await hears).toMatchObject({ text: '', ended: { why: 'cancelled', exitCode: null } })
})
