/** What policies say about a request: they only narrow, a no wins, and no other name of a program slips past. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { judgePolicy, judgeTrust, type Request } from '../../../src/policy/judge.ts'
import { command, ground, layerOf, somebody } from './ground.ts'

const judge = (text: string, request: Request) => judgePolicy([layerOf(text)], request, ground)

test.each<[string, readonly string[]]>([
  ['its name', ['rm', '-r', '/']],
  ['its path', ['/bin/rm', '-r', '/']],
  ['another path of it', ['/usr/bin/rm']],
  ['a link to it', ['/tmp/link', 'x']],
  ['a hard link to it', ['/tmp/hard', 'x']],
  ['its name in other letters', ['RM']],
  ['its path in other letters', ['/bin/RM']],
  ['full-width letters', ['ｒｍ']],
])('what is denied by name is denied by %s', (_, words) => {
  expect(judge('exec: { deniedCommands: [rm] }', command(words))).toMatchObject({ t: 'deny', rule: 'exec.deniedCommands' })
})

test('what is denied by path is denied by name, and what is another file is not', () => {
  expect(judge('exec: { deniedCommands: [/bin/rm] }', command(['rm'])).t).toBe('deny')
  expect(judge('exec: { deniedCommands: [/bin/rm] }', command(['/tmp/link'])).t).toBe('deny')
  expect(judge('exec: { deniedCommands: [/bin/rm] }', command(['git'])).t).toBe('allow')
})

test('arguments count from the first on, and in any spelling of their letters', () => {
  expect(judge('exec: { deniedCommands: ["git push"] }', command(['git', 'push', '--force'])).t).toBe('deny')
  expect(judge('exec: { deniedCommands: ["git push"] }', command(['git', 'status'])).t).toBe('allow')
  expect(judge('exec: { deniedCommands: ["git pé"] }', command(['git', 'pe\u0301'])).t).toBe('deny')
})

test('one file with many commands is told apart by its names, and what it is asked to be counts', () => {
  expect(judge('exec: { deniedCommands: [wget] }', command(['wget'])).t).toBe('deny')
  expect(judge('exec: { deniedCommands: [wget] }', command(['busybox', 'wget', 'x'])).t).toBe('deny')
  expect(judge('exec: { deniedCommands: [wget] }', command(['/bin/busybox', 'wget'])).t).toBe('deny')
  expect(judge('exec: { deniedCommands: [wget] }', command(['nc'])).t).toBe('allow')
})

test('what is allowed is that very program: a copy of the same name elsewhere is not, its own path is', () => {
  const text = 'exec: { allowedCommands: [git, "rm -i"] }'
  expect(judge(text, command(['git', 'log'])).t).toBe('allow')
  expect(judge(text, command(['/usr/bin/git'])).t).toBe('allow')
  expect(judge(text, command(['/tmp/git'])).t).toBe('deny')
  expect(judge(text, command(['GIT'])).t).toBe('deny')
  expect(judge(text, command(['/tmp/link', '-i'])).t).toBe('deny')
  expect(judge(text, command(['rm', '-f'])).t).toBe('deny')
  expect(judge(text, command(['rm', '-i', 'x'])).t).toBe('allow')
  expect(judge('exec: { allowedCommands: [] }', command(['git']))).toMatchObject({ t: 'deny', detail: expect.stringContaining('no command is allowed here') })
  expect(judge('exec: { allowedCommands: [/usr/bin/nowhere] }', command(['nowhere'])).t).toBe('deny')
})

test('a no wins over a yes and over a question', () => {
  const text = 'exec: { allowedCommands: ["*"], deniedCommands: [rm], requireApproval: true }'
  expect(judge(text, command(['rm'])).t).toBe('deny')
  expect(judge(text, command(['git'])).t).toBe('approval')
})

test.each<[string, string, boolean]>([
  ['the directory itself', '/srv/app', true],
  ['one below', '/srv/app/src', true],
  ['another name of it', '/alias', true],
  ['one that only begins alike', '/srv/app2', false],
  ['a link that leads out', '/srv/link', false],
  ['none', '', false],
  ['one that is not there', '/nowhere', false],
])('of directories, %s', (_, at, isAllowed) => {
  expect(judge('exec: { allowedWorkDirs: [/srv/app] }', command(['git'], { at })).t).toBe(isAllowed ? 'allow' : 'deny')
})

test('users, terminals, input and time', () => {
  expect(judge('exec: { allowedUsers: [node] }', command(['git'])).t).toBe('allow')
  expect(judge('exec: { allowedUsers: [build] }', command(['git'])).t).toBe('deny')
  expect(judge('exec: { allowedUsers: [node] }', command(['git'], { user: 'root' })).t).toBe('deny')
  expect(judge('exec: { allowTty: false }', command(['git'], { tty: true })).t).toBe('deny')
  expect(judge('exec: { allowInteractive: false }', command(['git'], { stdin: true })).t).toBe('deny')
  expect(judge('exec: { maxTimeout: 1m }', command(['git'], { timeoutMs: 60_001 })).t).toBe('deny')
  expect(judge('exec: { maxTimeout: 1m }', command(['git'], { timeoutMs: 60_000 }))).toEqual({ t: 'allow', timeoutMs: 60_000 })
  expect(judge('exec: { maxTimeout: 1m }', command(['git'])), 'who asks for no end gets one').toEqual({ t: 'allow', timeoutMs: 60_000 })
})

test('of several policies the narrowest counts, whichever it is, and a workspace cannot widen', () => {
  const device = layerOf('exec: { deniedCommands: [rm], maxTimeout: 1m, allowedWorkDirs: [/srv/app] }')
  const wide = layerOf('exec: { allowedCommands: ["*"], maxTimeout: 1h, allowedWorkDirs: [/] }', 'workspace', '/srv/app')
  const narrow = layerOf('exec: { maxTimeout: 5s, allowedWorkDirs: [src] }', 'workspace', '/srv/app')
  expect(judgePolicy([device, wide], command(['rm'], { at: '/srv/app' }), ground)).toMatchObject({ t: 'deny', layer: device })
  expect(judgePolicy([device, wide], command(['git'], { at: '/srv/app2' }), ground).t).toBe('deny')
  expect(judgePolicy([device, wide, narrow], command(['git'], { at: '/srv/app/src' }), ground)).toEqual({ t: 'allow', timeoutMs: 5_000 })
  expect(judgePolicy([device, wide, narrow], command(['git'], { at: '/srv/app' }), ground)).toMatchObject({ t: 'deny', layer: narrow })
})

test('more policies never allow what fewer refuse', async () => {
  const text = fc.record({
    exec: fc.record(
      {
        allowedCommands: fc.subarray(['git', 'rm', 'wget', '"*"']),
        deniedCommands: fc.subarray(['git', 'rm -r', '/bin/busybox', 'nc']),
        allowedWorkDirs: fc.subarray(['/srv/app', '/']),
        requireApproval: fc.boolean(),
        allowTty: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
  })
  const layer = text.map(({ exec }) =>
    layerOf(
      `exec: { ${Object.entries(exec)
        .map(([k, v]) => `${k}: ${Array.isArray(v) ? `[${v.join(', ')}]` : v}`)
        .join(', ')} }`,
    ),
  )
  const request = fc
    .record({
      words: fc.constantFrom(['git'], ['rm', '-r'], ['/tmp/link', '-r'], ['busybox', 'nc'], ['wget']),
      at: fc.constantFrom('', '/srv/app'),
      tty: fc.boolean(),
    })
    .map(({ words, ...more }) => command(words, more))
  const RANK = { allow: 0, approval: 1, deny: 2 } as const
  await fc.assert(
    fc.property(fc.array(layer, { maxLength: 3 }), layer, request, (few, one, asked) => {
      const fewer = judgePolicy(few, asked, ground)
      for (const more of [
        [...few, one],
        [one, ...few],
      ])
        expect(RANK[judgePolicy(more, asked, ground).t]).toBeGreaterThanOrEqual(RANK[fewer.t])
    }),
  )
})

test('trust: nobody is trusted unless somebody says so; a device trusts itself, unless its policy wants to be told', () => {
  const trust = (text: string, more: Partial<Request>) => judgeTrust([layerOf(text)], { ...somebody, ...more }).t
  expect(trust('enforceTrust: true', {})).toBe('deny')
  expect(trust('enforceTrust: true', { trust: 'untrusted' })).toBe('deny')
  expect(trust('enforceTrust: true', { trust: 'verified' })).toBe('allow')
  expect(trust('minimumTrustLevel: trusted', { trust: 'verified' })).toBe('deny')
  expect(trust('minimumTrustLevel: trusted', { isSelf: true })).toBe('allow')
  expect(trust('minimumTrustLevel: trusted\nautoTrustLocal: false', { isSelf: true })).toBe('deny')
  expect(trust('allowedRoles: [a]', {})).toBe('allow')
})

test('roles, skills and agents', () => {
  const ask = (text: string, more: Partial<Request>) => judge(text, { ...somebody, ...more }).t
  expect(ask('allowedRoles: [ci]', { roles: ['developer'] })).toBe('deny')
  expect(ask('allowedRoles: [ci]', { roles: ['developer', 'ci'] })).toBe('allow')
  expect(ask('allowedRoles: []', { isSelf: true })).toBe('allow')
  expect(ask('deniedSkills: [wipe]', { skill: 'wipe' })).toBe('deny')
  expect(ask('deniedSkills: [wipe]', { agent: 'a', skills: ['wipe'] })).toBe('deny')
  expect(ask('requiredSkills: [review]', { agent: 'a', skills: [] })).toBe('deny')
  expect(ask('skillPolicies: { deploy: { dangerous: true } }', { skill: 'deploy' })).toBe('approval')
  expect(ask('skillPolicies: { deploy: { requiredPermissions: ["task:submit"] } }', { skill: 'deploy' })).toBe('deny')
  expect(ask('skillPolicies: { deploy: { requiredPermissions: ["task:submit"] } }', { skill: 'deploy', may: (what) => what === 'task:submit' })).toBe('allow')
  expect(ask('skillPolicies: { deploy: { requireDeviceTrust: true } }', { skill: 'deploy', trust: 'verified' })).toBe('deny')
  expect(ask('skillPolicies: { deploy: { requireDeviceTrust: verified } }', { skill: 'deploy', trust: 'verified' })).toBe('allow')
  expect(ask('agentPolicies: { bot: { allowedRoles: [ci] } }', { agent: 'bot' })).toBe('deny')
  expect(ask('agentPolicies: { bot: { allowedRoles: [ci] } }', { agent: 'constructor' })).toBe('allow')
})
