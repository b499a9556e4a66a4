/** The drawing of a code, read back by a reader that is not ours. */
import { randomBytes } from 'node:crypto'
import { stripVTControlCharacters } from 'node:util'
import jsQr from 'jsqr'
import { expect, test } from 'vitest'
import { drawCode } from '../../../src/cli/commands/qr.ts'

const PIXELS = 4
/** Upper and lower half of a character, light where it is drawn. */
const HALVES: Readonly<Record<string, readonly [boolean, boolean]>> = { '█': [true, true], '▀': [true, false], '▄': [false, true], ' ': [false, false] }

/** What a camera sees of it. */
function photographed(drawn: string): { readonly data: Uint8ClampedArray; readonly side: number; readonly height: number } {
  const rows = drawn.split('\n').flatMap((line) => {
    const halves = [...line].map((char) => HALVES[char] ?? unknownChar(char))
    return [halves.map(([upper]) => upper), halves.map(([, lower]) => lower)]
  })
  const [side, height] = [(rows[0]?.length ?? 0) * PIXELS, rows.length * PIXELS]
  const data = new Uint8ClampedArray(side * height * 4)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < side; x++) {
      const shade = rows[Math.floor(y / PIXELS)]?.[Math.floor(x / PIXELS)] === true ? 255 : 0
      data.set([shade, shade, shade, 255], (y * side + x) * 4)
    }
  return { data, side, height }
}

function unknownChar(char: string): never {
  throw new Error(`not part of a drawing: ${JSON.stringify(char)}`)
}

function readBack(drawn: string): string | undefined {
  const { data, side, height } = photographed(drawn)
  return jsQr.default(data, side, height)?.data
}

test.each([60, 400, 900])('a code of %i bytes is read back from its drawing, on a terminal and in a pipe', (bytes) => {
  const code = `errand1${randomBytes(bytes).toString('base64url')}`
  expect(readBack(drawCode(code, {}))).toBe(code)
  const onTerminal = drawCode(code, { isTTY: true, columns: 400 })
  expect(onTerminal).toContain('\u001b[97;40m')
  expect(readBack(stripVTControlCharacters(onTerminal))).toBe(code)
})

test('a terminal that is too narrow gets words instead of half a drawing', () => {
  const drawn = drawCode(`errand1${'x'.repeat(400)}`, { isTTY: true, columns: 40 })
  expect(drawn).toMatch(/needs \d+ columns and this terminal has 40/)
})
