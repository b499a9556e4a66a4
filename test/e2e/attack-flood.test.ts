/** Floods: streams, frames and refusals by the thousand, from members who may do little or nothing. The node stays small, well, and open to others. */
import { expect, test } from 'vitest'
import { EXEC, TAG } from '../../protocols/exec/messages.ts'
import { until } from '../support/world.ts'
import { type Answer, ask, ExecStream, openFrame } from './support-attack.ts'
import { healthy, processesWith, residentBytes } from './support-exec.ts'
import { besieged, framed, type Siege, sendAll } from './support-siege.ts'

const GROWTH_BYTES = 64 << 20
const GIVE_UP_MS = 1_000
/** What a device bears of one peer (docs/limits.md), and what one piece that was read before the brake was on can bring on top. */
const AT_ONCE = 50
const PER_SECOND = 10
const ON_TOP = 64

let siege: Siege
besieged((begun) => {
  siege = begun
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
  const session = await siege.as('mallory')
  const { connection } = session
  const streams = await Promise.allSettled(Array.from({ length: 300 }, () => ExecStream.open(connection)))
  const open = streams.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const half = framed(TAG.open, openFrame(siege.by(siege.mallory, session))).subarray(0, 100)
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
  const { papers, session } = await siege.hostile('trent')
  const before = residentBytes(siege.alice.process.pid)
  for (let n = 0; n < 40; n++) {
    const stream = await ExecStream.open(session.connection)
    await stream.link.write(TAG.open, openFrame(siege.by(papers, session)))
    expect(await stream.answer()).toMatchObject({ t: 'refused', reason: 'NO_GRANT' })
    for (let i = 0; i < 80 && stream.stream.status === 'open'; i++) stream.stream.send(Buffer.alloc(1 << 16))
  }
  await healthy(siege.alice.home)
  expect(residentBytes(siege.alice.process.pid) - before).toBeLessThan(GROWTH_BYTES)
  await session.connection.close()
})

test('of thousands of requests a device looks at fifty and ten a second more; it says so, writes down counts, and serves the others', async () => {
  const { papers, session, enter } = await siege.hostile('trudy')
  const asked = async (): Promise<Answer> => await ask(session.connection, openFrame(siege.by(papers, session)), GIVE_UP_MS).catch((): Answer => ({ t: 'cut' }))
  const [began, before] = [performance.now(), residentBytes(siege.alice.process.pid)]
  const answers: Answer[] = []
  for (let round = 0; round < 12; round++) {
    const honest = siege.w.run(siege.bob.home, 'alice', 'echo', 'still here')
    answers.push(...(await Promise.all(Array.from({ length: 250 }, asked))))
    expect(await honest).toMatchObject({ code: 0, stdout: 'still here\n' })
  }
  const seconds = (performance.now() - began) / 1_000
  const reasons = answers.map((answer) => (answer.t === 'refused' ? answer.reason : answer.t))
  const lookedAt = reasons.filter((reason) => reason === 'NO_GRANT')
  expect(new Set(reasons)).toEqual(new Set(['NO_GRANT', 'REFUSALS', 'cut']))
  expect(lookedAt.length).toBeLessThanOrEqual(AT_ONCE + PER_SECOND * seconds + ON_TOP)
  await expect(enter(), 'another connection does not help').rejects.toThrow()
  const most = 20 + Math.ceil(seconds / 3) + 1
  for (const action of ['exec.denied', 'device.refused']) {
    const logged = await siege.w.audit(siege.alice.home, '--action', action, '--actor', papers.identity.did)
    expect(logged.length, action).toBeGreaterThan(0)
    expect(logged.length, action).toBeLessThanOrEqual(most)
  }
  expect(residentBytes(siege.alice.process.pid) - before).toBeLessThan(GROWTH_BYTES)
})
