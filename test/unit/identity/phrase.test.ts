/** Recovery words: 24 words that stand for one key of one mesh, and nothing that is nearly right. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { phraseOf, readPhrase } from '../../../src/identity/phrase.ts'

const mesh = new Uint8Array(32).fill(1)
const words = phraseOf(new Uint8Array(32).fill(5))

test('words are read back as the key they stand for, however they are typed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.constantFrom(' ', '\n', '  ', '\t'), (entropy, gap) => {
      const read = readPhrase(`${gap}${phraseOf(entropy).join(gap).toUpperCase()}${gap}`, mesh)
      const again = readPhrase(phraseOf(entropy).join(' '), mesh)
      expect(read.ok && again.ok && read.identity.did === again.identity.did).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test('the same words open one mesh only', () => {
  const [here, there] = [readPhrase(words.join(' '), mesh), readPhrase(words.join(' '), new Uint8Array(32))]
  expect(here.ok && there.ok && here.identity.did !== there.identity.did).toBe(true)
})

test.each<[string, readonly string[], string]>([
  ['too few', words.slice(1), '24 words, and 23'],
  ['too many', [...words, 'abandon'], '24 words, and 25'],
  ['one that is no word', ['errand', ...words.slice(1)], 'word 1 is none of the list'],
  ['another word', [words[0] === 'zoo' ? 'able' : 'zoo', ...words.slice(1)], 'another one'],
  ['nothing', [], 'and 0 were typed'],
])('%s is refused, and no word is said again', (_name, typed, why) => {
  const read = readPhrase(typed.join(' '), mesh)
  expect(read).toEqual({ ok: false, why: expect.stringContaining(why) })
})

test('fewer random bytes than the words stand for are refused', () => {
  expect(() => phraseOf(new Uint8Array(16))).toThrow(TypeError)
})
