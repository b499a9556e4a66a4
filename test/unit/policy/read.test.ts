/** A policy is read strictly: nothing unknown, every fault with its place, and no text that costs more than it is worth. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readPolicy } from '../../../src/policy/read.ts'
import type { PolicyKind } from '../../../src/policy/schema.ts'
import { workedMs } from '../../support/worked.ts'

const MOST_MS = 1_500

function faultsIn(text: string, kind: PolicyKind = 'device'): string[] {
  const read = readPolicy(text, kind)
  return read.ok ? [] : read.faults.map(({ line, column, field, message }) => `${line}:${column} ${field}: ${message}`)
}

test('all the words of a policy are read, durations as milliseconds, commands as in an exec: right', () => {
  const read = readPolicy(
    `version: 1
minimumTrustLevel: verified
autoTrustLocal: false
allowedRoles: [developer, ci]
agentPolicies: { planner: { requireDeviceTrust: trusted } }
skillPolicies: { deploy: { dangerous: true, requiredPermissions: ["task:submit", /skill/execute], allowedRoles: [admin], requireDeviceTrust: true } }
requiredSkills: [review]
deniedSkills: [format-disk]
exec:
  allowedCommands: [git, 'npm test', '"a b" c', /usr/bin/env]
  deniedCommands: ["git push", "*"]
  allowedUsers: [build]
  allowedWorkDirs: [/srv/app]
  maxTimeout: 10m
  requireApproval: [git push]
  allowInteractive: false
  allowTty: false
rateLimit: { requestsPerMinute: 60, concurrentLimit: 2, queueSize: 10, queueTimeout: 5m }
`,
    'device',
  )
  expect(read).toMatchObject({
    ok: true,
    policy: {
      minimumTrustLevel: 'verified',
      exec: {
        ...{ allowedCommands: [['git'], ['npm', 'test'], ['a b', 'c'], ['/usr/bin/env']], deniedCommands: [['git', 'push'], '*'] },
        ...{ maxTimeout: 600_000, requireApproval: [['git', 'push']], allowTty: false },
      },
      rateLimit: { requestsPerMinute: 60, queueTimeout: 300_000 },
    },
  })
  expect(read.ok && [read.lineOf(['exec', 'maxTimeout']), read.lineOf(['exec', 'deniedCommands', '1']), read.lineOf(['exec', 'nothing'])]).toEqual([14, 11, 9])
})

test.each<[string, string, RegExp]>([
  ['an unknown field', 'exec:\n  allowedCommand: [git]\n', /^2:3 exec\.allowedCommand: unknown field "allowedCommand", did you mean "allowedCommands"\?$/],
  ['a field in the wrong place', 'deniedCommands: [rm]\n', /^1:1 deniedCommands: "deniedCommands" stands under "exec:"$/],
  ['an unknown condition', 'skillPolicies: { a: { dangrous: true } }', /^1:23 skillPolicies\.a\.dangrous: unknown field .* did you mean "dangerous"\?$/],
  ['a number for a duration', 'exec: { maxTimeout: 5 }', /^1:9 exec\.maxTimeout: must be a duration from 1s to 30d/],
  ['the yes of YAML 1.1', 'enforceTrust: yes', /^1:1 enforceTrust: must be true or false$/],
  ['a section with nothing in it', 'exec:\n', /^1:1 exec: must be a map of fields/],
  ['a list with nothing in it', 'exec:\n  deniedCommands:\n', /^2:3 exec\.deniedCommands: must be a list/],
  ['a relative program', 'exec: { deniedCommands: [./rm] }', /^1:26 exec\.deniedCommands\.0: names a relative path/],
  ['a star within a command', 'exec: { deniedCommands: ["rm *"] }', /is no command: "\*" stands for a whole command/],
  ['a command in letters that only look like it', 'exec: { deniedCommands: ["r\\u200bm"] }', /invisible characters are not allowed/],
  ['a name twice', 'allowedRoles: [a]\nallowedRoles: [b]\n', /^2:1 allowedRoles: is said twice$/],
  ['an alias', 'allowedRoles: &a [x]\ndeniedSkills: *a\n', /anchors and aliases are not used/],
  ['a tag', 'enforceTrust: !!str true', /tags are not used/],
  ['a directive', '%YAML 1.1\n---\nenforceTrust: yes\n', /^1:1 : directives are not used/],
  ['a second document', '---\nversion: 1\n---\nversion: 1\n', /multiple documents/],
  ['a prototype', '__proto__: { allowedRoles: [] }', /"__proto__" is no field/],
  ['a prototype among skills', 'skillPolicies: { constructor: { dangerous: true } }', /"constructor" is no field/],
  ['trust that is looked at and not', 'enforceTrust: false\nminimumTrustLevel: trusted\n', /^1:1 enforceTrust: says that trust is not looked at/],
  ['a relative directory', 'exec: { allowedWorkDirs: [src] }', /must be an absolute directory/],
  ['an unknown permission', 'skillPolicies: { a: { requiredPermissions: [root] } }', /is no permission/],
  ['an example about nothing', 'examples:\n  - expect: allow\n', /^2:5 examples\.0: is about one thing/],
  ['an example that expects nothing', 'examples:\n  - command: ls\n', /examples\.0.*lacks "expect"/],
  ['a newer version', 'version: 2', /a newer errand wrote this/],
  ['half a text', 'exec: { deniedCommands: [rm', /^1:\d+/],
])('%s is a fault with its place', (_, text, said) => {
  expect(faultsIn(text)[0]).toMatch(said)
})

test('every fault is said, in the order of the lines', () => {
  expect(faultsIn('foo: 1\nexec:\n  bar: 2\n  maxTimeout: never\n').map((fault) => fault.split(':')[0])).toEqual(['1', '3', '4'])
})

test('a workspace has no rates, since they are counted before anybody knows where a command will run; its directories are relative to it', () => {
  expect(faultsIn('rateLimit: { concurrentLimit: 1 }', 'workspace')[0]).toMatch(/rateLimit stands in policy\.yaml/)
  expect(faultsIn('exec: { allowedWorkDirs: [., src] }', 'workspace')).toEqual([])
})

test.each<[string, string]>([
  ['a long text', `# ${'x'.repeat(65_536)}`],
  ['lists within lists', '['.repeat(60_000)],
  ['maps within maps', '{a: '.repeat(16_000)],
  ['lists on one line', '- '.repeat(30_000)],
  ['keys on one line', '? '.repeat(30_000)],
  ['maps on one line', 'a: '.repeat(20_000)],
  ['ever deeper lines', Array.from({ length: 350 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ['thousands of fields', Array.from({ length: 6_000 }, (_, i) => `k${i}: 1`).join('\n')],
  ['thousands of items', `allowedRoles: [${'a,'.repeat(30_000)}]`],
  ['quotes', '"'.repeat(60_001)],
  ['tags', '!'.repeat(60_000)],
  ['laughter', `a: &a [x]\n${Array.from({ length: 60 }, (_, i) => `b${i}: &b${i} [*a, *a]`).join('\n')}`],
])('%s is refused before it costs anything', (_, text) => {
  expect(workedMs(() => expect(readPolicy(text, 'workspace').ok).toBe(false))).toBeLessThan(MOST_MS)
})

test('no text makes it throw', async () => {
  const bits = fc.constantFrom(
    'exec:',
    ' ',
    '\n',
    '  ',
    'deniedCommands',
    ':',
    '[',
    ']',
    '{',
    '}',
    '- ',
    '"',
    "'",
    '&a',
    '*a',
    '!!',
    '|',
    '>',
    '%',
    '?',
    '#',
    'rm',
    ',',
    '\t',
    '---',
  )
  await fc.assert(
    fc.property(fc.array(bits, { maxLength: 60 }), (words) => {
      const read = readPolicy(words.join(''), 'device')
      expect(read.ok || read.faults.every(({ line, column }) => line >= 1 && column >= 1)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})
