/** The side that asks: what a client of its own and the device over there may make of it. */
import { Uint8ArrayList } from 'uint8arraylist'
import { expect, test } from 'vitest'
import { FORWARD, FORWARD_TAG as TAG } from '../../../protocols/forward/messages.ts'
import { LOCAL_TAG } from '../../../protocols/local/frames.ts'
import { encode } from '../../../protocols/wire.ts'
import { FrameLink } from '../../../src/base/frames.ts'
import { memoryLinks } from '../../../src/base/memory-link.ts'
import type { Did } from '../../../src/identity/identity.ts'
import { Forwarder } from '../../../src/runtime/forwarder.ts'
import { countingRandom, HandClock, settled } from '../base/hand-clock.ts'
import { device, laptop, mallory } from './world.ts'

const ID = new Uint8Array(16).fill(7)

function pair(): [FrameLink, FrameLink] {
  const [one, other] = memoryLinks()
  return [new FrameLink(one, FORWARD.maxFrameBytes), new FrameLink(other, FORWARD.maxFrameBytes)]
}

/** A forwarder whose streams end in the test's hands. */
function world() {
  const opened: FrameLink[] = []
  const clock = new HandClock()
  const forwarder = new Forwarder({
    ...{ self: laptop.did, clock, random: countingRandom() },
    directory: { resolve: () => device.did, nameOf: () => 'nas' },
    side: { in: () => ({ sign: () => Promise.resolve({ invocation: new Uint8Array(1), proofs: [] }) }) },
    route: {
      open: () => {
        const [mine, theirs] = pair()
        opened.push(theirs)
        return Promise.resolve({ link: mine, challenge: new Uint8Array(16), synced: Promise.resolve() })
      },
    },
  })
  const caller = (did: Did) => ({ did, challenge: new Uint8Array(16), address: '', synced: Promise.resolve(), back: () => Promise.reject(new Error('none')) })
  return { forwarder, opened, clock, caller }
}

async function held(listen: boolean) {
  const on = world()
  const [client, near] = pair()
  const gone = new AbortController()
  const over = on.forwarder.forward({ device: 'nas', host: '127.0.0.1', port: 80, listen }, near, { signal: gone.signal })
  await settled()
  await on.opened[0]?.write(TAG.accepted, encode({ forward: ID, startTime: 1, address: '', port: 0 }))
  const accepted = await client.read()
  const { forward } = JSON.parse(Buffer.from(accepted?.payload.subarray() ?? []).toString())
  return { ...on, client, gone, over, forward: String(forward) }
}

test('what comes in is taken from the device that was asked, for a forward that it was asked for, and from nobody else', async () => {
  const { forwarder, caller, client } = await held(true)
  const [, link] = pair()
  const { signal } = new AbortController()
  const frame = (forward: Uint8Array) => ({ tag: TAG.incoming, payload: new Uint8ArrayList(encode({ forward, address: '10.0.0.9', port: 1 })) })
  await expect(forwarder.incoming(link, { frame: frame(new Uint8Array(16)), caller: caller(device.did), signal })).rejects.toMatchObject({
    code: 'NO_SUCH_FORWARD',
  })
  const stranger = forwarder.incoming(link, { frame: frame(ID), caller: caller(mallory.did), signal })
  const refused = expect(stranger).rejects.toMatchObject({ code: 'NO_SUCH_FORWARD' })
  await Promise.race([refused, settled().then(() => expect.unreachable('it was taken'))])
  void forwarder.incoming(link, { frame: frame(ID), caller: caller(device.did), signal })
  expect((await client.read())?.tag).toBe(TAG.incoming)
})

test('a connection is for a forward that is there; whoever leaves ends it in order', async () => {
  const { forwarder, gone, over, forward, opened } = await held(false)
  const [, near] = pair()
  const { signal } = new AbortController()
  await expect(forwarder.carry({ forward: 'ff'.repeat(16) }, near, { signal })).rejects.toMatchObject({ code: 'NO_SUCH_FORWARD' })
  gone.abort()
  for (let frame = await opened[0]?.read(); frame !== undefined; frame = await opened[0]?.read()) expect(frame.tag).toBe(TAG.open)
  await opened[0]?.end()
  await over
  await expect(forwarder.carry({ forward }, near, { signal })).rejects.toMatchObject({ code: 'NO_SUCH_FORWARD' })
})

/** One connection that has come about, with the test at both ends of it. */
async function carried() {
  const { forwarder, opened, forward } = await held(false)
  const [client, near] = pair()
  void forwarder.carry({ forward }, near, { signal: new AbortController().signal })
  await settled()
  const far = opened[1] ?? expect.unreachable('no stream was opened')
  expect((await far.read())?.tag).toBe(TAG.connect)
  await far.write(TAG.connected)
  expect((await client.read())?.tag).toBe(TAG.connected)
  return { client, far }
}

test('a client that sends more than its credit is cut, and costs no more memory than that', async () => {
  const { client, far } = await carried()
  for (let n = 0; n < 16; n++) void client.write(TAG.data, new Uint8Array(1 << 16))
  await settled()
  const toTheEnd = async (): Promise<void> => {
    for (let frame = await far.read(); frame !== undefined; frame = await far.read()) expect(frame.tag).toBe(TAG.data)
  }
  const cut = expect(toTheEnd()).rejects.toThrow()
  await Promise.race([cut, settled().then(() => expect.unreachable('it was not cut'))])
})

test('nothing more comes to a client that gives no credit, and the rest when it does', async () => {
  const { client, far } = await carried()
  for (let n = 0; n < 8; n++) void far.write(TAG.data, new Uint8Array(1 << 16))
  void far.write(TAG.ended, encode({ why: 'closed', bytesIn: 0, bytesOut: 8 << 16, connections: 1 }))
  const tags: (number | undefined)[] = []
  const next = async (): Promise<void> => void tags.push((await client.read())?.tag)
  for (let n = 0; n < 4; n++) await next()
  const fifth = next()
  await settled()
  expect(tags, 'the window is full').toEqual(Array(4).fill(TAG.data))
  await client.write(LOCAL_TAG.credit, Buffer.from(JSON.stringify({ bytes: 4 << 16 })))
  await fifth
  for (let n = 0; n < 4; n++) await next()
  expect(tags.slice(4)).toEqual([...Array(4).fill(TAG.data), TAG.ended])
})
