import fc from 'fast-check'
import { expect, test } from 'vitest'
import { evaluate, type Policy, parsePolicy, type Statement } from '../../../src/authority/policy.ts'
import { slowLike } from './world.ts'

const selector = fc.constantFrom('.', '.a', '.b', '.a.b', '.a[0]', '.a[-1]', '.b[0:2]', '.c[]', '.a?', '.gone', '.gone?', '.["a"]')
const leaf = fc.oneof(fc.constantFrom<unknown>(0, 1, 2, 'x', 'xy', null, true, [], [1, 2], {}, { b: 1 }))
const { statement } = fc.letrec<{ statement: Statement }>((tie) => ({
  statement: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.tuple(fc.constantFrom('==' as const, '!=' as const), selector, leaf),
    fc.tuple(fc.constantFrom('<' as const, '<=' as const, '>' as const, '>=' as const), selector, fc.integer({ min: 0, max: 2 })),
    fc.tuple(fc.constant('like' as const), selector, fc.constantFrom('x*', '*', 'xy', '*y')),
    fc.tuple(fc.constantFrom('and' as const, 'or' as const), fc.array(tie('statement'), { maxLength: 3 })),
    fc.tuple(fc.constant('not' as const), tie('statement')),
    fc.tuple(fc.constantFrom('all' as const, 'any' as const), selector, tie('statement')),
  ),
}))
const args = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(leaf, fc.array(leaf, { maxLength: 4 })), { noNullPrototype: true })

test('an evaluation never exceeds its budget, and a budget that is too small never says true', () => {
  fc.assert(
    fc.property(fc.array(statement, { maxLength: 5 }), args, fc.nat(60), (raw, value, budget) => {
      const policy = parsePolicy(raw)
      const free = evaluate(policy, value)
      const bounded = evaluate(policy, value, budget)
      expect(bounded.steps).toBeLessThanOrEqual(budget)
      expect(bounded.verdict).toBe(free.steps <= budget ? free.verdict : 'exhausted')
    }),
    { numRuns: 2_000 },
  )
})

interface Reading {
  /** What a missing key of a map is: the text says null in one place and "cannot be resolved" in another. */
  readonly missing: 'null' | 'false'
  /** What `any` of nothing is: false as in logic, or true as an empty `or`. */
  readonly emptyAny: boolean
}
const READINGS: readonly Reading[] = [true, false].flatMap((emptyAny) => [
  { missing: 'null', emptyAny },
  { missing: 'false', emptyAny },
])

/** The specification read plainly: two values; what cannot be resolved or compared is false, and `not` inverts that. */
function bySpec(statement: Statement, value: unknown, read: Reading): boolean {
  const judge = (inner: Statement, at = value): boolean => bySpec(inner, at, read)
  switch (statement[0]) {
    case 'and':
      return statement[1].every((inner) => judge(inner))
    case 'or':
      return statement[1].length === 0 || statement[1].some((inner) => judge(inner))
    case 'not':
      return !judge(statement[1])
    case '==':
      return same(pick(statement[1], value, read), statement[2])
    case '!=':
      return !same(pick(statement[1], value, read), statement[2])
    case 'like':
      return asList(pick(statement[1], value, read), 'string').some((text) => slowLike(String(text), statement[2]))
    case 'all':
    case 'any': {
      const found = pick(statement[1], value, read)
      if (typeof found !== 'object' || found === null) return false
      const answers = Object.values(found).map((item) => judge(statement[2], item))
      return statement[0] === 'all' ? !answers.includes(false) : answers.includes(true) || (answers.length === 0 && read.emptyAny)
    }
    default: {
      const compare = {
        '<': (a: number, b: number) => a < b,
        '<=': (a: number, b: number) => a <= b,
        '>': (a: number, b: number) => a > b,
        '>=': (a: number, b: number) => a >= b,
      }[statement[0]]
      return asList(pick(statement[1], value, read), 'number').some((n) => compare(Number(n), statement[2]))
    }
  }
}

const same = (found: unknown, expected: unknown): boolean => found !== undefined && JSON.stringify(found) === JSON.stringify(expected)
const asList = (value: unknown, kind: 'string' | 'number'): unknown[] => (typeof value === kind ? [value] : [])

function pick(path: string, value: unknown, read: Reading): unknown {
  const steps = path.match(/\[[^\]]*\]\??|[a-z]+\??/g) ?? []
  return steps.reduce<unknown>((at, step) => {
    if (at === undefined) return undefined
    const name = step.replace(/[\][?"]/g, '')
    const found = Array.isArray(at) ? (step.startsWith('[') ? pickFromList(at, name) : undefined) : pickFromMap(at, name, read)
    return found === undefined && step.endsWith('?') ? null : found
  }, value)
}

function pickFromList(list: readonly unknown[], name: string): unknown {
  if (name === '') return list
  const [from, to] = name.split(':').map(Number)
  if (name.includes(':')) return list.slice(from, to)
  return /[a-z]/.test(name) ? undefined : list.at(from ?? 0)
}

function pickFromMap(map: unknown, name: string, read: Reading): unknown {
  if (typeof map !== 'object' || map === null) return undefined
  if (name === '') return Object.values(map)
  if (!/^[a-z]+$/.test(name)) return undefined
  return Object.entries(map).find(([key]) => key === name)?.[1] ?? (Object.hasOwn(map, name) || read.missing === 'null' ? null : undefined)
}

test('what we call true or false is so under every reading of the specification', () => {
  let definite = 0
  fc.assert(
    fc.property(statement, args, (one, value) => {
      const ours = evaluate([one] satisfies Policy, value).verdict
      if (ours !== 'true' && ours !== 'false') return
      definite++
      for (const read of READINGS) expect(bySpec(one, value, read)).toBe(ours === 'true')
    }),
    { numRuns: 5_000 },
  )
  expect(definite).toBeGreaterThan(1_000)
})
