import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseSize, saySize } from '../../../src/base/size.ts'

test.each([
  ['64MiB', 67_108_864],
  ['64 MiB', 67_108_864],
  ['1.5GiB', 1_610_612_736],
  ['500kB', 500_000],
  ['2GB', 2_000_000_000],
  ['1TiB', 1_099_511_627_776],
  ['17', 17],
  ['17B', 17],
])('%s is %d bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes))

test.each(['', 'MiB', '-1', '1e3', '64mib', '1 XB', '9999999TiB', 'Infinity', '1,5MiB'])('%j is no size', (text) => {
  expect(() => parseSize(text)).toThrowError(expect.objectContaining({ code: 'BAD_SIZE', hint: expect.stringContaining('64MiB') }))
})

test('what is said of a size is read as the same size', async () => {
  await fc.assert(
    fc.property(fc.nat({ max: 2 ** 45 }), (bytes) => {
      expect(parseSize(saySize(bytes))).toBe(bytes)
    }),
  )
  expect(saySize(67_108_864)).toBe('64MiB')
  expect(saySize(1_000)).toBe('1000B')
})
