/** What libp2p is kept from doing, and that nothing is missing without it. */
import { once } from 'node:events'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterEach, expect, test } from 'vitest'
import { byteLink } from '../../../src/mesh/streams.ts'
import { socketOf } from '../../../src/mesh/tcp.ts'
import { type FrameHeader, LateWindows } from '../../../src/mesh/thrift.ts'
import { host, stopHosts } from './hosts.ts'

const PROTOCOL = '/test/thrift/1'
const HALF_WINDOW = 1 << 17

afterEach(stopHosts)

const update = (streamID: number, length: number, flag = 0): FrameHeader => ({ type: 1, flag, streamID, length })

test('whatever is read in whatever pieces: the sender waits for no more than half a window, and no byte is promised twice', () => {
  const step = fc.record({ stream: fc.integer({ min: 1, max: 3 }), read: fc.nat(200_000), grown: fc.nat(1 << 20), flag: fc.constantFrom(0, 0, 0, 0, 1, 2, 4) })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const late = new LateWindows()
      for (const stream of [1, 2, 3]) late.opened(stream)
      const owed = new Map<number, { read: number; bytes: number }>()
      for (const { stream, read, grown, flag } of steps) {
        late.came({ type: 0, flag: 0, streamID: stream, length: read })
        const sent = late.pass(update(stream, read + grown, flag))
        const before = owed.get(stream) ?? { read: 0, bytes: 0 }
        const now = { read: before.read + read, bytes: before.bytes + read + grown }
        expect(sent).toEqual(now.read >= HALF_WINDOW || flag !== 0 ? update(stream, now.bytes, flag) : undefined)
        owed.set(stream, sent === undefined ? now : { read: 0, bytes: 0 })
      }
    }),
  )
})

test('data, pings and resets go at once and as they are, and so does everything of a stream that is not open', () => {
  const late = new LateWindows()
  late.opened(1)
  const data: FrameHeader = { type: 0, flag: 0, streamID: 1, length: 5 }
  const ping: FrameHeader = { type: 2, flag: 1, streamID: 0, length: 77 }
  expect(late.pass(update(1, 10))).toBeUndefined()
  for (const frame of [data, ping, update(1, 0, 8), update(2, 10)]) expect(late.pass(frame)).toBe(frame)
})

test('nothing is remembered of streams that somebody names and that are not there, or that are over', () => {
  const late = new LateWindows()
  late.opened(1)
  for (let id = 1; id < 1_000; id++) late.came({ type: 0, flag: 0, streamID: id, length: 1 })
  expect(late.size).toBe(1)
  late.closed(1)
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
