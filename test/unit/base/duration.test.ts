import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDuration, sayAbout, sayDuration } from '../../../src/base/duration.ts'

test('a duration that is said is read back within its smallest unit', async () => {
  await fc.assert(
    fc.property(fc.integer({ min: 1_000, max: 3_650 * 86_400_000 }), (ms) => {
      const parts = sayDuration(ms).match(/\d+[a-z]+/g) ?? []
      const unit = parts.at(-1)?.replace(/\d+/, '1') ?? ''
      const sum = parts.map(parseDuration).reduce((a, b) => a + b, 0)
      expect(parts.length).toBeLessThanOrEqual(2)
      expect(Math.abs(ms - sum)).toBeLessThan(Math.max(parseDuration(unit), 1_000) + 500)
    }),
  )
})

test.each([
  ['90s', 90_000],
  ['10m', 600_000],
  ['8h', 28_800_000],
  ['2d', 172_800_000],
  ['250ms', 250],
  ['1.5h', 5_400_000],
  [' 5s ', 5_000],
])('%s is %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

test.each(['', '5', 's', '-5s', '5 s', '5w', '1e3s', '0s', '0.1ms', '3651d', '1h30m', 'NaNs', '٥s'])('%j is no duration', (text) => {
  expect(() => parseDuration(text)).toThrowError(expect.objectContaining({ code: 'BAD_DURATION', hint: expect.stringContaining('90s') }))
})

test.each([
  [0, '0ms'],
  [999, '999ms'],
  [45_000, '45s'],
  [28_680_000, '7h58m'],
  [172_800_000, '2d'],
  [86_460_000, '1d'],
])('%i ms is said %s', (ms, text) => expect(sayDuration(ms)).toBe(text))

test.each([
  [28_799_000, '8h'],
  [28_680_000, '7h58m'],
  [3_598_500, '1h'],
  [600_900, '10m'],
  [119_600, '2m'],
  [45_400, '45s'],
  [3, '1s'],
  [172_799_000, '2d'],
])('%i ms that are left are said %s', (ms, text) => expect(sayAbout(ms)).toBe(text))
