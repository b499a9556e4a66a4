import { expect, test } from 'vitest'
import { ErrandError } from '../../../src/base/errors.ts'
import { connect } from '../../../src/local/client.ts'
import { isOurs } from '../../../src/local/tcp-guard.ts'
import { deviceIn } from '../../../src/local/tcp-spiffe.ts'
import { until } from '../../support/until.ts'
import { say } from './ask.ts'
import { accept, end, execs, STATUS } from './scripted.ts'
import { Line, type TcpWorld, TOKEN, tcpWorld } from './tcp-world.ts'

const STATUS_PATH = '/api/runtime/status'
const BEARER = `Bearer ${TOKEN}`

function get(it: TcpWorld, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${it.url}${path}`, { headers })
}

function raw(it: TcpWorld, first: string, headers: readonly string[], body = ''): Promise<string> {
  return say(it, `${first} HTTP/1.1\r\nConnection: close\r\n${headers.join('\r\n')}\r\n\r\n${body}`)
}

test('the token opens every route, and nothing else does', async () => {
  let asked = 0
  await using it = await tcpWorld({
    getStatus: () => {
      asked++
      return Promise.resolve(STATUS)
    },
  })
  const wrong: Record<string, string>[] = [
    {},
    { authorization: '' },
    { authorization: 'Bearer' },
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
    { authorization: `Basic ${TOKEN}` },
    { authorization: TOKEN },
    { cookie: `token=${TOKEN}` },
    { 'x-errand-token': TOKEN },
  ]
  for (const headers of wrong) {
    const answer = await get(it, STATUS_PATH, headers)
    expect([answer.status, JSON.parse(await answer.text()).error.code], JSON.stringify(headers)).toEqual([401, 'UNAUTHENTICATED'])
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="errand"')
  }
  for (const query of [`token=${TOKEN}`, `access_token=${TOKEN}`, `authorization=${BEARER}`])
    expect((await get(it, `${STATUS_PATH}?${query}`)).status).toBe(401)
  expect([asked, it.refused.length]).toEqual([0, wrong.length + 3])
  expect(JSON.stringify(it.refused)).not.toContain(TOKEN.slice(0, 12))
  expect((await get(it, STATUS_PATH, { authorization: BEARER })).status).toBe(200)
  expect((await get(it, STATUS_PATH, { authorization: `bearer ${TOKEN}` })).status).toBe(200)
  expect(asked).toBe(2)
})

test('a page that made a browser come here under a name of its own gets nothing, token or not', async () => {
  await using it = await tcpWorld()
  const hosts = [
    'evil.example',
    `evil.example:${it.port}`,
    '127.0.0.1',
    '127.0.0.1:1',
    `127.0.0.2:${it.port}`,
    `localhost.evil.example:${it.port}`,
    `0x7f000001:${it.port}`,
    '',
  ]
  for (const host of hosts)
    expect(await raw(it, `GET ${STATUS_PATH}`, [`Host: ${host}`, `Authorization: ${BEARER}`]), host).toMatch(/^HTTP\/1.1 403 .*FORBIDDEN_HOST/s)
  expect(await raw(it, `GET ${STATUS_PATH}`, [`Host: ${it.here}`, 'Host: evil.example', `Authorization: ${BEARER}`])).toMatch(/FORBIDDEN_HOST/)
  expect(await raw(it, `GET http://evil.example${STATUS_PATH}`, [`Host: evil.example`, `Authorization: ${BEARER}`])).toMatch(/FORBIDDEN_HOST/)
  expect(it.refused.map(({ reason }) => reason.split(':')[0])).toEqual(Array(hosts.length + 2).fill('FORBIDDEN_HOST'))
  for (const host of [it.here, `localhost:${it.port}`, `LOCALHOST:${it.port}`])
    expect(await raw(it, `GET ${STATUS_PATH}`, [`Host: ${host}`, `Authorization: ${BEARER}`]), host).toMatch(/^HTTP\/1.1 200 /)
})

