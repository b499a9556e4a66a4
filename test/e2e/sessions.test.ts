import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TaskUpdate, TaskView } from '../../protocols/local/messages.ts'
import type { SessionClosed, SessionOpened, SessionView } from '../../protocols/local/sessions.ts'
import { socketPathOf } from '../../src/base/paths.ts'
import { ErrandError, LocalClient } from '../../src/local/client.ts'
import { EXAMPLES } from '../../src/local/openapi-examples.ts'
import { ROUTES } from '../../src/local/routes-table.ts'
import { filesHolding } from '../support/held.ts'
import { trio } from '../support/mesh.ts'
import { failureOf, jsonOf, type Node, type Ran, until, type World } from '../support/world.ts'
import { goneFromProc, processesWith } from './support-exec.ts'

const SECRET = 'hunter2-of-this-session'

let w: World
let alice: Node
let bob: Node

beforeAll(async () => {
  const carol = { invite: ['--ask', 'exec: sleep'], config: { 'deployment.maxConcurrentTasks': 1 } }
  ;({ w, alice, bob } = await trio({ bob: { invite: ['--ask', 'exec: sh, sleep; env CI, GREETING'] }, carol, met: { alice: ['bob', 'carol'] } }))
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

async function opened(...words: string[]): Promise<SessionOpened> {
  const ran = await w.errand(alice.home, 'session', 'open', '--json', ...words)
  if (ran.code !== 0) throw new Error(`no session: ${ran.stdout}${ran.stderr}`)
  return jsonOf<SessionOpened>(ran)
}

/** The command line of somebody who has nothing but the token. */
const withToken = async ({ token }: SessionOpened, ...args: string[]): Promise<Ran> => {
  const [command = '', ...rest] = args
  return await w.start(alice.home, [command, ...rest], { env: { ERRAND_SESSION: token } }).ended
}

const clientIn = ({ token }: SessionOpened): LocalClient => new LocalClient(socketPathOf(alice.home), token)

async function detached(session: SessionOpened, device: string, ...command: string[]): Promise<string> {
  return jsonOf<{ task: string }>(await withToken(session, 'run', device, '--detach', '--json', '--', ...command)).task
}

test('what is opened is shown in words, its token once; it runs what it was opened for, there, and nothing else anywhere', async () => {
  const session = await opened('--on', 'bob', '--can', 'exec: sleep', '--for', '10m', '--name', 'nightly')
  expect(session).toMatchObject({ name: 'nightly', state: 'OPEN', can: [{ device: 'bob', words: 'exec: sleep …' }], tasks: { active: 0, total: 0 } })
  expect(session.token).toMatch(/^errs_[\w-]{43}$/)
  const shown = await w.errand(alice.home, 'session', 'show', 'nightly')
  expect(shown.stdout).toContain('may       exec: sleep … on bob')
  expect(shown.stdout).not.toContain('errs_')
  expect(await withToken(session, 'run', 'bob', '--', 'sleep', '0')).toMatchObject({ code: 0 })
  const [other, here, unknown] = [
    await withToken(session, 'run', 'bob', '--json', '--', 'sh', '-c', 'true'),
    await withToken(session, 'run', 'alice', '--json', '--', 'true'),
    await withToken(session, 'run', 'nobody', '--json', '--', 'true'),
  ]
  expect([other.code, here.code, unknown.code]).toEqual([126, 126, 126])
  expect(failureOf(other)).toMatchObject({ source: 'device', fields: { reason: 'POLICY' } })
  expect(failureOf(here).message).toBe('this session has no right on "alice"')
  expect(failureOf(unknown).message).toBe('this session has no right on "nobody"')
  expect(await w.run(alice.home, 'bob', 'sh', '-c', 'true'), 'outside of it nothing has changed').toMatchObject({ code: 0 })
  const start = (await w.audit(bob.home, '--action', 'exec.start', '--session', session.session))[0]
  expect(start).toMatchObject({ actor: alice.did, session: session.session, command: ['sleep', '0'] })
})

test('two sessions of one device never see each other’s tasks, output or state; the owner of the device sees both', async () => {
  const [one, two] = [
    await opened('--on', 'bob', '--can', 'exec: sh, sleep', '--for', '10m'),
    await opened('--on', 'bob', '--can', 'exec: sh, sleep', '--for', '10m'),
  ]
  const updates: TaskUpdate[] = []
  const left = new AbortController()
  const watching = (async () => {
    for await (const update of clientIn(two).watch({ signal: left.signal })) updates.push(update)
  })().catch(() => undefined)
  await until('two watches', () => updates.length > 0)
  const mine = await detached(one, 'bob', 'sh', '-c', 'echo of one; sleep 86301')
  const theirs = await detached(two, 'bob', 'sleep', '86302')
  const idsOf = (ran: Ran): string[] => jsonOf<TaskView[]>(ran).map(({ task }) => task)
  expect(idsOf(await withToken(one, 'ps', '--json'))).toEqual([mine])
  expect(idsOf(await withToken(two, 'ps', '--all', '--json'))).toEqual([theirs])
  expect(idsOf(await w.errand(alice.home, 'ps', '--json'))).toEqual(expect.arrayContaining([mine, theirs]))
  for (const words of [
    ['task', mine],
    ['task', mine.slice(0, 18)],
    ['task', mine.slice(-8)],
    ['logs', mine],
    ['attach', mine],
    ['cancel', mine],
    ['pause', mine],
  ]) {
    const ran = await withToken(two, ...words, '--json')
    expect(failureOf(ran), words.join(' ')).toMatchObject({ code: 'NO_SUCH_TASK' })
    const missing = await withToken(two, words[0] ?? '', '019aa3c1-0000-7000-8000-000000000000', '--json')
    expect(failureOf(missing).hint, 'the same words as for a task that does not exist').toBe(failureOf(ran).hint)
  }
  await until('two hears of its own task', () => updates.some((update) => update.t === 'changed' && update.task.task === theirs))
  expect(JSON.stringify(updates)).not.toContain(mine)
  left.abort()
  await watching
  const late = clientIn(two).watch({ cursor: 1 })
  const replayed: TaskUpdate[] = []
  for await (const update of late) if (replayed.push(update) >= 2) break
  expect(JSON.stringify(replayed), 'from a cursor that is older than all of them').not.toContain(mine)
  expect((await withToken(one, 'logs', mine)).stdout).toBe('of one\n')
  const trail = async (session: SessionOpened): Promise<string> => (await withToken(session, 'audit', '--json')).stdout
  expect(await trail(one)).toContain(mine)
  expect(await trail(two)).not.toContain(mine)
  expect(failureOf(await withToken(two, 'audit', '--json', '--session', one.session))).toMatchObject({ code: 'NO_SUCH_SESSION' })
  const whole = await w.audit(alice.home, '--session', one.session)
  expect(whole.map(({ action, session }) => [action, session])).toEqual(
    expect.arrayContaining(['session.open', 'task.submit'].map((action) => [action, one.session])),
  )
  expect(await withToken(one, 'cancel', mine)).toMatchObject({ code: 0 })
  for (const session of [one, two]) await w.errand(alice.home, 'session', 'close', session.session)
})

test('a task of another session is not taken over by naming its id, and a session is not entered by naming it', async () => {
  const [one, two] = [await opened('--on', 'bob', '--can', 'exec: sleep', '--for', '10m'), await opened('--on', 'bob', '--can', 'exec: sleep', '--for', '10m')]
  const mine = await detached(one, 'bob', 'sleep', '86303')
  for (const command of [
    ['sleep', '86303'],
    ['sleep', '1'],
  ]) {
    const ran = await withToken(two, 'run', 'bob', '--detach', '--json', '--id', mine, '--', ...command)
    expect(failureOf(ran)).toMatchObject({ code: 'TASK_EXISTS' })
    expect(failureOf(await withToken(two, 'task', mine, '--json'))).toMatchObject({ code: 'NO_SUCH_TASK' })
  }
  const client = clientIn(two)
  await expect(client.submit({ device: 'bob', command: ['sleep', '1'], session: one.session })).rejects.toMatchObject({ code: 'NO_SUCH_SESSION' })
  const both = new LocalClient(socketPathOf(alice.home), one.session)
  expect(
    (await both.tasks()).map(({ task }) => task),
    'the owner of the socket enters by name',
  ).toEqual([mine])
  for (const session of [one, two]) await w.errand(alice.home, 'session', 'close', session.session)
})

test('its environment is for its commands where the right permits the name, for nobody else, and never on the disk or in a log', async () => {
  const env = ['--env', `GREETING=${SECRET}`, '--env', 'OTHER=x']
  const session = await opened('--on', 'bob', '--can', 'exec: sh; env CI, GREETING', '--for', '10m', ...env)
  const script = 'echo "$GREETING/$OTHER/$CI"'
  const ran = await withToken(session, 'run', 'bob', '--env', 'CI=1', '--', 'sh', '-c', script)
  expect(ran).toMatchObject({ code: 0, stdout: `${SECRET}//1\n` })
  expect((await w.run(alice.home, 'bob', 'sh', '-c', script)).stdout).toBe('//\n')
  expect(session.env).toEqual(['GREETING', 'OTHER'])
  expect(jsonOf<SessionView>(await withToken(session, 'session', 'list', '--json'))).toMatchObject([{ session: session.session }])
  await w.errand(alice.home, 'session', 'close', session.session)
  expect(await filesHolding(alice.home, SECRET)).toEqual([])
  expect(await filesHolding(alice.home, session.token)).toEqual([])
})

test('closing ends what runs, what waits and who listens, on every device, within two seconds', async () => {
  const session = await opened('--on', 'bob', '--on', 'carol', '--can', 'exec: sleep', '--for', '10m')
  const running = [await detached(session, 'bob', 'sleep', '86311'), await detached(session, 'carol', 'sleep', '86312')]
  const queued = await detached(session, 'carol', 'sleep', '86313')
  const attached = w.start(alice.home, ['run', 'bob', '--', 'sleep', '86314'], { env: { ERRAND_SESSION: session.token } })
  const follower = w.start(alice.home, ['attach', running[0] ?? ''], { env: { ERRAND_SESSION: session.token } })
  await until('all three run', () =>
    ['86311', '86312', '86314'].every((seconds) => processesWith(`sleep ${seconds}`).some(({ command }) => command.startsWith('sleep'))),
  )
  const closed = jsonOf<SessionClosed>(await w.errand(alice.home, 'session', 'close', session.session, '--json'))
  await Promise.all(['86311', '86312', '86314'].map((seconds) => goneFromProc(`sleep ${seconds}`)))
  expect(new Set(closed.stopped)).toEqual(new Set([...running, queued, ...closed.stopped]))
  expect(closed.acknowledged.sort()).toEqual(['bob', 'carol'])
  expect(closed.unreachable).toEqual([])
  expect([(await attached.ended).code, (await follower.ended).code].every((code) => code !== 0)).toBe(true)
  const ends = await until('every task has ended', async () => {
    const tasks = jsonOf<TaskView[]>(await w.errand(alice.home, 'ps', '--json')).filter((task) => task.session === session.session)
    return tasks.every(({ endedAt }) => endedAt !== null) && tasks
  })
  expect(ends).toHaveLength(4)
  // By the clocks of the devices, which are one here: what the processes of this test take to start is nobody's promise.
  const [close] = await w.audit(alice.home, '--action', 'session.close', '--session', session.session)
  for (const { endedAt, command } of ends) expect(Date.parse(endedAt ?? '') - Date.parse(close?.time ?? ''), command.join(' ')).toBeLessThan(2_000)
  const over = await withToken(session, 'run', 'bob', '--json', '--', 'sleep', '0')
  expect(failureOf(over)).toMatchObject({ code: 'DENIED', fields: { reason: 'SESSION_OVER' } })
  expect(failureOf(await withToken(session, 'ps', '--json'))).toMatchObject({ code: 'DENIED' })
})

test('its time ends it by itself, used or not; and so does a while without use', async () => {
  const session = await opened('--on', 'bob', '--can', 'exec: sleep', '--for', '3s')
  const idle = await opened('--on', 'bob', '--can', 'exec: sleep', '--for', '10m', '--idle', '3s')
  await detached(session, 'bob', 'sleep', '86321')
  await detached(idle, 'bob', 'sleep', '86322')
  await until('both run', () => processesWith('sleep 86321').length + processesWith('sleep 86322').length === 2)
  await goneFromProc('sleep 86321')
  await goneFromProc('sleep 86322')
  const seen = await until('both have ended', async () => {
    const all = jsonOf<SessionView[]>(await w.errand(alice.home, 'session', 'list', '--json'))
    const two = all.filter((one) => [session.session, idle.session].includes(one.session))
    return two.every(({ state }) => state === 'EXPIRED') && two
  })
  expect(new Map(seen.map((one) => [one.session, one.why]))).toEqual(
    new Map([
      [session.session, 'expired' as const],
      [idle.session, 'idle' as const],
    ]),
  )
  expect((await w.audit(alice.home, '--action', 'session.expire')).map((one) => one.session)).toEqual(expect.arrayContaining([session.session, idle.session]))
})

test('whoever has the token alone gets nothing of any other route', async () => {
  const session = await opened('--on', 'bob', '--can', 'exec: sleep', '--for', '10m')
  const client = clientIn(session)
  const own = new Set([
    '/api/runtime/devices',
    '/api/runtime/tasks',
    '/api/runtime/tasks/submit',
    '/api/runtime/events',
    '/api/runtime/sessions',
    '/api/audit/events',
  ])
  const bodies: Readonly<Record<string, unknown>> = {
    '/api/runtime/grants': EXAMPLES['GrantRequest'],
    '/api/runtime/revocations': EXAMPLES['RevokeRequest'],
    '/api/runtime/invites': {},
    '/api/runtime/join': EXAMPLES['JoinRequest'],
    '/api/runtime/offers': EXAMPLES['JoinRequest'],
    '/api/runtime/listen': EXAMPLES['ListenRequest'],
    '/api/runtime/shutdown': {},
    '/api/runtime/devices/label': { device: 'bob', labels: { gpu: 'no' } },
    '/api/runtime/sessions': { on: ['bob'], can: ['exec: sh'] },
  }
  const codeOf = async (method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> =>
    await client.call(method, path, body).then(
      () => 'answered',
      (thrown: unknown) => thrown instanceof ErrandError && thrown.code,
    )
  for (const [path, body] of Object.entries(bodies)) expect(await codeOf('POST', path, body), path).toBe('DENIED')
  const others = ROUTES.filter(({ method, path }) => method === 'GET' && !own.has(path) && !path.includes('{'))
  for (const { path } of others) expect(await codeOf('GET', path), path).toBe('DENIED')
  expect(others.length).toBeGreaterThan(3)
  expect((await client.devices()).map(({ name, addresses }) => [name, addresses])).toEqual([['bob', []]])
  client.close()
  await w.errand(alice.home, 'session', 'close', session.session)
})

test('a session does not outlive its node: one that went down without a word ends it when it comes back', async () => {
  const session = await opened('--on', 'bob', '--can', 'exec: sleep', '--for', '10m')
  await detached(session, 'bob', 'sleep', '86331')
  await until('it runs', () => processesWith('sleep 86331').length === 1)
  await alice.kill()
  expect(processesWith('sleep 86331')).toHaveLength(1)
  alice = await w.up(alice.home)
  await goneFromProc('sleep 86331')
  expect(failureOf(await withToken(session, 'ps', '--json')).code).toBe('UNAUTHENTICATED')
  const [end] = await w.audit(alice.home, '--action', 'session.close', '--session', session.session)
  expect(end).toMatchObject({ reason: 'its node was started again' })
})
