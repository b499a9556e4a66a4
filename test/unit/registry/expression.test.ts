/** `--on EXPR`: what it means for a device, and how a mistake is told. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ErrandError } from '../../../src/base/errors.ts'
import { type Expression, parseExpression } from '../../../src/registry/expression.ts'
import { byBusiness, type DeviceFacts, fits } from '../../../src/registry/facts.ts'

const GPU1: DeviceFacts = {
  names: ['gpu1', 'did:key:z6MkGpu', '12D3KooWGpu'],
  trust: 'trusted',
  labels: { room: 'attic', rack: '7' },
  said: { os: 'linux', arch: 'x64', cpus: 8, memoryBytes: 16 * 2 ** 30, gpus: 2, tools: ['docker', 'git'], sandbox: 'files' },
}
/** It is a member, and has said nothing. */
const SILENT: DeviceFacts = { names: ['silent'], trust: 'verified', labels: { room: 'cellar' } }
const OLD: DeviceFacts = { names: ['old'], trust: 'verified', labels: {}, said: { os: 'darwin', arch: 'arm64', cpus: 4, memoryBytes: 2 ** 30 } }

const judged = (text: string, facts = GPU1): boolean | undefined => fits(parseExpression(text), facts)

test.each([
  ['os=linux', true],
  ['os!=linux', false],
  ['os = linux', true],
  ['arch=x86_64', true],
  ['cpus>=8 & memory>=8G', true],
  ['memory>16GiB', false],
  ['memory=16G', true],
  ['memory>=16GB', true],
  ['gpu', true],
  ['gpu>=3', false],
  ['gpu>=1 & os=linux', true],
  ['tool.docker', true],
  ['!tool.podman', true],
  ['label.room=attic', true],
  ['label.room="attic"', true],
  ['label.rack<10', true],
  ['label.rack=7.0', true],
  ['label.floor', false],
  ['label.floor!=2', true],
  ['device=gpu1', true],
  ["device='12D3KooWGpu'", true],
  ['trust=trusted', true],
  ['trust>=verified', true],
  ['trust<verified', false],
  ['sandbox>=processes', true],
  ['sandbox', true],
  ['os=darwin | cpus=8 & gpu', true],
  ['(os=darwin | cpus=8) & gpu=0', false],
  ['os=darwin | cpus=8 & gpu=0', false],
  ['!(os=darwin)', true],
  ['!!os=linux', true],
])('%s is %s for a device that is known', (text, expected) => {
  expect(judged(text)).toBe(expected)
})

test('what is not known fits nothing, and neither does its opposite; what is decided without it counts', () => {
  for (const text of [
    'os=linux',
    'os!=linux',
    '!os=linux',
    'gpu',
    '!gpu',
    'tool.git',
    'memory<1G',
    'label.floor',
    '!label.floor',
    'os=linux & label.room=cellar',
  ])
    expect([text, judged(text, SILENT)]).toEqual([text, undefined])
  for (const text of ['label.room=cellar', 'os=linux | label.room=cellar', 'trust=verified', 'device=silent'])
    expect([text, judged(text, SILENT)]).toEqual([text, true])
  expect(judged('os=linux & label.room=attic', SILENT)).toBe(false)
})

test('a device of a version that says nothing of GPUs and tools is not taken for one without', () => {
  for (const text of ['gpu', '!gpu', 'gpu=0', 'tool.git', '!tool.git', 'sandbox']) expect([text, judged(text, OLD)]).toEqual([text, undefined])
  expect([judged('os=macos', OLD), judged('arch=aarch64', OLD)]).toEqual([true, true])
})

