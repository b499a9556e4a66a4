/** A line as words, as a shell would cut it, and no more than that: quotes and backslashes count, variables and patterns are text. Pure. */

/** @returns undefined where a quote is never closed, or a backslash ends the line. */
export function wordsOf(line: string): string[] | undefined {
  const words: string[] = []
  let rest = line.trimStart()
  while (rest !== '') {
    const read = wordIn(rest)
    if (read === undefined) return undefined
    words.push(read.word)
    rest = read.rest.trimStart()
  }
  return words
}

const PIECES = /^(?:'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])|([^\s'"\\]+))/

function wordIn(text: string): { word: string; rest: string } | undefined {
  let word = ''
  let rest = text
  while (rest !== '' && !/^\s/.test(rest)) {
    const [piece, single, double, escaped, plain] = PIECES.exec(rest) ?? []
    if (piece === undefined) return undefined
    word += single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? plain ?? ''
    rest = rest.slice(piece.length)
  }
  return { word, rest }
}
