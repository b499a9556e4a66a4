/** What a terminal is shown of many devices, and how their output is cut into lines. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Lines } from '../../../src/cli/many/lines.ts'
import { shownLine } from '../../../src/cli/many/shown.ts'

const ESC = '\u001b'

test.each([
  ['plain text\tstays', 'plain text\tstays'],
  [`${ESC}[31mred${ESC}[0m`, `${ESC}[31mred${ESC}[0m${ESC}[0m`],
  [`${ESC}[2J${ESC}[Hgone`, 'gone'],
  [`${ESC}]0;evil title\u0007after`, 'after'],
  [`${ESC}]52;c;Y2xpcA==${ESC}\\after`, 'after'],
  [`${ESC}]0;never ended`, ''],
  ['10 %\r20 %\r', '20 %'],
  ['bell\u0007 and back\b\b', 'bell and back'],
  ['\u009b2J\u009d0;t\u009cx', 'x'],
  [`${ESC}c${ESC}(0x`, 'x'],
  [`${ESC}`, ''],
  [`${ESC}[38;2;1;2;3`, ''],
])('%j is shown as %j', (line, shown) => {
  expect(shownLine(line)).toBe(shown)
})

test('whatever a device prints, nothing but colours and tabs is left of what speaks to a terminal', async () => {
  const pieces = fc.constantFrom(
    ESC,
    '[',
    ']',
    '0;',
    'm',
    'H',
    '2J',
    '\u0007',
    '\u009b',
    '\u009d',
    '\u009c',
    '\\',
    'P',
    '\r',
    '\n',
    'x',
    '38',
    '?25l',
    '\u0000',
  )
  await fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(pieces).map((all) => all.join('')),
      ),
      (line) => {
        const left = shownLine(line).replaceAll('\t', '')
        expect(
          left
            .split(ESC)
            .slice(1)
            .every((part) => /^\[[0-9;:]*m/.test(part)),
        ).toBe(true)
        expect(/\p{Cc}/u.test(left.replaceAll(ESC, ''))).toBe(false)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('lines come whole, however their bytes were cut; what never ends a line is cut as well', async () => {
  await fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (chunks) => {
      const lines = new Lines()
      const cut = chunks.flatMap((chunk) => lines.push(chunk))
      const rest = lines.rest()
      const all = Buffer.concat(chunks)
      const whole = [...cut.map((line) => Buffer.concat([line, Uint8Array.of(10)])), ...(rest === undefined ? [] : [rest])]
      expect(Buffer.concat(whole).equals(all)).toBe(true)
      for (const line of cut) expect(line.includes(10)).toBe(false)
    }),
  )
  const endless = new Lines()
  let cut = 0
  for (let n = 0; n < 64; n++) cut += endless.push(new Uint8Array(4_096).fill(97)).length
  expect(cut).toBe(3)
})
