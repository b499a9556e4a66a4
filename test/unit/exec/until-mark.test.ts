/** Cut anywhere, a stream that ends with a mark gives what was before the mark, and nothing behind it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UntilMark } from '../../../src/exec/until-mark.ts'

const mark = Buffer.from('ABAB')

test('whatever is before the mark, however it is cut, comes out whole and in order', () => {
  const letters = fc.string({ unit: fc.constantFrom('A', 'B', 'C'), maxLength: 40 }).filter((text) => !`${text}ABAB`.slice(0, -1).includes('ABAB'))
  fc.assert(
    fc.property(letters, fc.string({ maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (before, behind, cuts) => {
      const until = new UntilMark(mark)
      const all = Buffer.from(`${before}ABAB${behind}`)
      let out = ''
      let isOver = false
      for (let at = 0, i = 0; at < all.length; i++) {
        const next = at + (cuts[i % cuts.length] ?? 1)
        const seen = until.push(all.subarray(at, next))
        out += Buffer.from(seen.bytes).toString()
        isOver = seen.isOver
        at = next
      }
      expect([out, isOver]).toEqual([before, true])
    }),
  )
})

test('without a mark nothing but what may be its beginning is held back', () => {
  const until = new UntilMark(mark)
  expect(Buffer.from(until.push(Buffer.from('0123456')).bytes).toString()).toBe('0123')
})
