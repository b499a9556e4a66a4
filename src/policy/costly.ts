/**
 * What would make a text costly to parse, found by looking at its words alone, which costs the same whatever they say: how many there are, how
 * deep they stand within each other, and directives, which could change what the words mean.
 */
import { Lexer } from 'yaml'
import { POLICY } from './schema.ts'

export interface Costly {
  readonly line: number
  readonly column: number
  readonly message: string
}

/** What the lexer says besides the text itself: the beginning of a document and of a scalar, the end of a flow. */
const SCALAR_NEXT = '\u001f'
const MARKS: ReadonlySet<string> = new Set(['\u0002', '\u0018', SCALAR_NEXT, '\u{feff}'])
/** How many levels more a word opens. */
const FLOW: Readonly<Record<string, number>> = { '[': 1, '{': 1, ']': -1, '}': -1 }
/** Lists and keys that begin on one line within each other. */
const COMPACT: ReadonlySet<string> = new Set(['-', '?'])

export function costlyIn(text: string): Costly | undefined {
  const depth = new Depth()
  let at = 0
  let words = 0
  let isScalar = false
  for (const word of new Lexer().lex(text)) {
    words++
    const message = words > POLICY.maxWords ? `more than ${POLICY.maxWords} words` : isScalar ? undefined : depth.faultOf(word)
    if (message !== undefined) return { ...placeIn(text, at), message }
    isScalar = word === SCALAR_NEXT
    if (!MARKS.has(word)) at += word.length
  }
  return undefined
}

class Depth {
  #flow = 0
  #compact = 0

  faultOf(word: string): string | undefined {
    this.#flow += FLOW[word] ?? 0
    if (COMPACT.has(word)) this.#compact++
    else if (word.includes('\n')) this.#compact = 0
    if (Math.max(this.#flow, this.#compact) > POLICY.maxDepth) return `more than ${POLICY.maxDepth} levels within each other`
    return word.startsWith('%') ? 'directives are not used in a policy' : undefined
  }
}

function placeIn(text: string, at: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, at).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}
