/**
 * A command exactly as it would run, for somebody who has to answer for it: what is not plain, printable ASCII is spelled out, so that no
 * two commands look alike and nothing in them speaks to the terminal.
 */
const PLAIN = /^[\w@%+=:,./-]+$/
const PRINTABLE = /^[\x20-\x7e]*$/

/** The words of a command, each as a shell would take it. */
export function quotedCommand(argv: readonly string[]): string {
  return argv.map(quoted).join(' ')
}

export function quoted(word: string): string {
  if (PLAIN.test(word)) return word
  if (PRINTABLE.test(word)) return `'${word.replaceAll("'", "'\\''")}'`
  return `$'${[...word].map(spelled).join('')}'`
}

/** Text that somebody else wrote, in one line. */
export function spelledOut(text: string): string {
  return [...text].map((letter) => (PRINTABLE.test(letter) ? letter : spelled(letter))).join('')
}

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\u001b': '\\e', '\\': '\\\\', "'": "\\'" }

function spelled(letter: string): string {
  const short = SHORT[letter]
  if (short !== undefined) return short
  if (PRINTABLE.test(letter)) return letter
  const code = letter.codePointAt(0) ?? 0
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}
