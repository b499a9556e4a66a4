import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileExec, type ExecRight, readExec } from '../../../src/authority/items.ts'
import { evaluate, parsePolicy } from '../../../src/authority/policy.ts'
import { parseRight, sayRight } from '../../../src/authority/rights.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import { EXEC_ARGS } from './world.ts'

const allows = (right: string, args: object): boolean => evaluate(parseRight(right).pol, { ...EXEC_ARGS, ...args }).verdict === 'true'
const said = (right: string): string => {
  const { cmd, pol } = parseRight(right)
  return sayRight(cmd, pol)
}

test.each([
  ['exec: git', 'exec: git …'],
  ['exec:git,npm test', 'exec: git …, npm test …'],
  [' exec : npm  test … ', 'exec: npm test …'],
  ['exec: npm test ...', 'exec: npm test …'],
  ['exec: git, git', 'exec: git …'],
  ['exec: *', 'exec: *'],
  ['exec: npm test; env CI, FOO; cwd /srv/app; timeout 10m; tty', 'exec: npm test …; env CI, FOO; cwd /srv/app; timeout 10m; tty'],
  ['exec: x; tty; user alice; timeout 90s; env *', 'exec: x …; env *; user alice; timeout 90s; tty'],
  ['exec: x; timeout 90s; output 10 MiB', 'exec: x …; timeout 90s; output 10MiB'],
  ['exec: x; output 1000', 'exec: x …; output 1000B'],
  ['exec: x; user "", bob', 'exec: x …; user "", bob'],
  ['exec: x; user *; cwd /', 'exec: x …; user *; cwd /'],
  ['exec: x; cwd "/srv/my app"', 'exec: x …; cwd "/srv/my app"'],
  ['exec: make "a b" "," ";" "\\"" ""', 'exec: make "a b" "," ";" "\\"" "" …'],
  ['exec: echo "*" "…" a*b', 'exec: echo "*" "…" a*b …'],
  ['exec: echo "\\n\\u200b"', 'exec: echo "\\n\\u200b" …'],
  ['audit:read', 'audit: read'],
  ['device: info', 'device: info'],
  ['everything', 'everything'],
  ['/', 'everything'],
  ['/exec/run', '/exec/run'],
  ['/audit/read', 'audit: read'],
  ['/task', '/task'],
])('%s is said as %s, and means the same when typed again', (typed, words) => {
  expect(said(typed)).toBe(words)
  expect(parseRight(words)).toEqual(parseRight(typed))
  expect(() => parsePolicy(parseRight(typed).pol)).not.toThrow()
})

test('git is any use of git, npm test is npm with test first', () => {
  expect(allows('exec: git', { exe: 'git', argv: [] })).toBe(true)
  expect(allows('exec: git', { exe: 'git', argv: ['push', '--force'] })).toBe(true)
  expect(allows('exec: git', { exe: 'gitk', argv: [] })).toBe(false)
  expect(allows('exec: npm test', { argv: ['test', '--watch'] })).toBe(true)
  expect(allows('exec: npm test', { argv: [] })).toBe(false)
  expect(allows('exec: npm test', { argv: ['--x', 'test'] })).toBe(false)
  expect(allows('exec: npm "run build"', { argv: ['run', 'build'] })).toBe(false)
})

test('environment, terminal and user are closed unless opened', () => {
  for (const closed of [{ env: ['CI'] }, { tty: true }, { user: 'root' }]) expect(allows('exec: *', closed)).toBe(false)
  expect(allows('exec: *; env CI, FOO', { env: ['CI'] })).toBe(true)
  expect(allows('exec: *; env CI, FOO', { env: [] })).toBe(true)
  expect(allows('exec: *; env CI', { env: ['CI', 'LD_PRELOAD'] })).toBe(false)
  expect(allows('exec: *; env *', { env: ['ANY'] })).toBe(true)
  expect(allows('exec: *; tty', { tty: true })).toBe(true)
  expect(allows('exec: *; tty', { tty: false })).toBe(true)
  expect(allows('exec: *; user bob', { user: 'bob' })).toBe(true)
  expect(allows('exec: *; user bob', { user: '' })).toBe(false)
})

