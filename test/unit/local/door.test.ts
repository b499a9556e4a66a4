import { stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { ErrandError } from '../../../src/base/errors.ts'
import { statusOf } from '../../../src/local/door.ts'
import { ask, say } from './ask.ts'
import { accept, execs, STATUS, world } from './scripted.ts'

const JSON_BODY = { 'content-type': 'application/json' }

test('the socket is for its owner alone', async () => {
  await using it = await world({})
  expect((await stat(it.socketPath)).mode & 0o777).toBe(0o600)
})

test('every answer carries the API version', async () => {
  await using it = await world({})
  for (const path of ['/api/runtime/status', '/nowhere']) expect((await ask(it.socketPath, { path })).headers['x-errand-api']).toBe('1')
})

test('a page in a browser gets nothing, whatever name it resolved to this socket', async () => {
  let asked = 0
  await using it = await world({
    getStatus: () => {
      asked++
      return Promise.resolve(STATUS)
    },
  })
  const cases = [
    { host: 'attacker.example' },
    { host: 'localhost.attacker.example' },
    { host: 'errand:80' },
    { host: '127.0.0.1' },
    { origin: 'http://localhost' },
    { origin: 'null' },
  ]
  for (const headers of cases) {
    const answer = await ask(it.socketPath, { path: '/api/runtime/status', headers })
    expect([answer.status, JSON.parse(answer.body).error.code]).toEqual([403, expect.stringMatching(/^FORBIDDEN_/)])
  }
  expect(asked).toBe(0)
  expect((await ask(it.socketPath, { path: '/api/runtime/status', headers: { host: 'localhost' } })).status).toBe(200)
})

test('the exec face refuses foreign hosts, origins, methods and protocols before it switches', async () => {
  let ran = 0
  await using it = await world(
    execs(async () => {
      ran++
    }),
  )
  const upgrade = (first: string, headers: string[]): Promise<string> =>
    say(it.socketPath, `${first} HTTP/1.1\r\nConnection: Upgrade\r\n${headers.join('\r\n')}\r\n\r\n`)
  const exec = 'GET /api/runtime/exec'
  expect(await upgrade(exec, ['Host: evil.example', 'Upgrade: errand-exec'])).toMatch(/^HTTP\/1.1 403 .*FORBIDDEN_HOST/s)
  expect(await upgrade(exec, ['Host: errand', 'Origin: http://errand', 'Upgrade: errand-exec'])).toMatch(/^HTTP\/1.1 403 .*FORBIDDEN_ORIGIN/s)
  expect(await upgrade(exec, ['Host: errand', 'Upgrade: websocket'])).toMatch(/^HTTP\/1.1 400 .*BAD_REQUEST/s)
  expect(await upgrade('POST /api/runtime/exec', ['Host: errand', 'Upgrade: errand-exec'])).toMatch(/^HTTP\/1.1 404 /)
  expect(await upgrade('GET /api/runtime/status', ['Host: errand', 'Upgrade: errand-exec'])).toMatch(/^HTTP\/1.1 404 /)
  expect(ran).toBe(0)
})

test('an unknown route says where the known ones are', async () => {
  await using it = await world({})
  const answer = await ask(it.socketPath, { path: '/api/runtime/nothing' })
  expect(answer.status).toBe(404)
  expect(JSON.parse(answer.body).error).toMatchObject({ code: 'NO_SUCH_ROUTE', source: 'errand', hint: expect.stringContaining('README') })
})

test.each([
  ['an unknown field', '{"who":"a","on":"b","can":["exec: *"],"forMs":1000,"root":true}', 'root'],
  ['a missing field', '{"who":"a","on":"b","can":["exec: *"]}', 'forMs'],
  ['a wrong type', '{"who":"a","on":"b","can":"exec: *","forMs":1000}', 'can'],
  ['an empty list', '{"who":"a","on":"b","can":[],"forMs":1000}', 'can'],
  ['an oversize text', `{"who":"${'a'.repeat(129)}","on":"b","can":["x"],"forMs":1000}`, 'who'],
  ['no JSON', '{"who":', ''],
  ['a prototype key', '{"__proto__":{"admin":true}}', ''],
])('a body with %s never reaches the runtime', async (_what, body, field) => {
  let reached = 0
  await using it = await world({
    grant: () => {
      reached++
      return Promise.resolve([])
    },
  })
  const answer = await ask(it.socketPath, { method: 'POST', path: '/api/runtime/grants', headers: JSON_BODY, body })
  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.body).error).toMatchObject({ code: 'BAD_REQUEST', message: expect.stringContaining(field) })
  expect(reached).toBe(0)
})

