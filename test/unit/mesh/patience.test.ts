/** How many refusals one peer gets: so many at once, then so many a second, whatever it does. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Patience } from '../../../src/mesh/patience.ts'
import { HandClock } from '../base/hand-clock.ts'

const AT_ONCE = 50
const PER_SECOND = 10

test('whenever it asks, a peer is looked at fifty times and then ten times a second', () => {
  const asking = fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 3_000 }), asks: fc.integer({ min: 1, max: 80 }) }), { maxLength: 40 })
  fc.assert(
    fc.property(asking, (turns) => {
      const clock = new HandClock()
      const patience = new Patience(clock)
      let lookedAt = 0
      for (const { waitMs, asks } of turns) {
        clock.advance(waitMs)
        for (let n = 0; n < asks; n++) {
          if (patience.left('mallory') < 1) continue
          patience.spend('mallory', 1)
          lookedAt++
        }
      }
      expect(lookedAt).toBeLessThanOrEqual(AT_ONCE + (clock.monotonic() * PER_SECOND) / 1_000)
    }),
  )
})

test('who stops is heard again: within the time that is said, and within 35 seconds whatever it did', () => {
  const clock = new HandClock()
  const patience = new Patience(clock)
  patience.spend('mallory', AT_ONCE + 20)
  const waitMs = patience.waitMs('mallory')
  clock.advance(waitMs - 1)
  expect(patience.left('mallory')).toBeLessThan(1)
  clock.advance(1)
  expect(patience.left('mallory')).toBeCloseTo(1)
  patience.spend('mallory', 1_000_000)
  clock.advance(35_000)
  expect(patience.left('mallory')).toBe(AT_ONCE)
})

test('peers have a patience each, and there is an end to how many are remembered: who owes the least lately goes first', () => {
  const clock = new HandClock()
  const patience = new Patience(clock)
  for (let n = 0; n < 4_096; n++) patience.spend(`quiet ${n}`, 1)
  clock.advance(60_000)
  patience.spend('mallory', 300)
  expect(patience.size).toBe(1)
  for (let n = 0; n < 10_000; n++) patience.spend(`busy ${n}`, 1)
  expect(patience.size).toBe(4_096)
  expect(patience.left('busy 9999')).toBe(AT_ONCE - 1)
})