test('a directory is itself and what lies below, a timeout must be declared', () => {
  for (const cwd of ['/srv/app', '/srv/app/x', '/srv/app/x/y']) expect(allows('exec: *; cwd /srv/app', { cwd })).toBe(true)
  for (const cwd of ['', '/', '/srv', '/srv/application', '/srv/app2/x']) expect(allows('exec: *; cwd /srv/app', { cwd })).toBe(false)
  expect(allows('exec: *; cwd "/srv/a*"', { cwd: '/srv/abc/x' })).toBe(false)
  expect(allows('exec: *; cwd "/srv/a*"', { cwd: '/srv/a*/x' })).toBe(true)
  expect(allows('exec: *; timeout 10m', { timeoutMs: 600_000 })).toBe(true)
  expect(allows('exec: *; timeout 10m', { timeoutMs: 600_001 })).toBe(false)
  expect(allows('exec: *; timeout 10m', { timeoutMs: 0 })).toBe(false)
  for (const [bytes, may] of [
    [0, false],
    [1, true],
    [1_024, true],
    [1_025, false],
  ] as const)
    expect(allows('exec: *; output 1KiB', { maxOutputBytes: bytes })).toBe(may)
})

test.each([
  '',
  'exec',
  'exec:',
  'exec: ,',
  'exec: git,',
  'exec: ; tty',
  'exec: *, git',
  'exec: git *',
  'exec: … git',
  'exec: …',
  'exec: "git',
  'exec: gi"t',
  'exec: "a"b',
  'exec: "\\x"',
  'exec: git; tty; tty',
  'exec: git; tty x',
  'exec: git; env',
  'exec: git; env A B',
  'exec: git; env A=1',
  'exec: git; cwd srv',
  'exec: git; cwd /a, /b',
  'exec: git; cwd /a/../b',
  'exec: git; sudo',
  'exec: git; output 0',
  'exec: git; "tty"',
  'exec: git;',
  'exec: "\\u0000"',
  'exec: "a\\u200b"',
  'exec: x "\\ud800"',
  'exec: cafe\u0301',
  'run: git',
  'git',
  'audit: write',
  '/exec/run-as-root',
  '/audit/purge',
  '/device/set-trust',
  '/Exec/run',
  '/exec/',
  'exec/run',
  `exec: ${'x,'.repeat(40)}x`,
  `exec: ${'x'.repeat(5_000)}`,
])('not a right: %j', (text) => {
  try {
    parseRight(text)
    expect.unreachable()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ErrandError)
    expect(thrown).toMatchObject({ code: 'BAD_RIGHT', hint: expect.stringMatching(/./) })
  }
})

test('a bad timeout says so', () => expect(() => parseRight('exec: git; timeout soon')).toThrowError(expect.objectContaining({ code: 'BAD_DURATION' })))

test('a policy that no text makes is said in full and not taken back', () => {
  const { pol } = parseRight('exec: git')
  const others = [
    [...pol].reverse(),
    [['==', '.env', ['CI']]] as const,
    [...pol, ['not', ['like', '.argv[0]', 'push*']]] as const,
    [...pol, ['==', '.stdin', false]] as const,
    [
      [
        'or',
        [
          ['==', '.exe', 'git'],
          ['==', '.user', 'root'],
        ],
      ],
    ] as const,
    [['any', '.argv', ['==', '.', 'x\u200b']]] as const,
  ]
  for (const policy of others) {
    const words = sayRight('/exec/run', policy)
    expect(words).toMatch(/^\/exec\/run where /)
    expect(() => parseRight(words)).toThrow()
  }
  expect(sayRight('/exec/run', others[5] ?? [])).toBe('/exec/run where one of .argv has . == "x\\u200b"')
  expect(sayRight('/audit/read', pol)).toMatch(/^\/audit\/read where /)
})

const word = fc
  .oneof(
    fc.constantFrom('git', 'npm', 'test', '*', '…', '', 'a b', 'x;y', '"', '\\', "'", '-x', 'tty', 'env'),
    fc.string({ maxLength: 5 }),
    fc.string({ unit: 'grapheme', maxLength: 3 }),
  )
  .filter((text) => !/[\0\p{Cs}]/u.test(text))
