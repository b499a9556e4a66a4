/**
 * What an owner asks of a node beside commands and tasks: why, approvals, sessions, roles and groups, policy, grants. A program with the node in
 * its own process and one at its socket get the same answers, refusals included.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DecisionView } from '../../protocols/local/approvals.ts'
import type { OrderView } from '../../protocols/local/orders.ts'
import type { Assigned, GroupChanged, RoleChanged, RoleView } from '../../protocols/local/roles.ts'
import { socketPathOf } from '../../src/base/paths.ts'
import { connect, type LocalClient } from '../../src/local/client.ts'
import type { createNode as Create } from '../../src/node/public.ts'
import { type Node, until, type World, world } from '../support/world.ts'
import { type Areas, overHttp } from './owner-http.ts'

const { createNode }: { createNode: typeof Create } = await import(new URL('../../dist/index.mjs', import.meta.url).href)

let w: World
let node: Awaited<ReturnType<typeof Create>>
let client: LocalClient
let bob: Node

beforeAll(async () => {
  w = world()
  const home = w.at('here')
  node = await createNode({ home, name: 'here', settings: { 'transport.mdns': false } })
  client = connect({ socketPath: socketPathOf(home) })
  const { code } = await node.owner.invite({ name: 'bob', ask: ['exec: true'], forMs: 3_600_000 })
  bob = await w.up(w.home('bob'), '--await-join')
  const joined = await w.errand(bob.home, 'join', code, '--yes')
  if (joined.code !== 0) throw new Error(joined.stderr)
}, 120_000)

afterAll(async () => {
  client.close()
  await node.close()
  await w[Symbol.asyncDispose]()
})

const refusal = async (asked: Promise<unknown>): Promise<object> =>
  await asked.then(
    (answer) => ({ answered: answer }),
    ({ code, message, hint }) => ({ code, message, hint }),
  )

/** Times and ids differ from call to call; all else must not. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value)
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
      .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'UUID')
      .replace(/bafyrei[a-z2-7]+/g, 'CID')
      .replace(/errs_[\w-]+/g, 'TOKEN')
      .replace(/"(ms|rttMs)":\d+/g, '"$1":0')
      .replace(/for \d+[hms]\d*[ms]?|\d+ ms|record \d+\w* old|in \d+\w*/g, 'SOON'),
  )

const faces: [string, () => Areas][] = [
  ['in this process', () => node.owner],
  ['over HTTP', () => overHttp(client)],
]

describe.each(faces)('%s', (name, owner) => {
  const own = name.replaceAll(/\W+/g, '-').toLowerCase()

  test('why: a yes, a no with its step, a device that nobody knows, and no command', async () => {
    expect(await owner().why({ device: 'here', command: ['true'] })).toMatchObject({ allowed: true, next: 'errand run here -- true' })
    const no = await owner().why({ device: 'bob', command: ['id'] })
    expect(no).toMatchObject({ allowed: false, steps: expect.arrayContaining([expect.objectContaining({ step: 'authority', ok: false })]) })
    expect(await refusal(owner().why({ device: 'nobody', command: ['true'] }))).toMatchObject({ code: 'UNKNOWN_DEVICE' })
    expect(await refusal(owner().why(JSON.parse('{"command":["true"]}')))).toMatchObject({ code: 'BAD_REQUEST' })
  })

  test('approvals: one that waits is shown whole, decided on once, and only as it was shown', async () => {
    await owner().grant({ who: 'bob', on: 'here', can: ['exec: echo; approval'], forMs: 600_000 })
    const running = w.start(bob.home, ['run', 'here', '--', 'echo', own])
    const seen = await until('it waits', async () => (await owner().approvals()).find(({ command }) => command?.argv.includes(own) === true))
    expect(seen).toMatchObject({ kind: 'command', device: 'here', requester: 'bob', need: 1, mayDecide: true, state: 'waiting' })
    expect(await refusal(owner().approve(seen.id, { intent: '0'.repeat(64) }))).toMatchObject({ code: 'REFUSED_OTHER_INTENT' })
    expect(await owner().approve(seen.id, { dryRun: true })).toMatchObject({ decision: 'shown' } satisfies Partial<DecisionView>)
    expect(await owner().approve(seen.id, { intent: seen.intent ?? '' })).toMatchObject({ decision: 'approved', have: 1, need: 1 })
    expect((await running.ended).stdout).toBe(`${own}\n`)
    expect(await refusal(owner().approve(seen.id))).toMatchObject({ code: 'NO_SUCH_REQUEST' })
    expect(await refusal(owner().deny('nothing-waits'))).toMatchObject({ code: 'NO_SUCH_REQUEST' })
    expect(await owner().approvals({ mine: true })).toEqual([])
  })

  test('sessions: opened, listed, shown, closed once', async () => {
    const opened = await owner().openSession({ on: ['here'], can: ['exec: true'], forMs: 60_000, name: own })
    expect(opened).toMatchObject({ name: own, state: 'OPEN', can: [{ device: 'here', words: 'exec: true …' }], token: expect.stringMatching(/^errs_/) })
    expect((await owner().listSessions()).map(({ session }) => session)).toContain(opened.session)
    expect(await owner().getSession(own)).not.toHaveProperty('token')
    expect(await refusal(owner().openSession({ on: ['here'], can: ['exec: true'], name: own }))).toMatchObject({ code: 'BAD_SESSION' })
    expect(await owner().closeSession(opened.session)).toMatchObject({ session: opened.session, stopped: [] })
    expect(await refusal(owner().closeSession(opened.session))).toMatchObject({ code: 'DENIED' })
    expect(await refusal(owner().getSession('no-such-session'))).toMatchObject({ code: 'NO_SUCH_SESSION' })
  })

  test('roles and groups: made, given, listed, changed and removed', async () => {
    const made = await owner().call<RoleChanged>('POST', '/api/runtime/roles', { role: `r-${own}`, can: ['exec: make'], inherits: ['viewer'] })
    expect(made).toMatchObject({ role: { role: `r-${own}`, own: ['exec: make …'], inherits: ['readonly'] } })
    expect(await owner().call<Assigned>('POST', '/api/runtime/roles/assign', { role: `r-${own}`, who: 'bob', on: 'here', forMs: 60_000 })).toMatchObject({
      words: expect.stringMatching(new RegExp(`^bob is r-${own} on here`)),
    })
    expect((await owner().call<RoleView[]>('GET', '/api/runtime/roles')).find(({ role }) => role === `r-${own}`)).toMatchObject({ members: [{ who: 'bob' }] })
    expect(await refusal(owner().call('POST', '/api/runtime/roles', { role: `r-${own}`, can: ['exec: make'] }))).toMatchObject({ code: 'ROLE_EXISTS' })
    await owner().call('POST', '/api/runtime/roles/remove', { role: `r-${own}` })
    const group = await owner().call<GroupChanged>('POST', '/api/runtime/groups', { group: `g-${own}`, add: ['bob'] })
    expect(group).toMatchObject({ group: `g-${own}`, devices: ['bob'] })
  })

  test('policy: given to the mesh, refused when it cannot be read, taken back', async () => {
    expect(await owner().call<OrderView>('POST', '/api/runtime/policy', { text: 'exec: { deniedCommands: [id] }\n' })).toMatchObject({
      acknowledged: expect.any(Array),
    })
    expect(await until('it counts', async () => !(await owner().why({ device: 'here', command: ['id'] })).allowed)).toBe(true)
    expect(await refusal(owner().call('POST', '/api/runtime/policy', { text: 'exec: { deniedCommand: [id] }\n' }))).toMatchObject({ code: 'BAD_POLICY' })
    await owner().call('POST', '/api/runtime/policy', { text: '' })
    expect(await until('it is gone', async () => (await owner().why({ device: 'here', command: ['id'] })).allowed)).toBe(true)
  })

  test('a grant can be looked at before it is signed, and then nothing is signed', async () => {
    const before = (await owner().listGrants()).length
    expect(await owner().grant({ who: 'bob', on: 'here', can: ['exec: ls; rate 3/h'], forMs: 60_000, whatIf: true })).toMatchObject([
      { cid: '', words: expect.stringMatching(/^bob may exec: ls …; rate 3\/h on here/) },
    ])
    expect(await owner().listGrants()).toHaveLength(before)
  })
})

