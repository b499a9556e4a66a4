/** Byte links over real libp2p streams: whole under back pressure, and honest about how they end. */
import { createHash } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterEach, expect, test } from 'vitest'
import { byteLink } from '../../../src/mesh/streams.ts'
import { host, stopHosts } from './hosts.ts'

const PROTOCOL = '/test/stream/1'

afterEach(stopHosts)

/** Two ends of one stream between two hosts. */
async function ends(): Promise<{ near: Stream; far: Stream }> {
  const [a, b] = [await host(), await host()]
  const far = new Promise<Stream>((resolve) => void b.handle(PROTOCOL, (stream) => resolve(stream)))
  const near = await a.dialProtocol(b.getMultiaddrs(), PROTOCOL)
  return { near, far: await far }
}

async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve))
}

test('a reader slower than the writer gets every byte, far beyond the window', async () => {
  const { near, far } = await ends()
  const [writer, reader] = [byteLink(near), byteLink(far)]
  const sent = createHash('sha256')
  const writing = (async () => {
    for (let i = 0; i < 1_024; i++) {
      const chunk = Buffer.alloc(65_536, i)
      sent.update(chunk)
      await writer.write(new Uint8ArrayList(chunk))
    }
    await writer.end()
  })()
  const got = createHash('sha256')
  let bytes = 0
  for await (const chunk of reader.source) {
    got.update(chunk.subarray())
    bytes += chunk.byteLength
    await turns(200) // slower than the wire, by turns of the loop and not by time
  }
  await writing
  expect(bytes).toBe(1_024 * 65_536)
  expect(got.digest('hex')).toBe(sent.digest('hex'))
})

test('a reader that stops holds the writer, with no more than the windows in memory', async () => {
  const { near, far } = await ends()
  const writer = byteLink(near)
  byteLink(far) // takes the stream over and never reads
  let written = 0
  let isHeld = false
  while (!isHeld && written < 64 << 20) {
    const wait = writer.write(new Uint8ArrayList(Buffer.alloc(65_536)))
    written += 65_536
    if (wait !== undefined) isHeld = await Promise.race([wait.then(() => false), turns(2_000).then(() => true)])
  }
  expect(isHeld).toBe(true)
  expect(written).toBeLessThan(16 << 20)
})

test('a reset stream ends in an error, after what had arrived was read', async () => {
  const { near, far } = await ends()
  const reader = byteLink(far)
  const writer = byteLink(near)
  await writer.write(new Uint8ArrayList(Buffer.from('before')))
  const iterator = reader.source[Symbol.asyncIterator]()
  expect(Buffer.from((await iterator.next()).value?.subarray() ?? []).toString()).toBe('before')
  writer.abort(new Error('gone'))
  await expect(iterator.next()).rejects.toMatchObject({ code: 'LINK_CLOSED' })
})