const exe = word.map((text) => text.replace(/[\p{Cc}\p{Cf}]/gu, '').normalize('NFC')).filter((text) => text !== '' && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text))
const execRight = fc.record<ExecRight>(
  {
    items: fc.oneof(
      fc.constant('*' as const),
      fc.uniqueArray(
        fc.tuple(exe, fc.array(word, { maxLength: 2 })).map(([name, argv]) => [name, ...argv] as const),
        { minLength: 1, maxLength: 4, selector: (item) => JSON.stringify(item) },
      ),
    ),
    env: fc.oneof(fc.constant('*' as const), fc.constant([]), fc.uniqueArray(fc.constantFrom('CI', 'FOO', '_x'), { minLength: 1 })),
    users: fc.oneof(fc.constant('*' as const), fc.constant(['']), fc.uniqueArray(fc.constantFrom('', 'bob', 'my user', '*'), { minLength: 1 })),
    cwd: fc.constantFrom('/', '/srv', '/srv/a*', '/a b/"'),
    timeoutMs: fc.oneof(fc.integer({ min: 1, max: 10_000_000 }), fc.constantFrom(1_000, 600_000, 86_400_000)),
    maxOutputBytes: fc.oneof(fc.integer({ min: 1, max: 10_000_000 }), fc.constantFrom(1_024, 10_485_760)),
    tty: fc.boolean(),
  },
  { requiredKeys: ['items', 'env', 'users', 'tty'] },
)

test('whatever can be granted is said in words that parse to the very same right', () => {
  fc.assert(
    fc.property(execRight, (right) => {
      const pol = compileExec(right)
      expect(readExec(pol)).toEqual(right)
      expect(parseRight(sayRight('/exec/run', pol))).toEqual({ cmd: '/exec/run', pol })
    }),
    { numRuns: 1_000 },
  )
})

/** What the words promise, read slowly. */
function promised(
  { items, env, users, cwd, timeoutMs, maxOutputBytes, tty }: ExecRight,
  args: { exe: string; argv: string[]; env: string[]; user: string; cwd: string; timeoutMs: number; maxOutputBytes: number; tty: boolean },
): boolean {
  const command =
    items === '*' || items.some(([name, ...argv]) => name === args.exe && argv.length <= args.argv.length && argv.every((arg, i) => arg === args.argv[i]))
  const names = env === '*' || args.env.every((name) => env.includes(name))
  const user = users === '*' || users.includes(args.user)
  const place = cwd === undefined || args.cwd === cwd || (cwd === '/' ? args.cwd.startsWith('/') : args.cwd.startsWith(`${cwd}/`))
  const time = timeoutMs === undefined || (args.timeoutMs > 0 && args.timeoutMs <= timeoutMs)
  const output = maxOutputBytes === undefined || (args.maxOutputBytes > 0 && args.maxOutputBytes <= maxOutputBytes)
  return command && names && user && place && time && output && (tty || !args.tty)
}

test('the policy admits exactly what the words promise', () => {
  let admitted = 0
  const scene = execRight.chain((right) => {
    const [first] = right.items === '*' ? [] : right.items
    return fc.record({
      right: fc.constant(right),
      args: fc.record({
        exe: fc.oneof(fc.constant(first?.[0] ?? 'git'), exe),
        argv: fc.oneof(
          fc.array(word, { maxLength: 3 }).map((more): string[] => [...(first?.slice(1) ?? []), ...more]),
          fc.array(word, { maxLength: 3 }),
        ),
        env: fc.subarray(['CI', 'FOO', '_x', 'Z']),
        user: fc.constantFrom('', '', 'bob', 'root'),
        cwd: fc.constantFrom('', '/', '/srv', '/srv/x', '/srv/a*/b', '/a b/"/c'),
        timeoutMs: fc.constantFrom(0, 1, 1_000, 600_000),
        maxOutputBytes: fc.constantFrom(0, 1, 1_024, 10_485_760),
        tty: fc.boolean(),
      }),
    })
  })
  fc.assert(
    fc.property(scene, ({ right, args }) => {
      const expected = promised(right, args)
      if (expected) admitted++
      expect(evaluate(compileExec(right), { ...EXEC_ARGS, ...args }).verdict === 'true').toBe(expected)
    }),
    { numRuns: 3_000 },
  )
  expect(admitted).toBeGreaterThan(50)
})
