import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf, have, missing, recordId } from '../../../src/registry/records.ts'

type Set = readonly (readonly [string, Uint8Array])[]
const record = fc.uint8Array({ minLength: 1, maxLength: 40 })
const records: fc.Arbitrary<Set> = fc
  .uniqueArray(record, { maxLength: 40, selector: (bytes) => Buffer.from(bytes).toString('hex') })
  .map((all) => all.map((bytes) => [recordId(bytes), bytes] as const))
const bounds = fc.record({ prefixBytes: fc.constantFrom(4, 8, 32), maxRecords: fc.integer({ min: 1, max: 10 }), maxBytes: fc.integer({ min: 40, max: 200 }) })
const split = records.chain((all) => fc.tuple(fc.constant(all), fc.subarray([...all])))

test('a page holds only what the other side lacks, within its bounds, and says truly whether there is more', async () => {
  await fc.assert(
    fc.property(split, bounds, ([all, held], o) => {
      const page = missing(all, have(held, o.prefixBytes), o)
      const lacking = all.filter((one) => !held.includes(one)).map(([, bytes]) => bytes)
      expect(page.records).toEqual(lacking.slice(0, page.records.length))
      expect(page.more).toBe(page.records.length < lacking.length)
      expect(page.records.length).toBeLessThanOrEqual(o.maxRecords)
      expect(page.records.reduce((sum, bytes) => sum + bytes.length, 0)).toBeLessThanOrEqual(o.maxBytes)
      if (lacking.length > 0) expect(page.records.length).toBeGreaterThan(0)
    }),
  )
})

test('asking page after page brings the whole set, each record once', async () => {
  await fc.assert(
    fc.property(split, bounds, ([all, held], o) => {
      const got = new Map(held.map(([id, bytes]) => [id, bytes]))
      for (let page = 0; page <= all.length; page++) {
        const answer = missing(all, have(got, o.prefixBytes), o)
        for (const bytes of answer.records) {
          expect(got.has(recordId(bytes))).toBe(false)
          got.set(recordId(bytes), bytes)
        }
        if (!answer.more) break
      }
      expect(digestOf(got.keys())).toEqual(digestOf(all.map(([id]) => id)))
    }),
  )
})

test('equal digests mean equal sets, in whatever order', async () => {
  await fc.assert(
    fc.property(records, records, (a, b) => {
      const ids = (set: Set): string[] => set.map(([id]) => id)
      expect(digestOf(ids(a))).toEqual(digestOf(ids(a).reverse()))
      const same = [...ids(a)].sort().join() === [...ids(b)].sort().join()
      expect(Buffer.compare(digestOf(ids(a)), digestOf(ids(b))) === 0).toBe(same)
    }),
  )
})

test('a list of held ids that is cut in the middle of one is read up to there', () => {
  const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)].map((bytes) => [recordId(bytes), bytes] as const)
  if (a === undefined || b === undefined) throw new TypeError('two records')
  const o = { prefixBytes: 8, maxRecords: 9, maxBytes: 99 }
  expect(missing([a, b], have([a, b], 8).subarray(0, 15), o).records).toEqual([b[1]])
})
