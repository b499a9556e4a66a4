/** The grep-like checks, each against a line that must be caught and one that must not. */
import { expect, test } from 'vitest'
import { lintText, RULES } from '../../../scripts/lint/text.mjs'

const shared = ['..', 'shared', 'fixtures'].join('/')
const registry = `https://${'regis' + 'try'}.example.org/level`

const CAUGHT: readonly (readonly [rule: string, path: string, line: string])[] = [
  ['clock', 'src/mesh/a.ts', 'const at = Date.now()'],
  ['clock', 'src/mesh/a.ts', 'const at = new Date()'],
  ['clock', 'src/mesh/a.ts', 'const at = performance.now()'],
  ['clock', 'src/mesh/a.ts', 'const n = Math.random()'],
  ['clock', 'src/mesh/a.ts', '  setTimeout(() => end(), 5)'],
  ['clock', 'src/mesh/a.ts', 'const t = setInterval(tick, 5)'],
  ['clock', 'src/mesh/a.ts', "import { setTimeout as wait } from 'node:timers/promises'"],
  ['clock', 'protocols/exec/messages.ts', 'const at = Date.now() // now'],
  ['suppression', 'src/a.ts', '// biome-ignore lint/x: because'],
  ['suppression', 'test/a.test.ts', '// @ts-expect-error wrong on purpose'],
  ['unfinished', 'src/a.ts', '// TODO later'],
  ['unfinished', 'test/a.test.ts', "test.skip('x', () => {})"],
  ['unfinished', 'test/a.test.ts', "describe.only('x', () => {})"],
  ['private', 'docs/a.md', `see ${shared}`],
  ['private', 'README.md', `npm i --${'regis' + 'try'} ${registry}`],
  ['private', 'src/a.ts', `const home = '${['', 'root', '.errand'].join('/')}'`],
  ['length', 'src/a.ts', '\n'.repeat(301)],
]

const PASSED: readonly (readonly [path: string, line: string])[] = [
  ['src/base/clock.ts', 'now: () => Date.now(),'],
  ['src/mesh/a.ts', ' * Date.now is for base/clock.ts'],
  ['src/mesh/a.ts', 'run() // never setTimeout() here'],
  ['src/mesh/a.ts', 'clock.setTimeout(5)'],
  ['src/mesh/a.ts', 'const at = new Date(clock.now())'],
  ['test/e2e/a.test.ts', 'const at = Date.now()'],
  ['.ci/run', `npm run conformance -- ${shared}`],
  ['docs/a.md', 'see https://example.org/shared/work'],
  ['src/a.ts', 'this.registry.devices()'],
  ['src/a.ts', '\n'.repeat(300)],
]

test.each(CAUGHT)('%s is caught in %s: %s', (rule, path, text) => {
  expect(lintText([{ path, text }]).map((fault) => fault.rule)).toEqual([rule])
})

test.each(PASSED)('%s may say: %s', (path, text) => {
  expect(lintText([{ path, text }])).toEqual([])
})

test('no rule is without a line that it catches', () => {
  const caught = new Set(CAUGHT.map(([rule]) => rule))
  expect(RULES.filter(({ name }) => !caught.has(name))).toEqual([])
})

test('a fault names the line', () => {
  expect(lintText([{ path: 'src/a.ts', text: 'fine\nDate.now()\n' }])).toMatchObject([{ path: 'src/a.ts', line: 2, rule: 'clock' }])
})
