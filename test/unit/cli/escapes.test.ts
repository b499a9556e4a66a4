/** Every key goes to the device, but for what is said to errand itself at the beginning of a line. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Escapes } from '../../../src/cli/escapes.ts'

/** All that goes on, and the first thing that was said, of chunks. */
function typed(...chunks: string[]): [string, string | undefined] {
  const escapes = new Escapes()
  let out = ''
  for (const chunk of chunks) {
    const { bytes, said } = escapes.push(Buffer.from(chunk, 'latin1'))
    out += Buffer.from(bytes).toString('latin1')
    if (said !== undefined) return [out, said]
  }
  return [out, undefined]
}

test('~ at the beginning of a line, and nowhere else, begins a word to errand', () => {
  expect(typed('~.')).toEqual(['', 'hang-up'])
  expect(typed('ls\r~.')).toEqual(['ls\r', 'hang-up'])
  expect(typed('ls\r', '~', '?')).toEqual(['ls\r', 'help'])
  expect(typed('ls ~.\r')).toEqual(['ls ~.\r', undefined])
  expect(typed('~~.')).toEqual(['~.', undefined])
  expect(typed('~', 'x~.')).toEqual(['~x~.', undefined])
  expect(typed('\r~\r~.'), 'an escaped Enter is no Enter').toEqual(['\r~\r~.', undefined])
})

test('however it is cut, the same goes on; and what has no ~ goes on as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('~', '.', '?', '\r', 'a'), maxLength: 12 }), (text) => {
      expect(typed(...text)).toEqual(typed(text))
      const plain = text.replaceAll('~', 'b')
      expect(typed(plain)).toEqual([plain, undefined])
    }),
  )
})
