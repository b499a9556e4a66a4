/** Commands for people who answer for them: no two look alike, and none of them speaks to the terminal. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { quotedCommand, spelledOut } from '../../../src/cli/quoted.ts'

test.each([
  [['make', 'test'], 'make test'],
  [['echo', 'a b', ''], "echo 'a b' ''"],
  [['echo', "it's"], "echo 'it'\\''s'"],
  [['echo', '\u001b[2J'], "echo $'\\e[2J'"],
  [['r\u043c', '-rf'], "$'r\\u043c' -rf"],
  [['echo', 'a\u202eb\u200b'], "echo $'a\\u202eb\\u200b'"],
  [['echo', '\ud83d\ude00'], "echo $'\\U0001f600'"],
])('%j is shown as %s', (argv, shown) => expect(quotedCommand(argv)).toBe(shown))

test('whatever is in it, only printable ASCII is shown, and two commands never look the same', () => {
  const argv = fc.array(fc.string({ unit: 'binary', maxLength: 6 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(argv, argv, (a, b) => {
      expect(quotedCommand(a)).toMatch(/^[\x20-\x7e]*$/)
      if (JSON.stringify(a) !== JSON.stringify(b)) expect(quotedCommand(a)).not.toBe(quotedCommand(b))
    }),
  )
  expect(spelledOut('to print\u001b[2J\n')).toBe('to print\\e[2J\\n')
})