test('a body that is too large or not JSON is refused by its size and type', async () => {
  await using it = await world({})
  const large = await ask(it.socketPath, { method: 'POST', path: '/api/runtime/join', headers: JSON_BODY, body: JSON.stringify({ code: 'x'.repeat(1 << 20) }) })
  expect([large.status, JSON.parse(large.body).error.code]).toEqual([413, 'TOO_LARGE'])
  const plain = await ask(it.socketPath, { method: 'POST', path: '/api/runtime/shutdown', headers: { 'content-type': 'text/plain' }, body: '{}' })
  expect([plain.status, JSON.parse(plain.body).error.code]).toEqual([415, 'BAD_MEDIA_TYPE'])
})

test('a query is checked like a body', async () => {
  await using it = await world({})
  for (const query of ['?limit=-1', '?limit=1e3', '?since=yesterday', '?shell=1', '?actor=a&actor=b']) {
    expect((await ask(it.socketPath, { path: `/api/audit/events${query}` })).status).toBe(400)
  }
  expect((await ask(it.socketPath, { path: '/api/runtime/status?x=1' })).status).toBe(400)
})

test('an exec request is checked like a body', async () => {
  let ran = 0
  await using it = await world(
    execs(async (_request, link) => {
      ran++
      await accept(link)
    }),
  )
  await expect(it.client.exec({ device: 'gpu1', command: [] })).rejects.toMatchObject({ code: 'BAD_REQUEST', message: expect.stringContaining('command') })
  await expect(it.client.exec({ device: 'gpu1', command: ['true'], id: 'no-uuid' })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  expect(ran).toBe(0)
})

test.each([
  ['DENIED', 403],
  ['REFUSED_EXPIRED', 403],
  ['NO_SUCH_DEVICE', 404],
  ['UNKNOWN_GRANT', 404],
  ['AMBIGUOUS_NAME', 409],
  ['BAD_INVITE', 400],
  ['RATE_LIMITED', 429],
  ['INTERNAL', 500],
  ['STOPPING', 503],
  ['NO_ROUTE', 422],
])('the error %s is answered with %d', (code, status) => {
  expect(statusOf(code)).toBe(status)
})

test('an error keeps code, message, hint, fields and source on its way to the caller; a stack never travels', async () => {
  const error = new ErrandError('NO_SUCH_DEVICE', 'no device is called gpu9', {
    hint: 'errand devices',
    fields: { near: ['gpu1'], source: 'device' },
    cause: new Error('secret cause'),
  })
  await using it = await world({ listGrants: () => Promise.reject(error), listDevices: () => Promise.reject(new TypeError('x is not a function')) })
  await expect(it.client.grants()).rejects.toMatchObject({
    code: error.code,
    message: error.message,
    hint: 'errand devices',
    fields: { near: ['gpu1'], source: 'device' },
  })
  const answer = await ask(it.socketPath, { path: '/api/runtime/grants' })
  expect(JSON.parse(answer.body)).toEqual({
    error: { code: error.code, message: error.message, hint: error.hint, fields: { near: ['gpu1'] }, source: 'device' },
  })
  const broken = await ask(it.socketPath, { path: '/api/runtime/devices' })
  expect(broken.status).toBe(500)
  expect(broken.body).not.toContain('at ')
})

test('a failure of the server itself is told to its log', async () => {
  const told: string[] = []
  await using it = await world({ listTasks: () => Promise.reject(new Error('disk gone')) }, { logger: { error: (_facts, text) => told.push(text) } })
  await expect(it.client.tasks()).rejects.toMatchObject({ code: 'INTERNAL', message: 'disk gone' })
  expect(told).toHaveLength(1)
})
