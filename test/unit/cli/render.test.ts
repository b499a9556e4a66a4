import { expect, test } from 'vitest'
import { ErrandError } from '../../../src/base/errors.ts'
import { dataOf } from '../../../src/cli/commands/run.ts'
import { exitCodeOfError, exitCodeOfOutcome } from '../../../src/cli/exitcodes.ts'
import { clean, errorText, paintFor, sayCommand, table } from '../../../src/cli/render.ts'
import { timeOf } from '../../../src/cli/values.ts'

test('text from elsewhere can neither move the cursor nor turn or hide text', () => {
  expect(clean('a\u001b[2Jb\u0007c\u009bd\re\nf\u202eg\u200bh')).toBe('a[2Jbcde fgh')
  expect(clean('zoë 東京 👩‍🔧'.normalize())).toContain('zoë 東京')
})

test('columns stand under their heads, whatever names contain', () => {
  expect(
    table(
      ['NAME', 'STATE'],
      [
        ['gpu1', 'online'],
        ['a\u001b[31m-long-one', 'offline'],
      ],
    ),
  ).toBe('NAME            STATE\ngpu1            online\na[31m-long-one  offline')
})

test('colours are for terminals whose owner wants them', () => {
  expect(paintFor({ isTTY: true }, {}).good('x')).toBe('\u001b[32mx\u001b[0m')
  for (const [stream, env] of [
    [{ isTTY: true }, { NO_COLOR: '1' }],
    [{}, {}],
    [{ isTTY: true }, { TERM: 'dumb' }],
  ] as const)
    expect(paintFor(stream, env).good('x')).toBe('x')
})

test('a command is shown so that it could be typed again', () => {
  expect(sayCommand(['rm', '-rf', 'a b', "it's", ''])).toBe("rm -rf 'a b' 'it'\\''s' ''")
})

test('an error of the device names it; an error of ours does not', () => {
  expect(errorText(new ErrandError('DENIED', 'no grant'), 'gpu1')).toBe('errand: denied on gpu1: no grant\n')
  expect(errorText(new ErrandError('COMMAND_NOT_FOUND', 'no foo', { fields: { source: 'device' } }), 'gpu1')).toBe('errand: gpu1: no foo\n')
  expect(errorText(new ErrandError('NO_ROUTE', 'away', { hint: 'wait' }), 'gpu1')).toBe('errand: away\nhint: wait\n')
})

test("an outcome's own code counts only when nothing else ended the command", () => {
  expect(exitCodeOfOutcome({ why: 'exit', exitCode: 124, signal: null })).toBe(124)
  expect(exitCodeOfOutcome({ why: 'timeout', exitCode: 0, signal: null })).toBe(124)
  expect(exitCodeOfOutcome({ why: 'exit', exitCode: null, signal: 'SIGSEGV' })).toBe(139)
  expect(exitCodeOfOutcome({ why: 'exit', exitCode: null, signal: 'SIGWHAT' })).toBe(125)
  expect(exitCodeOfError('CANCELLED')).toBe(130)
  for (const code of ['BAD_RIGHT', 'BAD_NAME', 'BAD_SETTING']) expect(exitCodeOfError(code)).toBe(2)
  expect(exitCodeOfError('ANYTHING_ELSE')).toBe(125)
})

test('bytes that are text travel as text, also with a byte order mark; others lose nothing', () => {
  expect(dataOf(Buffer.from('\ufeffhé'))).toEqual({ text: '\ufeffhé' })
  expect(dataOf(Uint8Array.of(0xc3))).toEqual({ base64: 'ww==' })
})

test('a time is a date or how long ago', () => {
  const now = Date.parse('2026-01-02T00:00:00Z')
  expect(timeOf('2h', now)).toBe('2026-01-01T22:00:00.000Z')
  expect(timeOf('2026-01-01', now)).toBe('2026-01-01T00:00:00.000Z')
})
