/**
 * The policy language of UCAN Delegation 1.0: strict parsing, and evaluation within a budget of steps.
 *
 * Three outcomes, not two: a statement whose selector finds nothing, or finds a value of a kind it cannot compare, is `unresolved`. Unresolved is
 * not true; its negation is unresolved too; `and`, `or`, `all`, `any` follow Kleene. So whatever passes here passes under every reading of the
 * specification (which says "false" and lets `not` turn it into true), and leaving a field out never helps.
 */
import { CID } from 'multiformats/cid'
import { isMap } from '../../protocols/authority/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import { like } from './glob.ts'
import { parseSelector, select, UNRESOLVED } from './selector.ts'

export const POLICY_LIMITS = {
  /** Connectives inside connectives. */
  depth: 12,
  /** Statements of one policy, nested ones included. */
  statements: 256,
  patternChars: 1_024,
  /** Steps of one evaluation: a statement, a compared value and 16 characters are one each. About 10 ms at worst. */
  steps: 200_000,
} as const

export type Statement =
  | readonly ['==' | '!=', string, unknown]
  | readonly ['<' | '<=' | '>' | '>=', string, number]
  | readonly ['like', string, string]
  | readonly ['and' | 'or', readonly Statement[]]
  | readonly ['not', Statement]
  | readonly ['all' | 'any', string, Statement]
/** All statements must hold. */
export type Policy = readonly Statement[]

export type Verdict = 'true' | 'false' | 'unresolved' | 'exhausted'

export class BadPolicy extends Error {
  readonly code = 'BAD_POLICY'
}

/** Checks the form of a policy as decoded from a token; the very value is returned. @throws BadPolicy */
export function parsePolicy(value: unknown): Policy {
  const count = { left: POLICY_LIMITS.statements }
  if (!isStatements(value, count, 0)) throw new BadPolicy('a policy is a list of statements')
  return value
}

interface Count {
  left: number
}

function isStatements(value: unknown, count: Count, depth: number): value is readonly Statement[] {
  return Array.isArray(value) && value.every((item) => isStatement(item, count, depth))
}

function isStatement(value: unknown, count: Count, depth: number): value is Statement {
  if (depth > POLICY_LIMITS.depth) throw new BadPolicy(`a policy is nested more than ${POLICY_LIMITS.depth} deep`)
  if (count.left-- === 0) throw new BadPolicy(`a policy has more than ${POLICY_LIMITS.statements} statements`)
  if (!Array.isArray(value) || typeof value[0] !== 'string') throw new BadPolicy('a statement is a list that begins with its operator')
  const [op, second, third] = value
  const operands = op === 'and' || op === 'or' || op === 'not' ? 1 : 2
  if (value.length !== 1 + operands) throw new BadPolicy(`${JSON.stringify(op.slice(0, 16))} has ${operands} operands, not ${value.length - 1}`)
  if (operands === 1) return fitsConnective(op, second, count, depth)
  if (typeof second !== 'string' || parseSelector(second) === undefined) throw new BadPolicy(`not a selector: ${JSON.stringify(second)}`)
  return fitsOperator(op, third, count, depth)
}

function fitsConnective(op: string, operand: unknown, count: Count, depth: number): boolean {
  if (op === 'not') return isStatement(operand, count, depth + 1)
  if (!isStatements(operand, count, depth + 1)) throw new BadPolicy(`"${op}" takes a list of statements`)
  return true
}

function fitsOperator(op: string, operand: unknown, count: Count, depth: number): boolean {
  switch (op) {
    case '==':
    case '!=':
      return true
    case '<':
    case '<=':
    case '>':
    case '>=':
      if (!Number.isSafeInteger(operand)) throw new BadPolicy(`"${op}" compares with an integer`)
      return true
    case 'like':
      if (typeof operand !== 'string' || operand.length > POLICY_LIMITS.patternChars)
        throw new BadPolicy(`"like" takes a pattern of at most ${POLICY_LIMITS.patternChars} characters`)
      return true
    case 'all':
    case 'any':
      return isStatement(operand, count, depth + 1)
    default:
      throw new BadPolicy(`unknown operator ${JSON.stringify(op.slice(0, 16))}`)
  }
}

/** The first statement of the policy that does not hold for these arguments, so that a refusal can say why; undefined when all hold. */
export function failing(policy: Policy, args: unknown): Statement | undefined {
  const run = new Run(POLICY_LIMITS.steps)
  return policy.find((statement) => run.judge(statement, args) !== 'true')
}

