/**
 * Output of other devices as a terminal may be shown it beside a table of ours: colours stay, everything that moves the cursor, names the window,
 * asks the terminal something or clears it goes. Lines only; what is written into a pipe or a file is not passed through here. Pure, one pass.
 */
const ESC = '\u001b'
const CSI = '\u009b'
/** They begin texts for the terminal itself: titles, clipboards, images. `]PX^_` behind an escape are the same. */
const STRING_STARTS = '\u0090\u0098\u009d\u009e\u009f'
const STRING_ENDS = '\u0007\u009c'
const RESET = `${ESC}[0m`
const CONTROL = /\p{Cc}/u

/** One line, without its end. */
export function shownLine(line: string): string {
  const drawn = line.split('\r').findLast((part) => part !== '') ?? '' // what a terminal shows of a bar that is drawn over and over
  let shown = ''
  let coloured = false
  for (let at = 0; at < drawn.length; ) {
    const end = sequenceEnd(drawn, at)
    const sequence = drawn.slice(at, end)
    if (isColour(sequence)) coloured = true
    if (isColour(sequence) || sequence === '\t' || !CONTROL.test(sequence)) shown += sequence
    at = end
  }
  return coloured ? shown + RESET : shown
}

/** Where what begins here ends: one letter, or a whole sequence for the terminal. */
function sequenceEnd(text: string, at: number): number {
  const [first = '', second = ''] = [text[at], text[at + 1]]
  if (first === CSI) return csiEnd(text, at + 1)
  if (STRING_STARTS.includes(first)) return stringEnd(text, at + 1)
  if (first !== ESC) return at + 1
  if (second === '[') return csiEnd(text, at + 2)
  return second !== '' && ']PX^_'.includes(second) ? stringEnd(text, at + 2) : shortEnd(text, at + 1)
}

function csiEnd(text: string, from: number): number {
  let at = from
  while (at < text.length && /[ -?]/.test(text[at] ?? '')) at++
  return /[@-~]/.test(text[at] ?? '') ? at + 1 : at
}

/** Of the old ones: character sets, resets. */
function shortEnd(text: string, from: number): number {
  let at = from
  while (/[ -/]/.test(text[at] ?? '')) at++
  return /[0-~]/.test(text[at] ?? '') ? at + 1 : at
}

/** One that is never ended takes the rest of the line with it. */
function stringEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (STRING_ENDS.includes(text[at] ?? '')) return at + 1
    if (text[at] === ESC) return text[at + 1] === '\\' ? at + 2 : at
  }
  return text.length
}

function isColour(sequence: string): boolean {
  return sequence.startsWith(`${ESC}[`) && /^[0-9;:]*m$/.test(sequence.slice(2))
}
