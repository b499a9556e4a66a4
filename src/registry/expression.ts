/**
 * `--on EXPR`: which devices are meant, read from text. Terms about what a device announces, joined by `&` and `|` (`&` binds closer), `!`
 * and parentheses. Pure; a mistake is told with its column and the nearest word that is known. What a term means for a device: `facts.ts`.
 */
import { ErrandError } from '../base/errors.ts'
import { nearestOf } from '../base/nearest.ts'
import { KINDS, type Kind, NAMES, readValue } from './terms.ts'

export type Op = '=' | '!=' | '<' | '<=' | '>' | '>='

export interface Term {
  readonly t: 'term'
  /** `os`, `tool`, `label`, … */
  readonly name: string
  /** What follows the dot of `tool.` and `label.`. */
  readonly key?: string
  readonly op?: Op
  readonly value?: string | number
}

export type Expression = Term | { readonly t: 'not'; readonly of: Expression } | { readonly t: 'and' | 'or'; readonly of: readonly Expression[] }

const MAX_CHARS = 1_024
const MAX_DEPTH = 32
const OPS: readonly Op[] = ['!=', '<=', '>=', '=', '<', '>']
/** A word ends where something else begins. */
const WORD = /[^\s&|()!=<>'"]+/y
const SPACE = /\s*/y

/** @throws BAD_EXPRESSION with `column` (from 1) among its fields. */
export function parseExpression(text: string): Expression {
  if (text.length > MAX_CHARS) throw new ErrandError('BAD_EXPRESSION', `the expression has ${text.length} characters where ${MAX_CHARS} are read`)
  return new Reader(text).whole()
}

class Reader {
  #at = 0
  #depth = 0

  constructor(private readonly text: string) {}

  whole(): Expression {
    this.#skip()
    if (this.#at === this.text.length) throw this.#fault('an expression is missing', this.#at, 'like os=linux, gpu>=1 or label.room=attic')
    const read = this.#or()
    if (this.#at < this.text.length) throw this.#unexpected('& or | expected')
    return read
  }

  #or(): Expression {
    return this.#joined('or', '|', () => this.#joined('and', '&', () => this.#one()))
  }

  #joined(t: 'and' | 'or', sign: string, part: () => Expression): Expression {
    const parts = [part()]
    while (this.#take(sign)) {
      if (this.text[this.#at] === sign) throw this.#fault(`one ${sign} is enough`, this.#at)
      parts.push(part())
    }
    const [only] = parts
    return parts.length === 1 && only !== undefined ? only : { t, of: parts }
  }

  #one(): Expression {
    if (++this.#depth > MAX_DEPTH) throw this.#fault(`more than ${MAX_DEPTH} levels`, this.#at)
    const read = this.#unary()
    this.#depth--
    return read
  }

  #unary(): Expression {
    const opened = this.#at
    if (this.#take('!')) return { t: 'not', of: this.#one() }
    if (!this.#take('(')) return this.#term()
    const inner = this.#or()
    if (this.#take(')')) return inner
    if (this.#at < this.text.length) throw this.#unexpected('& or | or ) expected')
    throw this.#fault('this parenthesis is never closed', opened)
  }

  #term(): Term {
    const at = this.#at
    const word = this.#word()
    if (word === undefined) throw this.#unexpected('a name expected')
    const { name, kind, key } = this.#named(word, at)
    const opAt = this.#at
    const op = OPS.find((one) => this.#take(one))
    const named = { t: 'term' as const, name, ...(key === undefined ? {} : { key }) }
    if (op === undefined) return named
    if (kind === 'flag') throw this.#fault(`${word} is there or is not, and is compared with nothing`, opAt, `write ${word} or !${word}`)
    if (kind === 'text' && op !== '=' && op !== '!=') throw this.#fault(`${word} is text: compare it by = or !=`, opAt)
    return { ...named, op, value: this.#value({ word, kind, op }) }
  }

  #named(word: string, at: number): { name: string; kind: Kind; key?: string } {
    const dot = word.indexOf('.')
    const name = dot < 0 ? word : word.slice(0, dot)
    const kind = KINDS[name]
    if (kind === undefined) throw this.#unknown(name, at)
    const wantsKey = name === 'tool' || name === 'label'
    if (wantsKey !== dot >= 0 || (wantsKey && dot === word.length - 1))
      throw this.#fault(wantsKey ? `${name} of what? write ${name}.NAME` : `${name} has nothing behind a dot`, at)
    return wantsKey ? { name, kind, key: word.slice(dot + 1) } : { name, kind }
  }

  #value({ word, kind, op }: { word: string; kind: Kind; op: Op }): string | number {
    const at = this.#at
    const text = this.#quoted() ?? this.#word()
    if (text === undefined) throw this.#fault(`${word}${op} what? a value is missing`, at)
    const read = readValue(kind, text, op)
    if (typeof read === 'object') throw this.#fault(`${word}: ${read.fault}`, at, read.hint)
    return read
  }

  #unknown(name: string, at: number): ErrandError {
    const near = NAMES.find((one) => name.startsWith(one) || (name.length > 1 && one.startsWith(name))) ?? nearestOf(name, NAMES)
    return this.#fault(
      `no "${name}" is known of devices`,
      at,
      near === undefined ? `known: ${NAMES.map(shown).join(' ')}` : `did you mean ${shown(near)}?`,
      near,
    )
  }

  #unexpected(wanted: string): ErrandError {
    const letter = this.text[this.#at]
    return this.#fault(letter === undefined ? `${wanted}, and it ends here` : `${wanted}, not ${JSON.stringify(letter)}`, this.#at)
  }

  #word(): string | undefined {
    WORD.lastIndex = this.#at
    const [word] = WORD.exec(this.text) ?? []
    this.#at += word?.length ?? 0
    this.#skip()
    return word
  }

  #quoted(): string | undefined {
    const quote = this.text[this.#at]
    if (quote !== '"' && quote !== "'") return undefined
    const end = this.text.indexOf(quote, this.#at + 1)
    if (end < 0) throw this.#fault('this quote is never closed', this.#at)
    const inner = this.text.slice(this.#at + 1, end)
    this.#at = end + 1
    this.#skip()
    return inner
  }

  #take(sign: string): boolean {
    if (!this.text.startsWith(sign, this.#at)) return false
    this.#at += sign.length
    this.#skip()
    return true
  }

  #skip(): void {
    SPACE.lastIndex = this.#at
    this.#at += SPACE.exec(this.text)?.[0].length ?? 0
  }

  #fault(what: string, at: number, hint?: string, near?: string): ErrandError {
    const fields = { expression: this.text, column: at + 1, ...(near === undefined ? {} : { near }) }
    return new ErrandError('BAD_EXPRESSION', `column ${at + 1}: ${what}`, { fields, ...(hint === undefined ? {} : { hint }) })
  }
}

function shown(name: string): string {
  return name === 'tool' || name === 'label' ? `${name}.NAME` : name
}
