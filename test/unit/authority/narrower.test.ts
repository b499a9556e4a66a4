/** Widening is named before it is signed: exactly the rights that would let something through which the one above does not. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileExec, type ExecRight, readExec } from '../../../src/authority/items.ts'
import { exceeding, wideningOf } from '../../../src/authority/narrower.ts'
import { evaluate } from '../../../src/authority/policy.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { EXEC_ARGS } from './world.ts'

const HELD = 'exec: git, npm test; env CI; user "", bob; cwd /srv; timeout 10m; output 1MiB'
const link = (text: string): ReturnType<typeof parseRight> => parseRight(text)

test.each([
  ['exec: git push; cwd /srv/app; timeout 1m; output 1kB', undefined],
  ['exec: npm test; env CI; user bob; cwd /srv; timeout 10m; output 1MiB', undefined],
  ['exec: rm; cwd /srv; timeout 1m; output 1kB', 'rm …, and it has {git …, npm test …}'],
  ['exec: npm; cwd /srv; timeout 1m; output 1kB', 'npm …, and it has {git …, npm test …}'],
  ['exec: *; cwd /srv; timeout 1m; output 1kB', 'any command, and it has {git …, npm test …}'],
  ['exec: git; env CI, FOO; cwd /srv; timeout 1m; output 1kB', 'env FOO, and it has CI'],
  ['exec: git; env *; cwd /srv; timeout 1m; output 1kB', 'env *, and it has CI'],
  ['exec: git; user root; cwd /srv; timeout 1m; output 1kB', "user root, and it has the node's own, bob"],
  ['exec: git; timeout 1m; output 1kB', 'any directory, and it has cwd /srv'],
  ['exec: git; cwd /srvx; timeout 1m; output 1kB', 'cwd /srvx, and it has cwd /srv'],
  ['exec: git; cwd /srv; output 1kB', 'any timeout, and it has a bound on that'],
  ['exec: git; cwd /srv; timeout 11m; output 1kB', 'a larger timeout, and it has a bound on that'],
  ['exec: git; cwd /srv; timeout 1m', 'any output, and it has a bound on that'],
  ['exec: git; cwd /srv; timeout 1m; output 1kB; tty', 'a terminal, and it has none to give'],
  ['/exec/run', 'any command, and it has {git …, npm test …}'],
])('below %j', (child, beyond) => {
  expect(wideningOf(parseRight(child), [link('everything'), link(HELD)])).toBe(beyond)
})

const part = <T>(values: readonly T[]) => fc.oneof(fc.constant('*' as const), fc.subarray([...values], { minLength: 1 }))
const right = fc.record<ExecRight>(
  {
    items: part([['git'], ['git', 'push'], ['npm', 'test'], ['rm', '-rf', '/']] as const),
    env: fc.oneof(part(['CI', 'FOO']), fc.constant([])),
    users: part(['', 'bob', 'root']),
    cwd: fc.constantFrom('/', '/srv', '/srv/app', '/srvx'),
    timeoutMs: fc.constantFrom(1, 10, 100),
    maxOutputBytes: fc.constantFrom(1, 10, 100),
    tty: fc.boolean(),
  },
  { requiredKeys: ['items', 'env', 'users', 'tty'] },
)
const args = fc.record({
  ...{ exe: fc.constantFrom('git', 'npm', 'rm'), argv: fc.constantFrom<string[][]>([], ['push'], ['test'], ['-rf', '/'], ['push', '-f']) },
  ...{ env: fc.subarray(['CI', 'FOO']), user: fc.constantFrom('', 'bob', 'root'), cwd: fc.constantFrom('', '/', '/srv', '/srv/app/x', '/srvx') },
  ...{ timeoutMs: fc.constantFrom(0, 1, 10, 100), maxOutputBytes: fc.constantFrom(0, 1, 10, 100), tty: fc.boolean() },
})

test('what is within a right lets nothing through that the right does not, and a right is within itself', () => {
  fc.assert(
    fc.property(right, right, fc.array(args, { minLength: 20, maxLength: 20 }), (child, parent, many) => {
      expect(exceeding(child, child)).toBeUndefined()
      if (exceeding(child, parent) !== undefined) return
      for (const one of many) {
        const may = (policy: ReturnType<typeof compileExec>): boolean => evaluate(policy, { ...EXEC_ARGS, ...one }).verdict === 'true'
        if (may(compileExec(child))) expect(may(compileExec(parent))).toBe(true)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('being within is transitive', () => {
  fc.assert(
    fc.property(right, right, right, (a, b, c) => {
      if (exceeding(a, b) === undefined && exceeding(b, c) === undefined) expect(exceeding(a, c)).toBeUndefined()
    }),
    { numRuns: 5_000 },
  )
})

test('the bound on output is read back from its policy', () => {
  const { pol } = parseRight('exec: git; output 1MiB')
  expect(readExec(pol)).toMatchObject({ maxOutputBytes: 1_048_576 })
})