/** Judges a whole policy. `steps` never exceeds the budget; a policy that needs more is `exhausted`, which is not true. */
export function evaluate(policy: Policy, args: unknown, budget: number = POLICY_LIMITS.steps): { readonly verdict: Verdict; readonly steps: number } {
  const run = new Run(budget)
  const verdict = run.judge(['and', policy], args)
  return { verdict: run.exhausted ? 'exhausted' : verdict, steps: run.steps }
}

const COMPARE = {
  '<': (a: number, b: number) => a < b,
  '<=': (a: number, b: number) => a <= b,
  '>': (a: number, b: number) => a > b,
  '>=': (a: number, b: number) => a >= b,
} as const

class Run {
  steps = 0
  exhausted = false

  constructor(private readonly budget: number) {}

  /** Takes n steps, or none and never again. */
  #spend(n: number): boolean {
    if (this.exhausted || this.steps + n > this.budget) this.exhausted = true
    else this.steps += n
    return !this.exhausted
  }

  judge(statement: Statement, value: unknown): Verdict {
    if (!this.#spend(1)) return 'exhausted'
    switch (statement[0]) {
      case 'and':
        return this.#fold(
          statement[1].map((inner) => () => this.judge(inner, value)),
          'false',
          'true',
        )
      case 'or':
        // The specification: an empty `or` is true.
        return this.#fold(
          statement[1].map((inner) => () => this.judge(inner, value)),
          'true',
          statement[1].length === 0 ? 'true' : 'false',
        )
      case 'not':
        return negate(this.judge(statement[1], value))
      default:
        return this.#judgeSelected(statement, value)
    }
  }

  #judgeSelected(statement: Exclude<Statement, readonly ['and' | 'or', unknown] | readonly ['not', unknown]>, value: unknown): Verdict {
    const selector = parseSelector(statement[1])
    const found = selector === undefined ? UNRESOLVED : select(selector, value, (steps) => this.#spend(steps))
    if (found === UNRESOLVED) return this.exhausted ? 'exhausted' : 'unresolved'
    switch (statement[0]) {
      case '==':
        return this.#same(found, statement[2])
      case '!=':
        return negate(this.#same(found, statement[2]))
      case 'like':
        if (typeof found !== 'string') return 'unresolved'
        return this.#spend(1 + ((found.length + statement[2].length) >> 4)) ? told(like(found, statement[2])) : 'exhausted'
      case 'all':
      case 'any':
        return this.#each(statement[0], statement[2], found)
      default:
        return typeof found === 'number' ? told(COMPARE[statement[0]](found, statement[2])) : 'unresolved'
    }
  }

  /** `any` of nothing is unresolved: the specification reads both ways there, and neither reading may open a door. */
  #each(op: 'all' | 'any', inner: Statement, found: unknown): Verdict {
    const values = isMap(found) ? Object.values(found) : Array.isArray(found) ? found : undefined
    if (values === undefined) return 'unresolved'
    const judged = values.map((value) => () => this.judge(inner, value))
    return op === 'all' ? this.#fold(judged, 'false', 'true') : this.#fold(judged, 'true', judged.length === 0 ? 'unresolved' : 'false')
  }

  /** Kleene: one `decisive` settles it, else anything unresolved is the answer, else `otherwise`. */
  #fold(parts: readonly (() => Verdict)[], decisive: 'true' | 'false', otherwise: Verdict): Verdict {
    let answer = otherwise
    for (const part of parts) {
      const verdict = part()
      if (verdict === 'exhausted' || verdict === decisive) return verdict
      if (verdict === 'unresolved') answer = 'unresolved'
    }
    return answer
  }

  #same(a: unknown, b: unknown): Verdict {
    const answer = this.#equal(a, b)
    return this.exhausted ? 'exhausted' : told(answer)
  }

  #equal(a: unknown, b: unknown): boolean {
    if (!this.#spend(1 + (typeof a === 'string' || a instanceof Uint8Array ? a.length >> 4 : 0))) return false
    if (a instanceof Uint8Array) return b instanceof Uint8Array && sameBytes(a, b)
    if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => this.#equal(item, b[i]))
    if (isMap(a)) return isMap(b) && this.#sameMap(a, b)
    const cid = CID.asCID(a)
    return cid === null ? a === b : cid.equals(CID.asCID(b))
  }

  #sameMap(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && this.#equal(a[key], b[key]))
  }
}

function told(answer: boolean): Verdict {
  return answer ? 'true' : 'false'
}

function negate(verdict: Verdict): Verdict {
  return verdict === 'true' ? 'false' : verdict === 'false' ? 'true' : verdict
}
