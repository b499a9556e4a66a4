/** Buffers that wait for V8's collector are asked for before they are many, and not more often than it is worth. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { reclaiming } from '../../../src/exec/reclaim.ts'

const MIB = 1 << 20

/** Of what passes a part outlives its use; some bytes are in use for good. */
class Heap {
  collections = 0
  most = 0
  #dead = 0

  constructor(
    private readonly inUse: number,
    private readonly part: number,
  ) {}

  held(): number {
    return this.inUse + this.#dead
  }

  collect(): void {
    this.collections++
    this.#dead = 0
  }

  passes(bytes: number): void {
    this.#dead += bytes * this.part
    this.most = Math.max(this.most, this.held())
  }
}

const reclaimOf = (heap: Heap): ((bytes: number) => void) =>
  reclaiming(
    () => heap.held(),
    () => heap.collect(),
  )

test('whatever part of a stream lives too long: what is held stays near the bound, or near twice what is in use', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 100 * MIB }), (part, inUse) => {
      const heap = new Heap(inUse, part)
      const reclaim = reclaimOf(heap)
      for (let sent = 0; sent < 1_000; sent++) {
        heap.passes(MIB)
        reclaim(MIB)
      }
      expect(heap.most).toBeLessThanOrEqual(Math.max(24 * MIB, 2 * inUse) + 17 * MIB)
    }),
    { numRuns: 50 },
  )
})

test('nothing is collected where nothing is left behind, also when much is in use', () => {
  for (const inUse of [0, 20 * MIB]) {
    const heap = new Heap(inUse, 0)
    const reclaim = reclaimOf(heap)
    for (let i = 0; i < 10_000; i++) reclaim(MIB)
    expect(heap.collections).toBe(0)
  }
})

test('a process that lets go of its buffers has them no more', () => {
  const reclaim = reclaiming()
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 64; i++) reclaim(Buffer.alloc(MIB).length)
  // What is in use in this process, by whatever else was loaded, counts as it says: 24 MiB, or twice that; looked at every 4 MiB.
  expect(process.memoryUsage().arrayBuffers).toBeLessThan(Math.max(24 * MIB, 2 * before) + 5 * MIB)
})
