/** A code as a drawing for a camera, where the terminal is wide enough for one. */
import { encode, renderUnicodeCompact } from 'uqr'

const BORDER = 2

/** Light squares are drawn and dark ones left out; on a terminal the colours are set, so that its own do not matter. */
export function drawCode(code: string, to: { readonly isTTY?: boolean; readonly columns?: number }): string {
  const { size } = encode(code, { ecc: 'L', border: BORDER })
  if (to.isTTY === true && (to.columns ?? 80) < size) {
    return `  (the drawing needs ${size} columns and this terminal has ${to.columns ?? 80}: make it wider, or its letters smaller)`
  }
  const drawn = renderUnicodeCompact(code, { ecc: 'L', border: BORDER })
  return to.isTTY === true ? drawn.replace(/^.*$/gm, (line) => `\u001b[97;40m${line}\u001b[0m`) : drawn
}
