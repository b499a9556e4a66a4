/** Who is let into a session at the doors of the local API, and that nobody gets more by showing something than by showing nothing. */
import { expect, test } from 'vitest'
import { ErrandError } from '../../../src/base/errors.ts'
import type { Runtime } from '../../../src/runtime/runtime.ts'
import { ask } from './ask.ts'
import { scripted, world } from './scripted.ts'
import { TOKEN, tcpWorld } from './tcp-world.ts'

const ID = '019aa3c1-0000-7000-8000-00000000005e'
const OVER = 'errs_over'
const IN = 'errs_right'

/** Knows one session, by its token and its name, and one that is over. */
function runtime(entered: string[] = []): Partial<Runtime> {
  const enter = async (credential: string): Promise<string> => {
    if ([IN, ID, 'nightly'].includes(credential)) return ID
    if (credential === OVER) throw new ErrandError('DENIED', 'it is over', { fields: { reason: 'SESSION_OVER' } })
    throw new ErrandError('NO_SUCH_SESSION', 'no such session')
  }
  const { sessions } = scripted({})
  return {
    sessions: { ...sessions, enter },
    inSession(session) {
      entered.push(session)
      return scripted({ getStatus: () => Promise.reject(new ErrandError('DENIED', 'in a session')) })
    },
  }
}

const STATUS = { path: '/api/runtime/status' }
const codeOf = (body: string): string => JSON.parse(body).error?.code ?? 'none'

test('on the socket a token, an id or a name narrows its owner to the session, in every face', async () => {
  const entered: string[] = []
  await using it = await world(runtime(entered))
  for (const headers of [{ authorization: `Bearer ${IN}` }, { 'x-errand-session': ID }, { 'x-errand-session': 'nightly' }] as Record<string, string>[]) {
    expect((await ask(it.socketPath, { ...STATUS, headers })).status, JSON.stringify(headers)).toBe(403)
  }
  expect(entered).toEqual([ID, ID, ID])
  expect((await ask(it.socketPath, STATUS)).status).toBe(200)
})

test.each([
  ['a token that is none', { authorization: 'Bearer stolen' }, 401, 'UNAUTHENTICATED'],
  ['another scheme', { authorization: 'Basic cm9vdA==' }, 401, 'UNAUTHENTICATED'],
  ['an empty token', { authorization: 'Bearer ' }, 401, 'UNAUTHENTICATED'],
  ['a token that was guessed', { authorization: 'Bearer errs_guessed' }, 401, 'UNAUTHENTICATED'],
  ['the token of a session that is over', { authorization: `Bearer ${OVER}` }, 403, 'DENIED'],
  ['a session that does not exist', { 'x-errand-session': 'other' }, 404, 'NO_SUCH_SESSION'],
  ['an empty name', { 'x-errand-session': '' }, 404, 'NO_SUCH_SESSION'],
  ['one session by its token and another by its name', { authorization: `Bearer ${IN}`, 'x-errand-session': 'other' }, 404, 'NO_SUCH_SESSION'],
])('%s does not make its bearer the owner of the socket', async (_name, headers: Record<string, string>, status, code) => {
  await using it = await world(runtime())
  const answer = await ask(it.socketPath, { ...STATUS, headers })
  expect([answer.status, codeOf(answer.body)]).toEqual([status, code])
})

test('on a TCP address a session’s token stands in the place of the node’s and opens that session alone; the call is recorded as such', async () => {
  const entered: string[] = []
  await using it = await tcpWorld(runtime(entered))
  const get = (path: string, headers: Record<string, string>, method = 'GET'): Promise<Response> =>
    fetch(`${it.url}${path}`, { method, headers: { ...headers, 'content-type': 'application/json' }, ...(method === 'POST' ? { body: '{}' } : {}) })
  expect((await get(STATUS.path, { authorization: `Bearer ${IN}` })).status).toBe(403)
  expect((await get(STATUS.path, { authorization: `Bearer ${TOKEN}`, 'x-errand-session': ID })).status).toBe(403)
  await get('/api/runtime/shutdown', { authorization: `Bearer ${IN}` }, 'POST')
  expect(entered).toEqual([ID, ID, ID])
  expect(it.called).toMatchObject([{ what: 'POST /api/runtime/shutdown', by: 'session' }])
  expect((await get(STATUS.path, { authorization: `Bearer ${TOKEN}` })).status).toBe(200)
  expect((await get(STATUS.path, { authorization: 'Bearer errs_guessed' })).status).toBe(401)
  expect((await get(STATUS.path, { 'x-errand-session': ID })).status).toBe(401)
  expect(it.refused.map(({ reason }) => reason.split(':')[0])).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED'])
})
