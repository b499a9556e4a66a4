/** Ten thousand forward streams of a member who may forward nothing: the device bears it, and others are served. */
import { expect, test } from 'vitest'
import { FORWARD } from '../../protocols/forward/frames.ts'
import { healthy, residentBytes } from './support-exec.ts'
import { besieged, type Siege } from './support-siege.ts'

const STREAMS = 10_000
const AT_A_TIME = 500
const GROWTH_BYTES = 160 << 20
const WITHIN_MS = 2_000

let siege: Siege
besieged((begun) => {
  siege = begun
})

test('10,000 streams, each with nonsense on it, keep nobody out and nothing back', async () => {
  const { session, enter } = await siege.hostile('peggy')
  const before = residentBytes(siege.alice.process.pid)
  let { connection } = session
  let opened = 0
  for (let n = 0; n < STREAMS; n += AT_A_TIME) {
    if (connection.status !== 'open') ({ connection } = await enter().catch(() => session))
    const all = [...Array(AT_A_TIME).keys()].map(async () => {
      const stream = await connection.newStream([...FORWARD.ids], { signal: AbortSignal.timeout(WITHIN_MS), maxOutboundStreams: STREAMS })
      stream.send(Buffer.from([2, 0x7f, 0]))
      opened++
    })
    await Promise.allSettled(all)
    if (n === STREAMS / 2) expect(await siege.w.run(siege.bob.home, 'alice', 'echo', 'meanwhile')).toMatchObject({ code: 0, stdout: 'meanwhile\n' })
  }
  expect(opened, 'some of them were streams').toBeGreaterThan(0)
  await healthy(siege.alice.home)
  expect(await siege.w.run(siege.bob.home, 'alice', 'echo', 'still here')).toMatchObject({ code: 0, stdout: 'still here\n' })
  expect(residentBytes(siege.alice.process.pid) - before).toBeLessThan(GROWTH_BYTES)
})
