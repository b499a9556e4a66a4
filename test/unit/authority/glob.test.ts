import fc from 'fast-check'
import { expect, test } from 'vitest'
import { like } from '../../../src/authority/glob.ts'
import { slowLike } from './world.ts'

test('the examples of the specification for like', () => {
  const pattern = 'Alice\\*, Bob*, Carol.'
  for (const text of ['Alice*, Bob, Carol.', 'Alice*, Bob, Dan, Erin, Carol.', 'Alice*, Bob  , Carol.', 'Alice*, Bob*, Carol.'])
    expect(like(text, pattern)).toBe(true)
  for (const text of ['Alice*, Bob, Carol', 'Alice*, Bob*, Carol!', 'Alice, Bob, Carol.', 'Alice Cooper, Bob, Carol.', ' Alice*, Bob, Carol. '])
    expect(like(text, pattern)).toBe(false)
})

test('a star spans lines, and nothing else is special', () => {
  expect(like('a\nb', 'a*b')).toBe(true)
  expect(like('git\nrm', 'git')).toBe(false)
  expect(like('abc', 'a.c')).toBe(false)
  expect(like('a\\b', 'a\\b')).toBe(true)
})

test('like agrees with trying everything', () => {
  const some = (alphabet: string, max: number): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...alphabet), { maxLength: max }).map((chars) => chars.join(''))
  fc.assert(
    fc.property(some('ab*\\', 8), some('aab**\\', 7), (text, pattern) => like(text, pattern) === slowLike(text, pattern)),
    { numRuns: 3_000 },
  )
})

test('a glob bomb of 13 stars over 4,000 characters takes less than 10 ms', () => {
  const text = 'a'.repeat(4_000)
  const bombs = [`${'*a'.repeat(13)}*b`, `*${'a'.repeat(500)}b*${'a'.repeat(400)}c*`, `${'*aab'.repeat(13)}`]
  const took = Array.from({ length: 5 }, () => {
    const start = performance.now()
    for (const bomb of bombs) expect(like(text, bomb)).toBe(false)
    return performance.now() - start
  })
  expect(Math.min(...took)).toBeLessThan(10)
})
