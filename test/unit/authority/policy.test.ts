import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { evaluate, failing, POLICY_LIMITS, parsePolicy } from '../../../src/authority/policy.ts'
import { cidOf } from '../../../src/authority/token.ts'

const verdict = (statement: unknown, args: unknown): string => evaluate(parsePolicy([statement]), args).verdict

const MAIL = {
  from: 'alice@example.com',
  to: ['bob@example.com', 'carol@not.example.com', 'dan@example.com'],
  'odd key': { '.': 1 },
  deep: { list: [{ n: 1 }, { n: 2 }] },
  bytes: Uint8Array.of(0xd6, 0xa9, 0xc1, 0x8c),
  none: null,
}

test.each([
  [['==', '.from', 'alice@example.com'], 'true'],
  [['!=', '.from', 'bob'], 'true'],
  [['==', '.to[1]', 'carol@not.example.com'], 'true'],
  [['==', '.to[-1]', 'dan@example.com'], 'true'],
  [['==', '.to[0:1]', ['bob@example.com']], 'true'],
  [['==', '.to[1:-1]', ['carol@not.example.com']], 'true'],
  [['==', '.to[]', MAIL.to], 'true'],
  [['==', '.["odd key"]["."]', 1], 'true'],
  [['==', '.deep.list[1].n', 2], 'true'],
  [['==', '.deep.list', [{ n: 1 }, { n: 2 }]], 'true'],
  [['==', '.bytes[3]', 140], 'true'],
  [['==', '.to[99]?', null], 'true'],
  [['==', '.none', null], 'true'],
  [['any', '.to', ['like', '.', '*@not.example.com']], 'true'],
  [['all', '.to', ['like', '.', '*@example.com']], 'false'],
  [['all', '.deep', ['==', '.[0].n', 1]], 'true'],
  [['>=', '.deep.list[0].n', 1], 'true'],
  [['<', '.deep.list[0].n', 1], 'false'],
  [['and', []], 'true'],
  [['or', []], 'true'],
  [
    [
      'or',
      [
        ['==', '.from', 'x'],
        ['==', '.none', null],
      ],
    ],
    'true',
  ],
  [['not', ['==', '.from', 'x']], 'true'],
])('%j of the mail is %s', (statement, expected) => expect(verdict(statement, MAIL)).toBe(expected))

test.each([
  ['a missing field', ['==', '.gone', 1]],
  ['its negation', ['not', ['==', '.gone', 1]]],
  ['its inequality', ['!=', '.gone', 1]],
  ['a double negation', ['not', ['not', ['==', '.gone', 1]]]],
  [
    'an alternative where nothing holds',
    [
      'or',
      [
        ['==', '.from', 'x'],
        ['==', '.gone', 1],
      ],
    ],
  ],
  [
    'the negation of such an alternative',
    [
      'not',
      [
        'or',
        [
          ['==', '.from', 'x'],
          ['==', '.gone', 1],
        ],
      ],
    ],
  ],
  ['the negation of a conjunction', ['not', ['and', [['==', '.gone', 1]]]]],
  ['a field below a missing one, optional or not', ['not', ['==', '.gone.x?', 1]]],
  ['a number compared with text', ['not', ['>', '.from', 1]]],
  ['a pattern over a list', ['not', ['like', '.to', '*']]],
  ['a quantifier over text', ['not', ['any', '.from', ['==', '.', 'x']]]],
  ['any of nothing', ['any', '.empty', ['==', '.', 1]]],
  ['not any of nothing', ['not', ['any', '.empty', ['==', '.', 1]]]],
  ['an index beyond the list', ['!=', '.to[3]', 'x']],
  ['an index before the list', ['!=', '.to[-4]', 'x']],
  ['a key of the prototype', ['!=', '.constructor', 1]],
  ['__proto__', ['!=', '.__proto__', 1]],
  ['the length of a list', ['!=', '.to.length', 1]],
  ['a method by quoted name', ['!=', '.["toString"]', 1]],
])('%s never opens a door', (_, statement) => expect(verdict(statement, { ...MAIL, empty: [] })).toBe('unresolved'))

test('values of different kinds are never equal', () => {
  for (const [a, b] of [
    [1, '1'],
    [0, false],
    [null, false],
    ['', []],
    [[], {}],
    [{}, null],
    [Uint8Array.of(1), [1]],
  ]) {
    expect(verdict(['==', '.v', b], { v: a })).toBe('false')
    expect(verdict(['==', '.v', a], { v: b })).toBe('false')
  }
})

test('a prototype key that is really there is compared like any other', () => {
  const args = Object.fromEntries([['constructor', 1]])
  expect(verdict(['==', '.constructor', 1], args)).toBe('true')
  expect(verdict(['==', '.', {}], args)).toBe('false')
})

