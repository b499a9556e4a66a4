/** What a daemon makes of the tasks that an earlier one left: each gets its true end, or its commands back. */
import { expect, test } from 'vitest'
import type { Ended } from '../../../protocols/exec/messages.ts'
import { Places } from '../../../src/runtime/places.ts'
import { Recovery, SUSPENDED } from '../../../src/runtime/recovery.ts'
import type { Change, TaskId } from '../../../src/tasks/machine.ts'
import { settled } from '../base/hand-clock.ts'
import { device, laptop, Scripted, taskId, World } from './door-world.ts'
import { bob } from './mesh-world.ts'

const FIRST = taskId(1) as TaskId
const AT = 1_800_000_000_000
const SPEC = { exe: 'make', argv: ['test'], cwd: '', env: {}, user: '', timeoutMs: 0, maxOutputBytes: 0, stdin: false }
const EXITED: Ended = { exitCode: 3, signal: null, why: 'exit', startTime: AT, endTime: AT + 7, stdoutBytes: 5, stderrBytes: 0 }
const STARTED: readonly Change[] = [
  { t: 'planned', at: AT },
  { t: 'started', at: AT },
]

type Left = ReturnType<ConstructorParameters<typeof Recovery>[0]['executor']['left']>

interface Found {
  /** What the earlier daemon wrote down. */
  readonly changes?: readonly Change[]
  readonly device?: string
  /** What the files of the exec-host say. */
  readonly ended?: Ended | null
  readonly hasRecord?: boolean
  /** Whether it still runs there. */
  readonly runs?: boolean
}

async function recovered({ changes = STARTED, device: where = device.did, ended = null, hasRecord = true, runs = false }: Found) {
  const world = await World.open()
  const { book, clock, audit, live } = world
  const submission = { id: FIRST, device: where, command: ['make', 'test'], submittedBy: laptop.did, createdAt: AT, detached: true }
  await book.submit(submission, { changes })
  const grant = world.grant(laptop)
  const { invocation } = world.asks(laptop, '/exec/run', FIRST, { chain: [grant], args: { ...SPEC, env: [], tty: false, task: FIRST } })
  const left: Left = hasRecord ? { ended, startTime: AT, invocation, proofs: [grant.bytes] } : undefined
  const command = new Scripted(SPEC, { output: () => undefined }, AT)
  const watched: string[] = []
  const places = new Places({ clock, bounds: { atOnce: 1, queueSize: 1, queueTimeoutMs: 1_000 } })
  const executor = { follow: () => (runs ? Promise.resolve(command) : Promise.reject(new Error('it does not run'))), left: () => left }
  const submitter = { watchEnd: ({ task }: { task: string }) => void watched.push(task) }
  const on = { self: device.did, executor, book, live, places, door: world.door, submitter, directory: { nameOf: () => 'bob' }, audit, clock }
  const done = new Recovery(on).recover(runs ? [{ task: FIRST }] : [])
  const look = async (): Promise<unknown> => {
    await settled()
    return await book.get(FIRST)
  }
  return { world, command, places, watched, look, done }
}

test('what runs is taken over: it has its place, its end counts, and a dead right ends it', async () => {
  const { world, command, places, look, done } = await recovered({ runs: true })
  await done
  expect(await look()).toMatchObject({ state: 'RUNNING' })
  expect(world.live.get(FIRST)?.resting.invocation.iss).toBe(laptop.did)
  expect(places.free).toBe(0)
  command.exit(3)
  expect(await look()).toMatchObject({ state: 'FAILED', why: 'exit', exitCode: 3, attempts: 1 })
  expect(places.free).toBe(1)
  expect(world.audit.facts).toMatchObject([{ action: 'exec.end', actor: laptop.did, details: { exitCode: 3, command: ['make', 'test'] } }])
})

test('what was suspended with its node goes on with it; what somebody paused stays paused', async () => {
  for (const message of [SUSPENDED, undefined]) {
    const paused: Change = { t: 'waiting', at: AT, why: 'paused', ...(message === undefined ? {} : { message }) }
    const { command, look, done } = await recovered({ runs: true, changes: [...STARTED, paused] })
    await done
    expect(command.stops).toEqual(message === undefined ? [] : ['resume'])
    expect(await look()).toMatchObject(message === undefined ? { state: 'WAITING', why: 'paused' } : { state: 'RUNNING', why: 'resumed' })
  }
})

test('what ended meanwhile gets its own end, not the time at which it was found', async () => {
  const { world, look, done } = await recovered({ ended: EXITED })
  await done
  expect(await look()).toMatchObject({ state: 'FAILED', why: 'exit', exitCode: 3, endedAt: AT + 7, stdoutBytes: 5 })
  expect(world.audit.facts).toMatchObject([{ action: 'exec.end', details: { exitCode: 3, durationMs: 7 } }])
})

test.each([
  ['whose process host was killed', { ended: null }, 'exec.end'],
  ['of which there is no trace', { hasRecord: false }, 'exec.end'],
  ['that waited for its place', { hasRecord: false, changes: [STARTED[0], { t: 'waiting', at: AT, why: 'queue', place: 1 }] as Change[] }, 'task.failed'],
])('a task %s is lost, and never a success', async (_name, found, action) => {
  const { world, look, done } = await recovered(found)
  await done
  expect(await look()).toMatchObject({ state: 'FAILED', why: 'lost', exitCode: null })
  expect(world.audit.facts).toMatchObject([{ action, result: 'failed', task: FIRST, details: { why: 'lost' } }])
  expect(world.book.counts().active).toBe(0)
})

test('what runs and rests on nothing that is known is stopped, and lost', async () => {
  const { world, command, look, done } = await recovered({ hasRecord: false, runs: true })
  for (let i = 0; i < 200; i++) {
    world.clock.advance(20)
    await settled()
  }
  await done
  expect(new Set(command.stops)).toEqual(new Set(['lost']))
  expect(await look()).toMatchObject({ state: 'FAILED', why: 'lost' })
})

test('of a task on another device the end is waited for', async () => {
  const { world, watched, look, done } = await recovered({ device: bob.did })
  await done
  expect(watched).toEqual([FIRST])
  expect(await look()).toMatchObject({ state: 'RUNNING' })
  expect(world.audit.facts).toEqual([])
})