test.each([
  ['', 1, 'an expression is missing', undefined],
  ['gpus>=1', 1, 'no "gpus" is known of devices', 'gpu'],
  ['os=linux & memroy>8G', 12, 'no "memroy" is known', 'memory'],
  ['os=linux &', 11, 'a name expected, and it ends here', undefined],
  ['os=linux cpus=2', 10, '& or | expected, not "c"', undefined],
  ['os=linux && gpu', 11, 'one & is enough', undefined],
  ['(os=linux', 1, 'this parenthesis is never closed', undefined],
  ['os=linux)', 9, '& or | expected, not ")"', undefined],
  ['os<linux', 3, 'os is text: compare it by = or !=', undefined],
  ['cpus>many', 6, 'cpus: "many" is no number', undefined],
  ['memory>8X', 8, 'memory: "8X" is no size', undefined],
  ['tool.git>=2', 9, 'tool.git is there or is not', undefined],
  ['tool', 1, 'tool of what? write tool.NAME', undefined],
  ['os.linux', 1, 'os has nothing behind a dot', undefined],
  ['trust>=trustd', 8, '"trustd" is no level', undefined],
  ['label.a<b', 9, '< compares numbers', undefined],
  ['label.a="b', 9, 'this quote is never closed', undefined],
  ['os=', 4, 'os= what? a value is missing', undefined],
  [`${'!'.repeat(40)}gpu`, 33, 'more than 32 levels', undefined],
])('%j is a mistake at column %i: %s', (text, column, message, near) => {
  const fault = faultOf(text)
  expect([fault.code, fault.fields['column'], fault.fields['near']]).toEqual(['BAD_EXPRESSION', column, near])
  expect(fault.message).toContain(message)
})

function faultOf(text: string): ErrandError {
  try {
    parseExpression(text)
  } catch (thrown) {
    if (thrown instanceof ErrandError) return thrown
  }
  throw new Error(`no fault in ${text}`)
}

const terms = fc.constantFrom('os=linux', 'cpus>4', 'gpu', 'label.room=attic', 'label.floor', 'tool.git', 'os=darwin')
const expressions = fc.letrec<{ one: Expression; text: string }>((tie) => ({
  one: fc.constant({ t: 'term', name: 'gpu' } satisfies Expression),
  text: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    terms,
    fc.tuple(tie('text'), fc.constantFrom('&', '|', ' & ', ' | '), tie('text')).map(([left, sign, right]) => `(${String(left)})${sign}(${String(right)})`),
    tie('text').map((inner) => `!(${String(inner)})`),
  ),
})).text

test('any expression means the same with and without spaces, and twice not is nothing', async () => {
  await fc.assert(
    fc.property(expressions, fc.constantFrom(GPU1, SILENT, OLD), (text, facts) => {
      const said = judged(text, facts)
      expect(judged(text.replaceAll(/([&|!()=<>]+)/g, ' $1 '), facts)).toBe(said)
      expect(judged(`!!(${text})`, facts)).toBe(said)
      expect(judged(`!(${text})`, facts)).toBe(said === undefined ? undefined : !said)
      expect(judged(`(${text}) | !(${text})`, facts)).toBe(said === undefined ? undefined : true)
      expect(judged(`(${text}) & !(${text})`, facts)).toBe(said === undefined ? undefined : false)
    }),
  )
})

test('whatever is typed, it is an expression or a mistake with a column in it; nothing else', async () => {
  const letters = fc.constantFrom(...'os cpus memory gpu tool. label.x = != < > <= & | ! ( ) " \' 8G 1 linux'.split(' '), ' ', '\u0000', 'ü')
  await fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(letters, { maxLength: 40 }).map((all) => all.join('')),
      ),
      (text) => {
        try {
          fits(parseExpression(text), GPU1)
        } catch (thrown) {
          const { code, fields } = thrown as ErrandError
          expect(code).toBe('BAD_EXPRESSION')
          expect(fields['column']).toBeGreaterThanOrEqual(1)
          expect(fields['column']).toBeLessThanOrEqual(text.length + 1)
        }
      },
    ),
    { numRuns: 2_000 },
  )
})

test('the least busy comes first: free places, then load for each CPU, then the name', () => {
  const busy = [
    { name: 'full', freeSlots: 0, load: 0, cpus: 8 },
    { name: 'b', freeSlots: 4, load: 2, cpus: 8 },
    { name: 'a', freeSlots: 4, load: 2, cpus: 8 },
    { name: 'small', freeSlots: 4, load: 1, cpus: 1 },
    { name: 'idle', freeSlots: undefined, load: 0, cpus: 1 },
  ]
  expect([...busy].sort(byBusiness).map(({ name }) => name)).toEqual(['idle', 'a', 'b', 'small', 'full'])
})