test.each<[string, (owner: Areas) => Promise<unknown>]>([
  ['why, a yes', (owner) => owner.why({ device: 'here', command: ['true'] })],
  ['why, a no', (owner) => owner.why({ device: 'bob', command: ['id'] })],
  ['why, no command', (owner) => owner.why({ device: 'bob' })],
  ['why of nobody', (owner) => owner.why({ device: 'nobody' })],
  ['what waits', (owner) => owner.approvals()],
  ['what was asked for', (owner) => owner.approvals({ mine: true })],
  ['an approval of nothing', (owner) => owner.approve('019aa3c1-0000-7000-8000-000000000000')],
  ['a denial of what no id can be', (owner) => owner.deny('x'.repeat(100))],
  ['a right of nobody', (owner) => owner.requestRight({ device: 'nobody', can: ['exec: ls'], reason: 'to look' })],
  ['a right that is none', (owner) => owner.requestRight({ device: 'bob', can: ['exec:'], reason: 'to look' })],
  ['sessions', (owner) => owner.listSessions()],
  ['a session without a right', (owner) => owner.openSession({ on: ['here'] })],
  ['a session with a role that is none', (owner) => owner.openSession({ on: ['here'], role: 'emperor' })],
  ['a session for too long', (owner) => owner.openSession({ on: ['here'], can: ['exec: ls'], forMs: 90_000_000 })],
  ['a session that nobody knows', (owner) => owner.getSession('nobody-knows')],
  ['roles', (owner) => owner.call('GET', '/api/runtime/roles')],
  ['groups', (owner) => owner.call('GET', '/api/runtime/groups')],
  ['a role that is none', (owner) => owner.call('POST', '/api/runtime/roles/assign', { role: 'emperor', who: 'bob', forMs: 1_000 })],
  ['a role with a circle', (owner) => owner.call('POST', '/api/runtime/roles', { role: 'round', inherits: ['round'] })],
  ['a field that no route has', (owner) => owner.call('POST', '/api/runtime/roles', { role: 'more', can: ['exec: ls'], more: true })],
  ['a policy that cannot be read', (owner) => owner.call('POST', '/api/runtime/policy', { text: 'exec: [' })],
  ['a grant that is none', (owner) => owner.grant({ who: 'bob', on: 'here', can: ['exec: ls; rate 1/w'], forMs: 1_000 })],
  ['a grant of a moment before it is signed', (owner) => owner.grant({ who: 'bob', on: 'here', can: ['exec: ls'], forMs: 60_000, whatIf: true })],
])('both say the same: %s', async (_what, ask) => {
  const told = async (owner: Areas): Promise<unknown> => plain(await ask(owner).catch(({ code, message, hint }) => ({ code, message, hint })))
  expect(await told(overHttp(client))).toEqual(await told(node.owner))
})
