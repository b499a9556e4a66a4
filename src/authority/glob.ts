/**
 * The `like` of the policy language: `*` stands for any run of characters, `\*` for a star, any other backslash for itself. Linear in text and pattern.
 * The pieces between the stars are searched from left to right, each by Knuth, Morris and Pratt: no piece ever moves back, so no pattern can make it slow.
 */

const UNESCAPED_STAR = /(?<!\\)\*/

/** Whether the whole text matches the pattern. Compares UTF-16 units; case counts. */
export function like(text: string, pattern: string): boolean {
  const pieces = piecesOf(pattern)
  const first = pieces[0] ?? ''
  if (pieces.length === 1) return text === first
  const last = pieces[pieces.length - 1] ?? ''
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let from = first.length
  for (const piece of pieces.slice(1, -1)) {
    const at = indexOf(text, piece, from, end)
    if (at < 0) return false
    from = at + piece.length
  }
  return true
}

/** The literal pieces between the stars; one piece means: no star. */
function piecesOf(pattern: string): string[] {
  return pattern.split(UNESCAPED_STAR).map((piece) => piece.replaceAll('\\*', '*'))
}

/** Where `piece` begins in text[from, end), or -1. */
function indexOf(text: string, piece: string, from: number, end: number): number {
  if (piece === '') return from
  const back = failureTable(piece)
  let matched = 0
  for (let i = from; i < end; i++) {
    while (matched > 0 && text.charCodeAt(i) !== piece.charCodeAt(matched)) matched = back[matched - 1] ?? 0
    if (text.charCodeAt(i) === piece.charCodeAt(matched)) matched++
    if (matched === piece.length) return i - matched + 1
  }
  return -1
}

function failureTable(piece: string): Uint32Array {
  const back = new Uint32Array(piece.length)
  let k = 0
  for (let i = 1; i < piece.length; i++) {
    while (k > 0 && piece.charCodeAt(i) !== piece.charCodeAt(k)) k = back[k - 1] ?? 0
    if (piece.charCodeAt(i) === piece.charCodeAt(k)) k++
    back[i] = k
  }
  return back
}
