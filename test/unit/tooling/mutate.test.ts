/** The deleted-guard check finds guards, breaks a copy and no more, and tells who noticed. The whole of it is `npm run mutate`. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { guardsIn, without } from '../../../scripts/mutate/guards.mjs'
import { report } from '../../../scripts/mutate/report.mjs'
import { Breaker, mutantsOf } from '../../../scripts/mutate.mjs'

const SOURCE = `
function open(a: string, b: number) {
  if (a === '' || b > 3) throw new Error('no')
  if (b === 2) { log(a); return { ok: false, code: 'BAD' } }
  if (b === 1) return 'refused'
  if (b === 0) return true
  check(a)
  return first(a) ?? refuseIt(a) ?? refuseThat(b)
}
function check(a: string) { if (a === 'x') throw new Error('x') }
function gate(s: string) {
  if (s === 'fine') return
  throw new Error('not fine')
}
const said = (a: string) => a === 'y' ? undefined : { code: 'NO' }
function cut(c: Line) { if (c.late) return c.abort(new Error('late')) }
function other(c: Line) { c.check() }
`

test('every kind of guard is found, and nothing else', () => {
  const found = guardsIn('x.ts', SOURCE)
  expect(found.map(({ was }) => was)).toEqual([
    ...["a === ''", 'b > 3', 'b === 2', 'b === 1', 'check(a)', 'refuseIt(a)', 'refuseThat(b)', "a === 'x'"],
    ...["throw new Error('not fine')", "a === 'y'", 'c.late'],
  ])
  const [first] = found
  expect(first && without(SOURCE, first)).toContain("if (false || b > 3) throw new Error('no')")
})

test('the guards of every room are found where they stand, and a room without guards is noticed', () => {
  const mutants = mutantsOf()
  expect(mutants.length).toBeGreaterThan(200)
  const rooms = new Map<string, number>()
  for (const { room } of mutants) rooms.set(room, (rooms.get(room) ?? 0) + 1)
  for (const room of ['kernel', 'policy', 'wallet', 'keys', 'bridge', 'gate', 'hello', 'join', 'members', 'exec-host'])
    expect(rooms.get(room), room).toBeGreaterThan(3)
})

test('the page says what survived', () => {
  const page = report('/nowhere', [
    { file: 'src/a.ts', id: 'src/a.ts#0', was: 'a || `b`', noticed: 'x.test.ts: no' },
    { file: 'src/a.ts', id: 'src/a.ts#1', was: 'c' },
  ])
  expect(page).toContain('2 guards, 1 survivors')
  expect(page).toContain("| 0 | `a \\|\\| 'b'` | x.test.ts: no |")
  expect(page).toContain('| 1 | `c` | **nobody** |')
})

test('the page keeps what was not run, also under a new number, and nothing of guards that are gone or that read alike', () => {
  const guard = (n: number, was: string, noticed?: string) => ({ file: 'src/a.ts', id: `src/a.ts#${n}`, was, noticed })
  const page = join(mkdtempSync(join(tmpdir(), 'errand-page-')), 'page.md')
  writeFileSync(page, report(page, [guard(0, 'gone', 'x'), guard(1, 'stays', 'y'), guard(2, 'twice', 'z'), guard(3, 'other', 'o')]))
  const now = report(page, [guard(4, 'other')], [guard(0, 'stays'), guard(1, 'twice'), guard(3, 'twice'), guard(4, 'other')])
  expect(now.split('\n').filter((line) => line.startsWith('| '))).toEqual([
    '| guard | without it | noticed by |',
    '| 0 | `stays` | y |',
    '| 4 | `other` | **nobody** |',
  ])
})

let breaker: Breaker | undefined
afterAll(() => breaker?.close())

test('a deleted guard is noticed by its test, in a copy: the file itself stays as it is', async () => {
  breaker = new Breaker()
  const before = readFileSync('src/authority/glob.ts', 'utf8')
  const [guard] = mutantsOf().filter(({ file }) => file === 'src/authority/seen.ts')
  if (guard === undefined) throw new TypeError('no guard')
  const tests = ['test/unit/authority/verify.test.ts']
  expect(await breaker.break({ ...guard, quick: tests, all: tests })).toContain('verify.test.ts')
  // What no test looks at survives: the same guard, and tests of something else.
  expect(await breaker.break({ ...guard, quick: ['test/unit/base/size.test.ts'], all: [] })).toBeUndefined()
  expect(readFileSync('src/authority/glob.ts', 'utf8')).toBe(before)
}, 240_000)
