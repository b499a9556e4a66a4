/** A session's keys change while work goes on; a session with the rights of a role; and why something would run in one. Real nodes, real time. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { WhyView } from '../../protocols/local/messages.ts'
import type { SessionClosed, SessionOpened } from '../../protocols/local/sessions.ts'
import { trio } from '../support/mesh.ts'
import { failureOf, jsonOf, type Node, type Ran, until, type World } from '../support/world.ts'

let w: World
let alice: Node
let bob: Node
let carol: Node

beforeAll(async () => {
  const met = { alice: ['bob', 'carol'], carol: ['alice'] }
  const carols = { invite: ['--role', 'ci', '--for', '30m'] }
  const alices = { 'security.sessionLinks': '2s' }
  ;({ w, alice, bob, carol } = await trio({ alice: alices, bob: { invite: ['--ask', 'exec: sh, sleep, echo'] }, carol: carols, met }))
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

async function opened(by: Node, ...words: string[]): Promise<SessionOpened> {
  const ran = await w.errand(by.home, 'session', 'open', '--json', ...words)
  if (ran.code !== 0) throw new Error(`no session: ${ran.stdout}${ran.stderr}`)
  return jsonOf<SessionOpened>(ran)
}
const inside = async (by: Node, { token }: SessionOpened, ...words: string[]): Promise<Ran> =>
  await w.start(by.home, words, { env: { ERRAND_SESSION: token } }).ended

test('commands and followers outlive three keys of their session, and end within a second of its close', async () => {
  const session = await opened(alice, '--on', 'bob', '--can', 'exec: sh, sleep, echo', '--for', '10m')
  const { task } = jsonOf<{ task: string }>(await inside(alice, session, 'run', 'bob', '--detach', '--json', '--', 'sh', '-c', 'echo begun; sleep 86400'))
  const attached = w.start(alice.home, ['run', 'bob', '--', 'sh', '-c', 'echo there; sleep 86400'], { env: { ERRAND_SESSION: session.token } })
  const follower = w.start(alice.home, ['logs', task, '--follow'], { env: { ERRAND_SESSION: session.token } })
  await until('both print', () => attached.stdout === 'there\n' && follower.stdout === 'begun\n')
  const grants = new Set<string>()
  await until('four keys were used', async () => {
    await inside(alice, session, 'run', 'bob', '--', 'echo', 'another')
    const starts = await w.audit(bob.home, '--action', 'exec.start', '--session', session.session)
    for (const { grant } of starts) grants.add(String(grant))
    return grants.size >= 4
  })
  expect([attached.isOver, follower.isOver]).toEqual([false, false])
  expect(jsonOf(await inside(alice, session, 'task', task, '--json'))).toMatchObject({ state: 'RUNNING' })
  const began = performance.now()
  const closed = jsonOf<SessionClosed>(await w.errand(alice.home, 'session', 'close', session.session, '--json'))
  expect(closed.stopped).toContain(task)
  await Promise.all([attached.ended, follower.ended])
  expect(performance.now() - began).toBeLessThan(5_000)
  const ends = await w.audit(bob.home, '--action', 'exec.end', '--session', session.session)
  const sleepers = ends.filter(({ why }) => why === 'revoked' || why === 'cancelled') // whose caller was cut off is taken back
  expect(sleepers).toHaveLength(2)
  const [close] = await w.audit(alice.home, '--action', 'session.close', '--session', session.session)
  for (const { time } of sleepers) expect(Date.parse(time) - Date.parse(close?.time ?? '')).toBeLessThan(1_000)
})

test('a member opens a session with the role that it has, for no longer than it has it, and not with another', async () => {
  const session = await opened(carol, '--on', 'alice', '--role', 'ci', '--for', '10m')
  expect(session.can.map(({ words }) => words)).toEqual(expect.arrayContaining([expect.stringMatching(/^exec: \*/)]))
  expect(await inside(carol, session, 'run', 'alice', '--', 'echo', 'by role')).toMatchObject({ code: 0, stdout: 'by role\n' })
  for (const [words, code] of [
    [['--role', 'developer', '--for', '10m'], 'CANNOT_GRANT'],
    [['--role', 'admin', '--for', '10m'], 'CANNOT_GRANT'],
    [['--role', 'ci', '--for', '2h'], 'ROLE_TOO_LONG'],
    [['--role', 'ci', '--for', '50m'], 'CANNOT_GRANT'],
    [['--role', 'emperor'], 'BAD_ROLE'],
  ] as const) {
    const refused = await w.errand(carol.home, 'session', 'open', '--json', '--on', 'alice', ...words)
    expect([words.join(' '), failureOf(refused).code]).toEqual([words.join(' '), code])
  }
})

test('why in a session answers for its rights, not for those of its device', async () => {
  const session = await opened(alice, '--on', 'bob', '--can', 'exec: echo', '--for', '10m')
  const why = async (...words: string[]): Promise<WhyView> => jsonOf<WhyView>(await inside(alice, session, 'why', '--json', ...words))
  expect(await why('bob', '--', 'echo', 'hello')).toMatchObject({ allowed: true })
  const no = await why('bob', '--', 'sleep', '1')
  expect(no.allowed).toBe(false)
  expect(no.steps.at(-1)).toMatchObject({ step: 'authority', ok: false, detail: expect.stringContaining('exe "sleep" is not in {echo}') })
  expect(JSON.stringify(no.steps), 'the other ways of the device are not shown').not.toContain('"paths"')
  expect((await why('bob')).steps.at(-1)).toMatchObject({ step: 'authority', detail: 'in this session: exec: echo …' })
  expect(failureOf(await inside(alice, session, 'why', '--json', 'carol', '--', 'true'))).toMatchObject({ code: 'DENIED' })
  expect(jsonOf<WhyView>(await w.errand(alice.home, 'why', '--json', 'bob', '--', 'sleep', '1')), 'outside of it').toMatchObject({ allowed: true })
})
