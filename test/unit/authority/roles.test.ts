/** What a role comes to: the union of all it inherits, bounded by the least of their times, whatever circles and gaps there are. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { evaluate } from '../../../src/authority/policy.ts'
import { parseRight, sayRight } from '../../../src/authority/rights.ts'
import { BUILT_IN_ROLES, bundleOf, circleThrough, isReservedRole, lineageOf, type RoleRules, type RulesOf, roleName } from '../../../src/authority/roles.ts'
import { EXEC_ARGS } from './world.ts'

const builtIn: RulesOf = (name) => (Object.hasOwn(BUILT_IN_ROLES, name) ? BUILT_IN_ROLES[name as keyof typeof BUILT_IN_ROLES] : undefined)
const said = (name: string, rulesOf: RulesOf = builtIn): string[] => bundleOf(name, rulesOf).rights.map(({ cmd, pol }) => sayRight(cmd, pol))

test.each([
  ['admin', ['everything'], null],
  ['developer', ['exec: *; env *; tty', 'task: read', 'task: cancel', 'agent: invoke', 'skill: execute'], null],
  ['readonly', ['task: read', 'config: read'], null],
  ['viewer', ['task: read', 'config: read'], null],
  ['ci', ['exec: *; env *', 'agent: invoke'], 3_600_000],
  ['guest', ['device: info'], null],
])('the built-in role %s may %j', (name, can, maxMs) => {
  expect(said(name)).toEqual(can)
  expect(bundleOf(name, builtIn)).toMatchObject({ maxMs, invites: name === 'admin' })
  expect(isReservedRole(name)).toBe(true)
})

test('ci has no terminal and is nobody but the node’s user', () => {
  const { pol } = bundleOf('ci', builtIn).rights[0] ?? parseRight('everything')
  expect(evaluate(pol, { ...EXEC_ARGS, exe: 'make', env: ['CI'] }).verdict).toBe('true')
  for (const more of [{ tty: true }, { user: 'root' }]) expect(evaluate(pol, { ...EXEC_ARGS, ...more }).verdict).toBe('false')
})

const NAMES = ['a', 'b', 'c', 'd', 'gone'] as const
const RIGHTS = ['task:read', 'config:read', 'exec: git', 'exec: npm test', 'device:info', 'task:view'] as const
const rules = fc.record<RoleRules>({
  can: fc.subarray([...RIGHTS]),
  inherits: fc.subarray([...NAMES, 'ci', 'viewer']),
  maxMs: fc.option(fc.integer({ min: 1_000, max: 10_000_000 })),
})

/** Slowly: all that can be reached is gone through until nothing new comes. */
function reachedFrom(name: string, rulesOf: RulesOf): Set<string> {
  const reached = new Set<string>([name])
  for (let before = 0; before < reached.size; ) {
    before = reached.size
    for (const one of [...reached]) for (const next of rulesOf(one)?.inherits ?? []) reached.add(roleName(next))
  }
  return reached
}

function isUnion(name: string, rulesOf: RulesOf): void {
  const reached = reachedFrom(name, rulesOf)
  const all = [...reached].flatMap((one) => rulesOf(one) ?? [])
  const union = new Set(all.flatMap(({ can }) => can.map((one) => sayRight(parseRight(one).cmd, parseRight(one).pol))))
  expect(new Set(said(name, rulesOf))).toEqual(union)
  expect(said(name, rulesOf)).toHaveLength(union.size)
  const bounds = all.flatMap(({ maxMs }) => maxMs ?? [])
  expect(bundleOf(name, rulesOf).maxMs).toBe(bounds.length === 0 ? null : Math.min(...bounds))
  expect(new Set(lineageOf(name, rulesOf))).toEqual(reached)
  const own = rulesOf(name)?.inherits ?? []
  expect(circleThrough(name, own, rulesOf) !== undefined).toBe(own.some((next) => lineageOf(next, rulesOf).includes(name)))
}

test('what a role may is exactly the union along everything it can reach, and its time the least of theirs', () => {
  fc.assert(
    fc.property(fc.tuple(rules, rules, rules, rules), (four) => {
      const rulesOf: RulesOf = (name) => four[NAMES.indexOf(name as 'a')] ?? builtIn(name)
      for (const name of NAMES.slice(0, 4)) isUnion(name, rulesOf)
    }),
    { numRuns: 300 },
  )
})

test('a circle is named by its members', () => {
  const rulesOf: RulesOf = (name) => ({ b: { can: [], inherits: ['c'], maxMs: null }, c: { can: [], inherits: ['a'], maxMs: null } })[name]
  expect(circleThrough('a', ['b'], rulesOf)).toEqual(['a', 'b', 'c', 'a'])
  expect(circleThrough('a', ['a'], rulesOf)).toEqual(['a', 'a'])
  expect(circleThrough('a', ['ci'], rulesOf)).toBeUndefined()
})