test('a page of another origin can make a browser ask, and nothing happens', async () => {
  let reached = 0
  const grant = async (): Promise<never[]> => {
    reached++
    return []
  }
  await using it = await tcpWorld({ grant }, { needs: { token: undefined, certificate: false } })
  const forged: string[][] = [
    ['Origin: https://evil.example'],
    ['Origin: null'],
    [`Origin: https://${it.here}`],
    [`Origin: http://localhost:${it.port + 1}`],
    ['Sec-Fetch-Site: cross-site'],
    ['Sec-Fetch-Site: same-site'],
  ]
  const body = '{"who":"a","on":"b","can":["exec: *"],"forMs":1000}'
  const about = [`Host: ${it.here}`, 'Content-Type: application/json', `Content-Length: ${body.length}`]
  for (const headers of forged)
    expect(await raw(it, 'POST /api/runtime/grants', [...about, ...headers], body), headers.join()).toMatch(/^HTTP\/1.1 403 .*FORBIDDEN_ORIGIN/s)
  const preflight = await raw(it, 'OPTIONS /api/runtime/grants', [`Host: ${it.here}`, 'Origin: https://evil.example', 'Access-Control-Request-Method: POST'])
  expect(preflight).toMatch(/^HTTP\/1.1 403 /)
  expect(preflight.toLowerCase()).not.toContain('access-control-allow')
  const form = await raw(it, 'POST /api/runtime/grants', [`Host: ${it.here}`, 'Content-Type: text/plain', `Content-Length: ${body.length}`], body)
  expect(form).toMatch(/^HTTP\/1.1 415 /)
  expect([reached, it.called.length, it.refused.length]).toEqual([0, 1, forged.length + 1])
  expect(await raw(it, 'POST /api/runtime/grants', [...about, `Origin: ${it.url}`, 'Sec-Fetch-Site: same-origin'], body)).toMatch(/^HTTP\/1.1 200 /)
})

test('what changes something is written down before it is done, and not done when it cannot be', async () => {
  const order: string[] = []
  const grant = async (): Promise<never[]> => {
    order.push('done')
    return []
  }
  let isFull = false
  const called = async (): Promise<void> => {
    if (isFull) throw new ErrandError('LOG_UNAVAILABLE', 'the disk is full')
    await Promise.resolve()
    order.push('written')
  }
  await using it = await tcpWorld({ grant }, { log: { refused: () => undefined, called } })
  const post = (): Promise<Response> =>
    fetch(`${it.url}/api/runtime/grants`, {
      method: 'POST',
      headers: { authorization: BEARER, 'content-type': 'application/json' },
      body: '{"who":"a","on":"b","can":["exec: *"],"forMs":1000}',
    })
  expect((await post()).status).toBe(200)
  expect(order).toEqual(['written', 'done'])
  isFull = true
  expect(JSON.parse(await (await post()).text()).error.code).toBe('LOG_UNAVAILABLE')
  expect(order).toEqual(['written', 'done'])
})

test('a call is named without its query, and by what proved it', async () => {
  await using it = await tcpWorld(
    execs(async (_request, link) => {
      await accept(link)
      await end(link)
    }),
  )
  const client = connect({ url: it.url, token: TOKEN })
  await client.exec({ device: 'a', command: ['true'] })
  client.close()
  expect(it.called).toEqual([{ what: 'GET /api/runtime/exec', from: expect.stringMatching(/^127\.0\.0\.1:\d+$/), actor: STATUS.did, by: 'token' }])
})

test('upgrades pass the same guard', async () => {
  let ran = 0
  await using it = await tcpWorld(execs(async () => void ran++))
  for (const [path, upgrade] of [
    ['exec', 'errand-exec'],
    ['ws', 'websocket'],
  ] as const) {
    const up = (...headers: string[]): Promise<string> =>
      say(it, `GET /api/runtime/${path} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n${headers.join('\r\n')}\r\n\r\n`)
    expect(await up(`Host: ${it.here}`)).toMatch(/^HTTP\/1.1 401 .*UNAUTHENTICATED/s)
    expect(await up(`Host: evil.example`, `Authorization: ${BEARER}`)).toMatch(/^HTTP\/1.1 403 .*FORBIDDEN_HOST/s)
    expect(await up(`Host: ${it.here}`, 'Origin: https://evil.example', `Authorization: ${BEARER}`)).toMatch(/^HTTP\/1.1 403 .*FORBIDDEN_ORIGIN/s)
  }
  expect([ran, it.refused.length]).toEqual([0, 6])
})

