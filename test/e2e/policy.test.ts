/** A policy on a device that others may use: it narrows, an edit counts at once, a broken file keeps the last good one, a rate is a rate. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Status } from '../../protocols/local/messages.ts'
import { couple } from '../support/mesh.ts'
import { failureOf, jsonOf, type Node, until, type World } from '../support/world.ts'

let w: World
let alice: Node
let bob: Node
beforeAll(async () => {
  ;({ w, alice, bob } = await couple({ bob: { invite: ['--ask', 'exec: *'] } }))
})
afterAll(() => w[Symbol.asyncDispose]())

const policy = (text: string): void => writeFileSync(join(bob.home, 'policy.yaml'), text, { mode: 0o600 })
const run = async (...command: string[]): Promise<number | null> => (await w.run(alice.home, 'bob', ...command)).code

test('what a policy forbids is not run, by no other name; who is refused hears the rule, and the log the policy', async () => {
  expect(await run('ls')).toBe(0)
  policy('exec:\n  deniedCommands: [ls]\n  maxTimeout: 1s\n')
  for (const exe of ['ls', '/bin/ls', '/usr/bin/../bin/ls']) expect(await run(exe), exe).toBe(126)
  const refused = await w.errand(alice.home, 'run', 'bob', '--json', '--', 'ls')
  expect(failureOf(refused)).toMatchObject({
    code: 'DENIED',
    message: 'ls is denied here (exec.deniedCommands, policy.yaml line 2)',
    fields: { step: 'policy', reason: 'POLICY', rule: 'exec.deniedCommands' },
  })
  expect(await run('sleep', '30'), 'a command without an end gets one').toBe(124)
  const denied = (await w.audit(bob.home, '--action', 'exec.denied')).at(-1)
  expect(denied?.policyApplied).toMatch(/^policy\.yaml@[0-9a-f]{16}$/)
})

test('the policy of a workspace counts for what runs in it', async () => {
  const at = w.at('work')
  mkdirSync(join(at, '.errand'), { recursive: true, mode: 0o700 })
  writeFileSync(join(at, '.errand', 'security.yaml'), 'exec: { allowedCommands: [pwd] }\n', { mode: 0o600 })
  const there = async (exe: string): Promise<number | null> => (await w.errand(alice.home, 'run', 'bob', '--cwd', at, '--', exe)).code
  expect([await there('pwd'), await there('env'), await run('env')]).toEqual([0, 126, 0])
  const shown = await w.errand(bob.home, 'policy', 'show', '--cwd', at, '--json')
  expect(jsonOf(shown)).toMatchObject({ rules: expect.arrayContaining([{ rule: 'exec.allowedCommands', value: 'pwd', from: '.errand/security.yaml line 1' }]) })
})

test('a broken file keeps the last good policy, says so, and outlives a restart', async () => {
  policy('exec:\n  deniedCommand: [pwd]\n')
  expect([await run('ls'), await run('pwd')]).toEqual([126, 0])
  const checked = await w.errand(bob.home, 'policy', 'check')
  expect(checked).toMatchObject({ code: 1, stdout: 'policy.yaml:2:3 exec.deniedCommand: unknown field "deniedCommand", did you mean "deniedCommands"?\n' })
  await bob.stop()
  bob = await w.up(bob.home)
  await w.connected(alice.home, 'bob')
  expect(await run('ls')).toBe(126)
  const { healthy, problems } = jsonOf<Status>(await w.errand(bob.home, 'status', '--json'))
  expect({ healthy, problems }).toEqual({ healthy: false, problems: [expect.stringContaining('policy.yaml: line 2: exec.deniedCommand: unknown field')] })
  expect((await w.audit(bob.home, '--action', 'policy.invalid')).length).toBeGreaterThanOrEqual(2)
})

test('whoever asks too often is told when to come again; the device itself is not counted', async () => {
  policy('rateLimit: { requestsPerMinute: 2 }\n')
  const codes = [await run('true'), await run('true'), await run('true')]
  expect(codes).toEqual([0, 0, 125])
  const refused = await w.errand(alice.home, 'run', 'bob', '--json', '--', 'true')
  expect(failureOf(refused)).toMatchObject({
    code: 'TOO_BUSY',
    hint: expect.stringMatching(/^try again in \d+s$/),
    fields: { reason: 'RATE', requestsPerMinute: 2 },
  })
  for (let i = 0; i < 4; i++) expect((await w.run(bob.home, 'bob', 'true')).code).toBe(0)
})

test('an owner gives the mesh a policy: every device keeps to it beside its own, and nobody else can give one', async () => {
  policy('version: 1\n')
  await until('what bound before is forgotten', async () => (await w.run(alice.home, 'bob', 'true')).code === 0)
  const file = w.at('mesh.yaml')
  writeFileSync(file, 'exec: { deniedCommands: [uname] }\n', { mode: 0o600 })
  expect(failureOf(await w.errand(bob.home, 'policy', 'set', file, '--mesh', '--json'))).toMatchObject({ code: 'NOT_AN_OWNER' })
  expect(jsonOf(await w.errand(alice.home, 'policy', 'set', file, '--mesh', '--json'))).toMatchObject({ acknowledged: ['bob'] })
  for (const home of [alice.home, bob.home])
    expect(await w.run(home, 'bob', 'uname')).toMatchObject({ code: 126, stderr: expect.stringContaining('uname is denied here') })
  expect(jsonOf(await w.errand(bob.home, 'policy', 'show', '--json'))).toMatchObject({
    rules: expect.arrayContaining([{ rule: 'exec.deniedCommands', value: 'uname', from: 'the policy of the mesh line 1' }]),
  })
  expect((await w.errand(alice.home, 'policy', 'unset', '--mesh')).code).toBe(0)
  expect((await w.run(bob.home, 'bob', 'uname')).code).toBe(0)
})