test('links compare by what they point to', () => {
  const link = CID.parse(cidOf(Uint8Array.of(1)))
  expect(verdict(['==', '.l', CID.parse(link.toString())], { l: link })).toBe('true')
  expect(verdict(['==', '.l', CID.parse(cidOf(Uint8Array.of(2)))], { l: link })).toBe('false')
  expect(verdict(['==', '.l', link.toString()], { l: link })).toBe('false')
})

test.each([
  ['not a list', { '==': 1 }],
  ['a statement that is text', ['==']],
  ['a statement that is a map, numbered like a list', [{ 0: '==', 1: '.a', 2: 1, length: 3 }]],
  ['a selector that is a number', [['==', 5, 1]]],
  ['a selector that is a list', [['all', ['.'], ['==', '.', 1]]]],
  ['an unknown operator', [['eq', '.a', 1]]],
  ['an operator of the prototype', [['constructor', '.a', 1]]],
  ['an operand too many', [['==', '.a', 1, 2]]],
  ['a missing operand', [['==', '.a']]],
  ['not with a list', [['not', []]]],
  ['and with a statement', [['and', ['==', '.a', 1]]]],
  ['a bound that is text', [['<', '.a', '5']]],
  ['a bound that is a fraction', [['<', '.a', 0.5]]],
  ['a pattern that is no text', [['like', '.a', 5]]],
  ['a pattern too long', [['like', '.a', 'x'.repeat(POLICY_LIMITS.patternChars + 1)]]],
  ['a quantifier over a list of statements', [['all', '.a', [['==', '.', 1]]]]],
  [
    'a nest too deep',
    [
      Array(POLICY_LIMITS.depth + 1)
        .fill(0)
        .reduce((inner: unknown) => ['not', inner], ['==', '.a', 1]),
    ],
  ],
  ['too many statements', [['or', Array(POLICY_LIMITS.statements).fill(['==', '.a', 1])]]],
])('refused as a policy: %s', (_, policy) => expect(() => parsePolicy(policy)).toThrowError(expect.objectContaining({ code: 'BAD_POLICY' })))

test.each([
  '',
  'a',
  '..',
  '.a..b',
  '.a.',
  '.-a',
  '.a-b',
  '.0',
  '.[',
  '.a[1',
  '.a["x]',
  '.a[1.5]',
  '.a[:]',
  '.a[*]',
  '.a | .b',
  '. a',
  '.a\n',
  '.é',
  `.${'a'.repeat(300)}`,
  '.a'.repeat(17),
])('not a selector: %j', (selector) => expect(() => parsePolicy([['==', selector, 1]])).toThrow())

test('the first statement that fails is the one that is named', () => {
  const policy = parsePolicy([
    ['==', '.a', 1],
    ['==', '.b', 1],
    ['==', '.c', 1],
  ])
  expect(failing(policy, { a: 1, b: 2, c: 3 })).toEqual(['==', '.b', 1])
  expect(failing(policy, { a: 1, b: 1, c: 1 })).toBeUndefined()
})

test('a copy of a long list is paid for before it is made', () => {
  const long = { a: Array(1_600).fill(0) }
  expect(evaluate(parsePolicy([['==', '.a[0:][0:]', 0]]), long).steps).toBeGreaterThan(200)
  expect(evaluate(parsePolicy([['==', '.a[0:][0:]', 0]]), long, 150).verdict).toBe('exhausted')
})

test('a statement costs a step, also one that compares nothing', () => {
  const empty = parsePolicy(Array(10).fill(['and', []]))
  expect([11, 10].map((budget) => evaluate(empty, {}, budget))).toEqual([
    { verdict: 'true', steps: 11 },
    { verdict: 'exhausted', steps: 10 },
  ])
})

test('what is compared is paid for: by the value, and by the length of a text or of bytes', () => {
  const judged = (value: unknown, budget: number): string => evaluate(parsePolicy([['==', '.a', value]]), { a: value }, budget).verdict
  for (const value of [Array(1_000).fill(1), 'a'.repeat(16_000), new Uint8Array(16_000)]) {
    expect(judged(value, 900)).toBe('exhausted')
    expect(judged(value, 1_100)).toBe('true')
  }
})

test('the dearest policy over the largest arguments stays below its budget of time', () => {
  const long = { a: Array(1_000).fill('a'.repeat(60)) }
  const policy = parsePolicy(Array(120).fill(['all', '.a', ['like', '.', '*a*a*a*a*']]))
  const start = process.cpuUsage() // its own work, and not what else the machine does
  expect(evaluate(policy, long).verdict).toBe('exhausted')
  expect(process.cpuUsage(start).user).toBeLessThan(500_000)
})
