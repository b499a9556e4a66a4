/** Bytes both ways: what arrives, in which order things end, and that nothing is read which cannot be written. */
import { Uint8ArrayList } from 'uint8arraylist'
import { expect, test } from 'vitest'
import { FORWARD, Incoming, FORWARD_TAG as TAG } from '../../../protocols/forward/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import type { ByteLink } from '../../../src/base/frames.ts'
import { settled } from '../base/hand-clock.ts'
import { Far, heard, World } from './world.ts'

const bytes = (text: string): Uint8ArrayList => new Uint8ArrayList(Buffer.from(text))

async function received(end: ByteLink | undefined): Promise<string> {
  let text = ''
  for await (const chunk of end?.source ?? []) text += Buffer.from(chunk.subarray()).toString()
  return text
}

test('each direction ends on its own: what is asked behind the end of the answer still arrives', async () => {
  const world = new World()
  const { link, served } = await world.ask('localhost:80', { chain: [world.grant('forward: localhost:80')] })
  const there = world.network.made[0]?.end
  await there?.write(bytes('answer'))
  await there?.end()
  await settled()
  await link.write(TAG.data, Buffer.from('question'))
  await link.write(TAG.end)
  expect(await received(there)).toBe('question')
  expect(await heard(link)).toMatchObject({ text: 'answer', ended: { why: 'closed', bytesIn: 8, bytesOut: 6, connections: 1 } })
  await served
  expect(world.facts.map(({ action, result, details }) => [action, result, details?.why])).toEqual([
    ['forward.start', 'allowed', undefined],
    ['forward.end', 'ok', 'closed'],
  ])
})

test('a caller that goes without an end cuts the connection over there, and one that says so as well', async () => {
  for (const how of ['gone', 'ended', 'half'] as const) {
    const world = new World()
    const { link, gone, served } = await world.ask('localhost:80', { chain: [world.grant('forward: localhost:80')] })
    if (how === 'gone') gone.abort(new Error('the line is cut'))
    else if (how === 'half') await link.end()
    else await link.write(TAG.ended, encode({ why: 'reset', bytesIn: 0, bytesOut: 0, connections: 1 }))
    await settled()
    expect(world.network.made[0]?.isCut, how).toBe(true)
    world.clock.advance(2_000)
    await served
    expect(world.facts.at(-1)).toMatchObject({ action: 'forward.end', result: 'failed' })
  }
})

test('a caller that never reads stops the target, and costs no memory', async () => {
  const world = new World()
  await world.ask('localhost:80', { chain: [world.grant('forward: localhost:80')] })
  const there = world.network.made[0]?.end
  let written = 0
  for (let n = 0; n < 100; n++) {
    const wait = there?.write(new Uint8ArrayList(new Uint8Array(1 << 16)))
    written += 1 << 16
    if (wait === undefined) continue
    if ((await Promise.race([wait.then(() => 'taken'), settled().then(() => 'stands')])) === 'stands') break
  }
  expect(written).toBeLessThan(2 << 20)
})

test('a device that listens: who connects there is offered to who asked for it, and carried once that is taken', async () => {
  const world = new World()
  const { answer, link } = await world.ask('127.0.0.1:0', { chain: [world.grant('listen: localhost:*, 127.0.0.1:*')], listen: true, single: false })
  expect(answer).toMatchObject({ t: 'accepted', port: 40_000 })
  const visitor = new Far('10.0.0.9', 5_555)
  world.network.taken?.(visitor.pipe)
  await settled()
  const [offer] = world.offered
  const first = await offer?.read()
  expect(first?.tag).toBe(TAG.incoming)
  expect(decodeAs(Incoming, first?.payload.subarray() ?? new Uint8Array(), FORWARD.maxFrameBytes)).toMatchObject({ address: '10.0.0.9', port: 5_555 })
  await offer?.write(TAG.connected)
  await offer?.write(TAG.data, Buffer.from('hello'))
  await offer?.write(TAG.end)
  expect(await received(visitor.end)).toBe('hello')
  const refused = new Far('10.0.0.9', 5_556)
  world.network.taken?.(refused.pipe)
  await settled()
  await world.offered[1]?.write(TAG.refused, new Uint8Array())
  await settled()
  expect(refused.isCut, 'who is not taken is cut').toBe(true)
  const late = new Far('10.0.0.9', 5_557)
  world.network.taken?.(late.pipe)
  await settled()
  world.clock.advance(FORWARD.connectMs + 1)
  await settled()
  expect(late.isCut, 'nobody waits for ever').toBe(true)
  await link.end()
  await settled()
  expect(world.network.taken, 'it listens no longer').toBeUndefined()
})
