import * as fc from 'fast-check'
import * as lp from 'it-length-prefixed'
import { Uint8ArrayList } from 'uint8arraylist'
import { expect, test } from 'vitest'
import { FrameLink } from '../../../src/base/frames.ts'
import { memoryLinks } from '../../../src/base/memory-link.ts'
import { settled } from './hand-clock.ts'

const MAX = 1_024
const frame = fc.record({ tag: fc.integer({ min: 0, max: 255 }), payload: fc.uint8Array({ maxLength: 300 }) })

/** A link that hands out these chunks and then ends, or says that it was read too far. */
function reading(chunks: readonly Uint8Array[]): FrameLink {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  return new FrameLink({ source: source(), write: () => undefined, end: async () => undefined, abort: () => undefined }, MAX)
}

async function written(frames: readonly { tag: number; payload: Uint8Array }[]): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  const link = new FrameLink(
    { source: (async function* () {})(), write: (bytes) => void chunks.push(bytes.slice()), end: async () => undefined, abort: () => undefined },
    MAX,
  )
  for (const { tag, payload } of frames) await link.write(tag, payload)
  return Buffer.concat(chunks)
}

test('frames come out as they went in, however the bytes were cut on the way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }), async (frames, cuts) => {
      const bytes = await written(frames)
      const chunks: Uint8Array[] = []
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = at + (cuts[i % cuts.length] ?? 1)
        chunks.push(bytes.subarray(at, end))
        at = end
      }
      const link = reading(chunks)
      for (const { tag, payload } of frames) {
        const read = await link.read()
        expect(read?.tag).toBe(tag)
        expect(Buffer.compare(read?.payload.subarray() ?? new Uint8Array(), payload)).toBe(0)
      }
      expect(await link.read()).toBeUndefined()
    }),
  )
})

test('a frame above the cap is refused by its length alone, before its bytes have come', async () => {
  const head = lp.encode.single(new Uint8Array(MAX + 1)).subarray(0, 3)
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield head
    await new Promise(() => undefined) // the bytes never come
  }
  const link = new FrameLink({ source: source(), write: () => undefined, end: async () => undefined, abort: () => undefined }, MAX)
  await expect(link.read()).rejects.toMatchObject({ code: 'BAD_FRAME' })
})

test('a frame as long as the cap is taken', async () => {
  const bytes = await written([{ tag: 1, payload: new Uint8Array(MAX - 1) }])
  expect((await reading([bytes]).read())?.payload.byteLength).toBe(MAX - 1)
})

test.each([
  ['a frame without a tag', Uint8Array.of(0)],
  ['a frame that is cut', Uint8Array.of(5, 1, 2)],
  ['a length that never ends', new Uint8Array(12).fill(0xff)],
])('%s is refused', async (_name, bytes) => {
  await expect(reading([bytes]).read()).rejects.toMatchObject({ code: 'BAD_FRAME' })
})

test('a writer to a memory link waits when the reader is behind, and goes on when it has read', async () => {
  const [near, far] = memoryLinks()
  const waits = near.write(new Uint8ArrayList(new Uint8Array(1 << 18)))
  let resumed = false
  void Promise.resolve(waits).then(() => (resumed = true))
  await settled()
  expect(waits).toBeInstanceOf(Promise)
  expect(resumed).toBe(false)
  const source = far.source[Symbol.asyncIterator]()
  await source.next()
  void source.next() // asks for more: the first part is done with
  await settled()
  expect(resumed).toBe(true)
  expect(near.write(new Uint8ArrayList(new Uint8Array(10)))).toBeUndefined()
})

test('everybody who waits to write goes on when the reader has read: stdout and stderr share one link', async () => {
  const [near, far] = memoryLinks()
  const full = (): Promise<void> | undefined => near.write(new Uint8ArrayList(new Uint8Array(1 << 18)))
  const writers = Promise.all([full(), full(), full()])
  const source = far.source[Symbol.asyncIterator]()
  await source.next()
  void source.next()
  await writers
})

test('whoever writes to a memory link that nobody reads any more does not wait', async () => {
  const [near, far] = memoryLinks()
  const waits = near.write(new Uint8ArrayList(new Uint8Array(1 << 18).fill(0xff)))
  expect(waits).toBeInstanceOf(Promise)
  await expect(new FrameLink(far, MAX).read()).rejects.toMatchObject({ code: 'BAD_FRAME' })
  await waits
  expect(near.write(new Uint8ArrayList(new Uint8Array(1 << 18)))).toBeUndefined()
})

test('half a memory link closes and the other half goes on; what was written before the end arrives', async () => {
  const [near, far] = memoryLinks()
  void near.write(new Uint8ArrayList(Uint8Array.of(1)))
  await near.end()
  void far.write(new Uint8ArrayList(Uint8Array.of(2)))
  const [there, back] = [[] as number[], near.source[Symbol.asyncIterator]()]
  for await (const chunk of far.source) there.push(...chunk.subarray())
  expect(there).toEqual([1])
  expect((await back.next()).value?.subarray()).toEqual(Uint8Array.of(2))
})

test('an aborted memory link fails on both ends, for who reads, who writes and who waits', async () => {
  const [near, far] = memoryLinks()
  const reading = far.source[Symbol.asyncIterator]().next()
  const waiting = Promise.resolve(near.write(new Uint8ArrayList(new Uint8Array(1 << 18))))
  await reading
  near.abort(new Error('cable pulled'))
  await waiting
  expect(() => far.write(new Uint8ArrayList(Uint8Array.of(1)))).toThrow('cable pulled')
  await expect(near.source[Symbol.asyncIterator]().next()).rejects.toThrow('cable pulled')
})
