/** Roles and groups on real nodes: what somebody may hangs on the role, and a change of the role counts for what runs. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GrantView, JoinView } from '../../protocols/local/messages.ts'
import type { Assigned, GroupChanged, RoleChanged, RoleView, Unassigned } from '../../protocols/local/roles.ts'
import { trio } from '../support/mesh.ts'
import { failureOf, jsonOf, type Node, type Ran, until, type World } from '../support/world.ts'
import { ended, goneFromProc, processesWith, startRun } from './support-exec.ts'

let w: World
let alice: Node
let bob: Node
let carol: Node

beforeAll(async () => {
  ;({ w, alice, bob, carol } = await trio({ carol: { invite: ['--role', 'viewer', '--for', '2h'] }, met: { bob: ['alice', 'carol'] } }))
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

const role = async (...words: string[]): Promise<Ran> => await w.errand(alice.home, 'role', ...words, '--json')
const changed = async (...words: string[]): Promise<RoleChanged> => jsonOf<RoleChanged>(await role(...words))
const shown = async (name: string): Promise<RoleView> => jsonOf<RoleView>(await role('show', name))

test('an invite can give any role; it shows as one role, and ends with its time', async () => {
  const { code } = await w.invite(alice.home, '--role', 'developer', '--for', '3h', '--name', 'dave')
  const dave = await w.up(w.home('dave'), '--await-join')
  const joined = jsonOf<JoinView>(await w.errand(dave.home, 'join', code, '--yes', '--json'))
  expect(joined.got).toMatchObject([{ can: 'role developer', words: expect.stringMatching(/^role developer: exec: \*; env \*; tty; and task: read/) }])
  expect(await w.run(dave.home, 'alice', 'echo', 'by role')).toMatchObject({ code: 0, stdout: 'by role\n' })
  const denied = await w.errand(dave.home, 'run', 'alice', '--user', 'root', '--', 'true')
  expect(denied.code).toBe(126)
  expect((await shown('developer')).members).toMatchObject([{ who: 'dave', on: null }])
  expect(failureOf(await w.errand(alice.home, 'invite', '--role', 'ci', '--for', '2h', '--json'))).toMatchObject({ code: 'ROLE_TOO_LONG' })
  expect(failureOf(await w.errand(alice.home, 'invite', '--role', 'emperor', '--json'))).toMatchObject({ code: 'BAD_ROLE' })
  await dave.stop()
})

test('a viewer sees tasks and runs nothing; the refusal names what the role lacks', async () => {
  const task = (await w.errand(bob.home, 'run', 'bob', '--detach', '--', 'echo', 'seen')).stdout.trim()
  const ran = await w.run(carol.home, 'bob', 'true')
  expect(ran).toMatchObject({ code: 126, stdout: '' })
  await until('carol sees it', async () => (await w.errand(carol.home, 'task', task, '--json')).stdout.includes('COMPLETED'))
  const cancelled = await w.errand(carol.home, 'cancel', task, '--json')
  expect(cancelled.code).not.toBe(0)
})

test('a role that loses a right ends what runs on it, at once and everywhere; what is still in the role goes on', async () => {
  const mark = 'sleep 86391'
  expect(await role('add', 'baker', '--inherits', 'viewer', '--can', 'exec: sleep', '--can', 'exec: echo')).toMatchObject({ code: 0 })
  const given = jsonOf<Assigned>(await role('assign', 'baker', 'carol', '--on', 'bob', '--for', '1h'))
  expect(given.grants.every(({ issuer, audience, device }) => issuer === 'the role baker' && audience === 'carol' && device === 'bob')).toBe(true)
  expect(given.grants.map(({ can }) => can)).toEqual(expect.arrayContaining([['task: read'], ['config: read']]))
  const other = 'sleep 86392'
  await role('add', 'sleeper', '--can', 'exec: sleep 86392')
  await role('assign', 'sleeper', 'carol', '--on', 'bob', '--for', '2h')
  const [run, kept] = [startRun(w, carol.home, 'bob', '--', ...mark.split(' ')), startRun(w, carol.home, 'bob', '--', ...other.split(' '))]
  const over = ended(run)
  await until('both sleep', () => [mark, other].every((words) => processesWith(words).some((seen) => seen.command === words)))
  const seen = await changed('change', 'baker', '--cannot', 'exec: sleep …')
  expect(seen).toMatchObject({ stopped: [expect.any(String)], revoked: [expect.any(String)] })
  expect(seen.acknowledged).toEqual(expect.arrayContaining(['bob', 'carol']))
  expect(await over).toMatchObject({ code: 126 })
  await goneFromProc(mark)
  expect(processesWith(other).some(({ command }) => command === other)).toBe(true)
  const keptOver = ended(kept)
  expect(await w.run(carol.home, 'bob', 'echo', 'still')).toMatchObject({ code: 0, stdout: 'still\n' })
  expect(await w.run(carol.home, 'bob', 'sleep', '0')).toMatchObject({ code: 126 })
  expect(await changed('change', 'baker', '--can', 'exec: printf')).toMatchObject({ stopped: [], revoked: [] })
  expect(await w.run(carol.home, 'bob', 'printf', 'new')).toMatchObject({ code: 0, stdout: 'new' })
  expect(await w.run(carol.home, 'alice', 'printf', 'elsewhere')).toMatchObject({ code: 126 })
  expect(await changed('remove', 'sleeper')).toMatchObject({ stopped: [expect.any(String)] })
  expect(await keptOver).toMatchObject({ code: 126 })
  await goneFromProc(other)
})

test('a role goes on over hops: what carol was given by a role she hands on, narrower, and the end of the role ends all of it', async () => {
  await role('assign', 'baker', 'carol', '--on', 'alice', '--for', '1h')
  const handed = await w.errand(carol.home, 'grant', 'bob', '--on', 'alice', '--can', 'exec: echo', '--for', '10m', '--json')
  const [child] = jsonOf<GrantView[]>(handed)
  expect(child?.parents).toHaveLength(3)
  expect(await w.run(bob.home, 'alice', 'echo', 'three up')).toMatchObject({ code: 0, stdout: 'three up\n' })
  const [start] = (await w.audit(alice.home, '--action', 'exec.start', '--actor', bob.did)).slice(-1)
  expect(String(start?.policyApplied).split(' ')).toHaveLength(4)
  const gone = jsonOf<Unassigned>(await role('unassign', 'baker', 'carol', '--on', 'alice'))
  expect(gone.grants.length).toBeGreaterThan(0)
  expect(await w.run(bob.home, 'alice', 'echo', 'gone')).toMatchObject({ code: 126 })
  expect(failureOf(await role('unassign', 'baker', 'carol', '--on', 'alice'))).toMatchObject({ code: 'NO_SUCH_GRANT' })
})

test('roles are refused where they would not be what they seem', async () => {
  const tries: [string[], string][] = [
    [['add', 'admin', '--can', 'exec: ls'], 'ROLE_EXISTS'],
    [['add', 'viewer', '--can', 'exec: ls'], 'ROLE_EXISTS'],
    [['add', 'baker', '--can', 'exec: ls'], 'ROLE_EXISTS'],
    [['change', 'ci', '--can', 'everything'], 'ROLE_BUILT_IN'],
    [['change', 'baker', '--inherits', 'baker'], 'ROLE_CIRCLE'],
    [['add', 'empty'], 'BAD_ROLE'],
    [['add', 'heir', '--inherits', 'nobody'], 'BAD_ROLE'],
    [['add', 'heir', '--can', 'fly'], 'BAD_RIGHT'],
    [['assign', 'ci', 'carol', '--for', '2h'], 'ROLE_TOO_LONG'],
    [['assign', 'nobody', 'carol', '--for', '2h'], 'BAD_ROLE'],
  ]
  for (const [words, code] of tries) expect(failureOf(await role(...words)), words.join(' ')).toMatchObject({ code })
  const byBob = await w.errand(bob.home, 'role', 'add', 'mine', '--can', 'everything', '--json')
  expect(failureOf(byBob)).toMatchObject({ code: 'NOT_AN_OWNER' })
  expect(failureOf(await w.errand(bob.home, 'role', 'assign', 'admin', 'bob', '--for', '1h', '--json'))).toMatchObject({ code: 'NOT_AN_OWNER' })
})

test('a role that is removed takes everything with it, and one made anew under its name is another role', async () => {
  await role('add', 'porter', '--can', 'exec: printf')
  await role('assign', 'porter', 'carol', '--on', 'bob', '--for', '1h')
  const first = (await shown('porter')).did
  await role('change', 'baker', '--inherits', 'porter')
  expect(failureOf(await role('remove', 'porter'))).toMatchObject({ code: 'ROLE_IN_USE' })
  await role('remove', 'baker')
  expect((await changed('remove', 'porter')).revoked.length).toBeGreaterThan(0)
  expect(await w.run(carol.home, 'bob', 'printf', 'x')).toMatchObject({ code: 126 })
  await role('add', 'porter', '--can', 'exec: printf')
  await role('assign', 'porter', 'bob', '--on', 'alice', '--for', '1h')
  expect((await shown('porter')).did).not.toBe(first)
  expect(await w.run(carol.home, 'bob', 'printf', 'x')).toMatchObject({ code: 126 })
  const log = await w.audit(alice.home)
  for (const action of ['role.add', 'role.change', 'role.remove', 'role.assign', 'role.unassign', 'role.narrow'])
    expect(
      log.some((one) => one.action === action),
      action,
    ).toBe(true)
})

test('what was given for a group holds for whoever comes into it, and for nobody who left', async () => {
  const group = async (...words: string[]): Promise<GroupChanged> => jsonOf<GroupChanged>(await w.errand(alice.home, 'group', ...words, '--json'))
  await group('add', 'lab', 'bob')
  const made = jsonOf<GrantView[]>(await w.errand(alice.home, 'grant', 'carol', '--on', 'lab', '--can', 'exec: hostname', '--for', '1h', '--json'))
  expect(made).toMatchObject([{ device: 'bob', audience: 'carol' }])
  await role('add', 'reader', '--can', 'exec: uname')
  await role('assign', 'reader', 'carol', '--on', 'lab', '--for', '1h')
  expect(await w.run(carol.home, 'alice', 'hostname')).toMatchObject({ code: 126 })
  expect(await group('add', 'lab', 'alice')).toMatchObject({ devices: ['bob', 'alice'], issued: [expect.any(String), expect.any(String)] })
  for (const command of ['hostname', 'uname']) expect(await w.run(carol.home, 'alice', command)).toMatchObject({ code: 0 })
  expect((await group('remove', 'lab', 'bob')).revoked).toHaveLength(2)
  for (const command of ['hostname', 'uname']) expect(await w.run(carol.home, 'bob', command)).toMatchObject({ code: 126 })
  expect(await w.run(carol.home, 'alice', 'uname')).toMatchObject({ code: 0 })
  expect(failureOf(await w.errand(alice.home, 'group', 'add', 'bob', 'alice', '--json'))).toMatchObject({ code: 'AMBIGUOUS_DEVICE' })
})
