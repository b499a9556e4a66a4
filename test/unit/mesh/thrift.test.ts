/** What libp2p is kept from doing, and that nothing is missing without it. */
import { once } from 'node:events'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterEach, expect, test } from 'vitest'
import { systemRandom } from '../../../src/base/clock.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { type Host, startHost } from '../../../src/mesh/host.ts'
import { byteLink } from '../../../src/mesh/streams.ts'
import { socketOf } from '../../../src/mesh/tcp.ts'
import { type FrameHeader, LateWindows } from '../../../src/mesh/thrift.ts'

const MESH = new Uint8Array(32).fill(7)
const PROTOCOL = '/test/thrift/1'
const HALF_WINDOW = 1 << 17
const hosts: Host[] = []

afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.stop()))
})

async function host(): Promise<Host> {
  const identity = new Identity(systemRandom(32))
  const started = await startHost({ identity, meshId: MESH, listen: ['/ip4/127.0.0.1/tcp/0'], version: 'test', mdns: false, dht: false }, async () => undefined)
  hosts.push(started)
  return started
}

const update = (streamID: number, length: number, flag = 0): FrameHeader => ({ type: 1, flag, streamID, length })

test('whatever is read in whatever pieces: the sender is never short of more than half a window, and no byte is promised twice', () => {
  const flags = fc.constantFrom(0, 0, 0, 0, 1, 2, 4)
  fc.assert(
    fc.property(fc.array(fc.record({ stream: fc.integer({ min: 1, max: 3 }), length: fc.nat(200_000), flag: flags })), (steps) => {
      const late = new LateWindows()
      const owed = new Map<number, number>()
      for (const { stream, length, flag } of steps) {
        const sent = late.pass(update(stream, length, flag))
        const left = (owed.get(stream) ?? 0) + length - (sent?.length ?? 0)
        expect(left).toBeGreaterThanOrEqual(0)
        expect(left).toBeLessThan(HALF_WINDOW)
        if (sent !== undefined) expect({ flag: sent.flag, left }).toEqual({ flag, left: 0 })
        owed.set(stream, left)
      }
      for (const stream of owed.keys()) late.forget(stream)
      expect(late.size).toBe(0)
    }),
  )
})

test('data, pings and resets go at once and as they are; a reset settles what was owed', () => {
  const late = new LateWindows()
  const data: FrameHeader = { type: 0, flag: 0, streamID: 1, length: 5 }
  const ping: FrameHeader = { type: 2, flag: 1, streamID: 0, length: 77 }
  expect(late.pass(update(1, 10))).toBeUndefined()
  expect(late.pass(data)).toBe(data)
  expect(late.pass(ping)).toBe(ping)
  expect(late.pass(update(1, 0, 8))).toEqual(update(1, 0, 8))
  expect(late.size).toBe(0)
})

test('a hundred small messages are read without a word on windows', async () => {
  const [a, b] = [await host(), await host()]
  const arrived = new Promise<number>((resolve) => {
    void b.handle(PROTOCOL, async (stream) => {
      let bytes = 0
      for await (const chunk of byteLink(stream).source) {
        bytes += chunk.byteLength
        if (bytes === 6_400) resolve(bytes)
      }
    })
  })
  const near = byteLink(await a.dialProtocol(b.getMultiaddrs(), PROTOCOL))
  const [connection] = b.getConnections()
  const socket = connection === undefined ? undefined : socketOf(connection)
  if (socket === undefined) expect.unreachable('no socket')
  await near.write(new Uint8ArrayList(new Uint8Array(64)))
  await once(socket, 'data') // the stream is known at both ends
  const before = socket.bytesWritten
  for (let i = 1; i < 100; i++) {
    await near.write(new Uint8ArrayList(new Uint8Array(64)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await arrived).toBe(6_400)
  expect(socket.bytesWritten - before).toBeLessThan(300) // an update a message were 3,000
})

test('a peer that was noted and then deleted is noted again', async () => {
  const [a, b] = [await host(), await host()]
  const { peerStore } = a
  await peerStore.merge(b.peerId, { protocols: ['/one/1'] })
  await peerStore.merge(b.peerId, { protocols: ['/one/1'] })
  expect((await peerStore.get(b.peerId)).protocols).toEqual(['/one/1'])
  await peerStore.delete(b.peerId)
  await peerStore.merge(b.peerId, { protocols: ['/one/1'] })
  expect((await peerStore.get(b.peerId)).protocols).toEqual(['/one/1'])
  await peerStore.patch(b.peerId, { protocols: ['/two/1'] })
  await peerStore.merge(b.peerId, { protocols: ['/one/1'] })
  expect(new Set((await peerStore.get(b.peerId)).protocols)).toEqual(new Set(['/one/1', '/two/1']))
})