test('who asks for an upgrade, is refused and stays is hung up on', async () => {
  await using it = await tcpWorld()
  const line = new Line(it, true).send(`GET /api/runtime/ws HTTP/1.1\r\nHost: ${it.here}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
  await until('it is hung up on', () => line.send('x').socket.destroyed)
  expect(line.text).toMatch(/^HTTP\/1.1 401 /)
})

test.each([
  ['nothing at all', ''],
  ['half a head', 'GET /api/runtime/status HTTP/1.1\r\nHost: '],
  [
    'half a body',
    `POST /api/runtime/grants HTTP/1.1\r\nHost: HERE\r\nAuthorization: ${BEARER}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{`,
  ],
])('who sends %s and waits is hung up on, and it is written down', async (_what, text) => {
  await using it = await tcpWorld({}, { arriveMs: 300 })
  const line = new Line(it).send(text.replace('HERE', it.here))
  await line.closed
  if (text !== '') expect(line.text).toMatch(/^HTTP\/1.1 408 /)
  expect(it.refused).toEqual([{ what: 'no request', from: expect.stringMatching(/^127\.0\.0\.1:\d+$/), reason: expect.stringContaining('TIMEOUT') }])
})

test('a head of more than 16 KiB and a body of more than 1 MiB are not read', async () => {
  await using it = await tcpWorld()
  expect(await raw(it, `GET ${STATUS_PATH}`, [`Host: ${it.here}`, `X-Long: ${'a'.repeat(17_000)}`])).toMatch(/^HTTP\/1.1 431 /)
  expect(it.refused).toEqual([{ what: 'no request', from: expect.any(String), reason: expect.stringContaining('HPE_HEADER_OVERFLOW') }])
  const head = [`Host: ${it.here}`, 'Content-Type: application/json', `Content-Length: ${(1 << 20) + 1}`]
  expect(await raw(it, 'POST /api/runtime/grants', head)).toMatch(/^HTTP\/1.1 401 /)
  expect(await raw(it, 'POST /api/runtime/grants', [...head, `Authorization: ${BEARER}`])).toMatch(/^HTTP\/1.1 413 .*TOO_LARGE/s)
})

test('idle strangers lock nobody out: the oldest makes room', async () => {
  await using it = await tcpWorld()
  const strangers = Array.from({ length: 200 }, () => new Line(it))
  await Promise.all(strangers.map(({ opened }) => opened))
  await Promise.all(strangers.slice(0, 72).map(({ closed }) => closed))
  expect((await get(it, STATUS_PATH, { authorization: BEARER })).status).toBe(200)
  await until('the newest of them are still there', () => strangers.filter(({ socket }) => !socket.destroyed).length === 127)
})

test('who has proven who they are keeps their connection, however many strangers come', async () => {
  await using it = await tcpWorld()
  const known = new Line(it)
  const asked = `GET ${STATUS_PATH} HTTP/1.1\r\nHost: ${it.here}\r\nAuthorization: ${BEARER}\r\n\r\n`
  known.send(asked)
  await until('the first answer is there', () => known.text.includes('"ready":true'))
  const strangers = Array.from({ length: 200 }, () => new Line(it))
  await Promise.all(strangers.map(({ opened }) => opened))
  await Promise.all(strangers.slice(0, 72).map(({ closed }) => closed))
  known.send(asked)
  await until('the second answer is there', () => known.text.split('"ready":true').length === 3)
})

test('without TLS it listens on loopback and nowhere else', async () => {
  await expect(tcpWorld({}, { host: '0.0.0.0' })).rejects.toMatchObject({ code: 'API_NEEDS_TLS', hint: expect.stringContaining('tls.cert') })
})

test('a port that is taken is named', async () => {
  await using it = await tcpWorld()
  await expect(tcpWorld({}, { port: it.port })).rejects.toMatchObject({ code: 'API_PORT_TAKEN', message: expect.stringContaining(it.here) })
})

test('a name counts only where it can mean nobody else', () => {
  const here = { host: 'node.lan', certificate: undefined, address: '192.168.1.7', port: 8_443 }
  expect(['192.168.1.7:8443', 'node.lan:8443', 'NODE.LAN:8443'].map((name) => isOurs(name, here))).toEqual([true, true, true])
  expect(
    ['localhost:8443', 'node.lan', 'node.lan:443', 'node.lan.:8443', 'x@node.lan:8443', '[::1]:8443', 'node.lan:08443x'].filter((name) => isOurs(name, here)),
  ).toEqual([])
  expect(isOurs('[::1]:80', { ...here, address: '::1', port: 80 })).toBe(true)
  expect(isOurs('localhost', { ...here, address: '::1', port: 80 })).toBe(true)
})

const MESH = 'ab'.repeat(32)
const PEER = '12D3KooWSm91UzwP1ErxGuv2KDoVRGp7h4vkufeiVNB9SBxwBTZh'

test('one URI of a certificate names one device', () => {
  expect(deviceIn(`DNS:x, URI:spiffe://${MESH}/device/${PEER}`)).toEqual({ mesh: MESH, peerId: PEER })
})

test.each([
  ['none', 'DNS:x'],
  ['two', `URI:spiffe://${MESH}/device/${PEER}, URI:spiffe://${MESH}/device/${PEER}`],
  ['another scheme', `URI:https://${MESH}/device/${PEER}`],
  ['another path', `URI:spiffe://${MESH}/user/${PEER}`],
  ['more path', `URI:spiffe://${MESH}/device/${PEER}/x`],
  ['an encoded path', `URI:spiffe://${MESH}/device%2f${PEER}`],
  ['capitals in the mesh', `URI:spiffe://${MESH.toUpperCase()}/device/${PEER}`],
  ['a short mesh', `URI:spiffe://abcd/device/${PEER}`],
  ['a port', `URI:spiffe://${MESH}:1/device/${PEER}`],
  ['a quoted name', `DNS:"x, URI:spiffe://${MESH}/device/${PEER}"`],
])('a certificate with %s names none', (_what, names) => {
  expect(() => deviceIn(names)).toThrow(expect.objectContaining({ code: 'FORBIDDEN_CERTIFICATE' }))
})
