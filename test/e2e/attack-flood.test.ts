/** Floods: streams, frames and refusals by the thousand, from members who may do little or nothing. The node stays small, well, and open to others. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { EXEC, TAG } from '../../protocols/exec/messages.ts'
import { until } from '../support/world.ts'
import { ask, command, ExecStream, openFrame } from './support-attack.ts'
import { healthy, processesWith, residentBytes } from './support-exec.ts'
import { didOf, framed, Siege, sendAll } from './support-siege.ts'

const GROWTH_BYTES = 64 << 20

let siege: Siege

beforeAll(async () => {
  siege = await Siege.begin()
})

afterAll(async () => {
  await siege[Symbol.asyncDispose]()
})

afterEach(async () => {
  await siege.held()
})

test('stdin beyond the window ends the command', async () => {
  const session = await siege.as('carol')
  const { answer, stream } = await siege.sleeper(session, '86394')
  await stream.link.write(TAG.stdin, Buffer.alloc(EXEC.stdinWindowBytes / 2))
  await stream.link.write(TAG.stdin, Buffer.alloc(EXEC.stdinWindowBytes / 2))
  expect(processesWith('sleep 86394')).toHaveLength(1)
  await stream.link.write(TAG.stdin, Buffer.alloc(EXEC.stdinWindowBytes / 2 + (1 << 17)))
  expect(await answer).toMatchObject({ t: 'ended', ended: { why: 'lost' } })
  await until('the sleep is gone', () => processesWith('sleep 86394').length === 0)
})

test('a window of crumbs to a command that reads nothing, by a caller that reads nothing, costs no memory', async () => {
  const session = await siege.as('carol')
  const sleepers = await Promise.all(['86393', '86392', '86391', '86390'].map((seconds) => siege.sleeper(session, seconds)))
  const before = residentBytes(siege.alice.process.pid)
  const crumbs = Buffer.alloc(48_000, Buffer.from([2, TAG.stdin, 65]))
  for (const { stream } of sleepers) {
    stream.stream.pause()
    for (let i = 0; i < 15; i++) await sendAll(stream, crumbs)
  }
  await healthy(siege.alice.home)
  expect(residentBytes(siege.alice.process.pid) - before).toBeLessThan(GROWTH_BYTES)
  for (const { stream, answer } of sleepers) {
    stream.stream.resume()
    await stream.link.write(TAG.cancel)
    expect(await answer).toMatchObject({ t: 'ended', ended: { why: 'cancelled' } })
  }
})

test('stdin frames without bytes are under no window, and end the command', async () => {
  const { answer, stream } = await siege.sleeper(await siege.as('carol'), '86389')
  await stream.link.write(TAG.stdin)
  expect(await answer).toMatchObject({ t: 'ended', ended: { why: 'lost' } })
})

test('300 streams that say nothing, or half a request, keep nobody out and are cut after ten seconds', async () => {
  const { connection, challenge } = await siege.as('mallory')
  const streams = await Promise.allSettled(Array.from({ length: 300 }, () => ExecStream.open(connection)))
  const open = streams.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const half = framed(TAG.open, openFrame({ by: siege.mallory.identity, to: didOf(siege.alice), challenge, args: command('true') })).subarray(0, 100)
  const cut = open.map(async (stream, i) => {
    if (i % 2 === 0 && stream.stream.status === 'open') stream.stream.send(half)
    return await stream.answer()
  })
  await until('those beyond the cap are reset', () => open.filter(({ stream }) => stream.status === 'open').length <= EXEC.streamsPerPeer)
  expect(await siege.w.run(siege.bob.home, 'alice', 'echo', 'still here')).toMatchObject({ code: 0, stdout: 'still here\n' })
  const answers = await Promise.all(cut)
  expect(answers.every(({ t }) => t === 'cut' || t === 'refused')).toBe(true)
})

test('whoever was refused can go on sending into its streams: nobody keeps it', async () => {
  const { connection, challenge } = await siege.as('mallory')
  const before = residentBytes(siege.alice.process.pid)
  for (let n = 0; n < 200; n++) {
    const stream = await ExecStream.open(connection)
    await stream.link.write(TAG.open, openFrame({ by: siege.mallory.identity, to: didOf(siege.alice), challenge, args: command('true') }))
    expect(await stream.answer()).toMatchObject({ t: 'refused' })
    for (let i = 0; i < 16 && stream.stream.status === 'open'; i++) stream.stream.send(Buffer.alloc(1 << 16))
  }
  await healthy(siege.alice.home)
  expect(residentBytes(siege.alice.process.pid) - before).toBeLessThan(GROWTH_BYTES)
  await connection.close()
})

test('thousands of refusals are counted, and a few are written down', async () => {
  const session = await siege.as('mallory')
  const logged = async (): Promise<number> => (await siege.w.audit(siege.alice.home, '--action', 'exec.denied', '--actor', siege.mallory.identity.did)).length
  const refusals = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const frames = Array.from({ length: 50 }, () => openFrame(siege.byMallory(session)))
      const answers = await Promise.all(frames.map((frame) => ask(session.connection, frame)))
      expect(answers.filter((answer) => answer.t !== 'refused' || answer.reason !== 'NO_GRANT')).toEqual([])
    }
  }
  const began = performance.now()
  const held = await logged()
  await refusals(20)
  const before = residentBytes(siege.alice.process.pid)
  await refusals(60)
  const seconds = (performance.now() - began) / 1_000
  expect((await logged()) - held).toBeLessThanOrEqual(20 + Math.ceil(seconds / 3) + 1)
  expect(residentBytes(siege.alice.process.pid) - before).toBeLessThan(2 * GROWTH_BYTES) // the heap breathes: 15,000 refusals end where 8,000 do
})
