/** The HTTP API of a real node on TCP: what it rests on, whom a certificate lets in, and what the log says of it. */
import { chmodSync, copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AuditRecordView, Status } from '../../protocols/local/messages.ts'
import { connect, type LocalClient } from '../../src/local/client.ts'
import { Authority, type Signed } from '../support/certificates.ts'
import { type Config, jsonOf, type Node, until, type World, world } from '../support/world.ts'
import { webSocketCalls } from '../support/ws-client.ts'
import { processesWith, residentBytes } from './support-exec.ts'

const LOOPBACK: Config = { 'transport.api.listen': '127.0.0.1:0' }
const POST = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"device":"node","command":["true"]}' }

async function apiOf(w: World, home: string): Promise<NonNullable<Status['api']>> {
  const { api } = jsonOf<Status>(await w.errand(home, 'status', '--json'))
  if (api === null) throw new Error(`the node of ${home} has no API on TCP`)
  return api
}

async function said(w: World, home: string, action: string): Promise<AuditRecordView[]> {
  return await w.audit(home, '--action', action)
}

test('a token of the node’s own making, told where it is and never what it is; it opens the API, and the log names the call', async () => {
  await using w = world()
  const home = w.home('node')
  const node = await w.up(home, '--name', 'node', '--api', '127.0.0.1:0')
  const file = join(home, 'api.token')
  const token = readFileSync(file, 'utf8').trim()
  expect([statSync(file).mode & 0o777, Buffer.from(token, 'base64url').length]).toEqual([0o600, 32])
  const { url, tokenFile } = await apiOf(w, home)
  expect(tokenFile).toBe(file)
  expect(node.ready).toMatchObject({ api: { url, tokenFile } })
  const status = await w.errand(home, 'status')
  expect(status.stdout).toContain(`${url}  (token in ${file})`)

  const answer = await fetch(`${url}/api/runtime/tasks/submit`, { ...POST, headers: { ...POST.headers, authorization: `Bearer ${token}` } })
  expect(answer.status).toBe(200)
  expect((await fetch(`${url}/api/runtime/status`)).status).toBe(401)
  expect((await fetch(`${url}/api/runtime/status?token=${token}`)).status).toBe(401)
  expect((await fetch(`${url}/api/docs`)).status).toBe(200)
  const log = await w.audit(home)
  const call = log.findIndex(({ action, subject }) => action === 'api.call' && subject === 'POST /api/runtime/tasks/submit')
  const submit = log.findIndex(({ action }) => action === 'task.submit')
  expect(log[call]).toMatchObject({ actor: node.did, result: 'allowed', why: 'token', from: expect.stringMatching(/^127\.0\.0\.1:\d+$/) })
  expect([call >= 0, call < submit]).toEqual([true, true])
  expect((await said(w, home, 'api.denied')).map(({ subject, result, reason }) => [subject, result, reason])).toEqual(
    Array(2).fill(['GET /api/runtime/status', 'denied', 'UNAUTHENTICATED: this address asks for a token']),
  )
  const { stdout, stderr } = await node.stop()
  expect(JSON.stringify([stdout, stderr, status, log])).not.toContain(token)

  await w.up(home, '--api', '127.0.0.1:0')
  expect(readFileSync(file, 'utf8').trim()).toBe(token)
})

test('a flood of refusals is metered in the log, and every one of them is refused', async () => {
  await using w = world()
  const { home } = await w.founder('node', LOOPBACK)
  const { url } = await apiOf(w, home)
  for (let i = 0; i < 60; i++) expect((await fetch(`${url}/api/runtime/devices`)).status).toBe(401)
  const denied = await said(w, home, 'api.denied')
  expect(denied.length).toBeGreaterThanOrEqual(20)
  expect(denied.length).toBeLessThan(30)
})

test('without security.requireAuth nothing is asked for on loopback, and foreign pages get nothing all the same', async () => {
  await using w = world()
  const { home } = await w.founder('node', { ...LOOPBACK, 'security.requireAuth': false })
  const { url, tokenFile } = await apiOf(w, home)
  expect(tokenFile).toBeNull()
  expect((await fetch(`${url}/api/runtime/tasks/submit`, POST)).status).toBe(200)
  expect((await fetch(`${url}/api/runtime/tasks/submit`, { ...POST, headers: { ...POST.headers, origin: 'https://evil.example' } })).status).toBe(403)
  expect((await said(w, home, 'api.call')).map(({ why }) => why)).toEqual(['nothing'])
  expect((await said(w, home, 'api.denied')).map(({ reason }) => reason)).toEqual([expect.stringContaining('FORBIDDEN_ORIGIN')])
})

test('what the API rests on is judged at the start: missing, readable by others, no token, no certificate, no TLS', async () => {
  await using w = world()
  using authority = new Authority()
  const good = authority.sign({ names: ['DNS:localhost'] })
  const foreign = authority.sign({ names: ['DNS:localhost'] })
  const file = (name: string, text: string, mode: number): string => {
    const path = w.at(name)
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }
  const exposedKey = w.at('exposed.key')
  copyFileSync(good.keyPath, exposedKey)
  chmodSync(exposedKey, 0o640)
  const tls = { 'transport.api.tls.cert': good.certPath, 'transport.api.tls.key': good.keyPath }
  const cases: [Config, string][] = [
    [{ 'transport.api.token': w.at('none') }, 'API_FILE_MISSING'],
    [{ 'transport.api.token': file('open', 'x'.repeat(40), 0o604) }, 'API_FILE_EXPOSED'],
    [{ 'transport.api.token': file('group', 'x'.repeat(40), 0o640) }, 'API_FILE_EXPOSED'],
    [{ 'transport.api.token': file('short', 'short', 0o600) }, 'BAD_API_FILE'],
    [{ 'transport.api.token': file('spaces', 'two words and more words', 0o600) }, 'BAD_API_FILE'],
    [{ 'transport.api.token': w.root }, 'BAD_API_FILE'],
    [{ ...tls, 'transport.api.tls.key': exposedKey }, 'API_FILE_EXPOSED'],
    [{ ...tls, 'transport.api.tls.key': w.at('none') }, 'API_FILE_MISSING'],
    [{ ...tls, 'transport.api.tls.key': foreign.keyPath }, 'API_CERTIFICATE'],
    [{ ...tls, 'transport.api.tls.cert': file('no.pem', 'no certificate', 0o644) }, 'API_CERTIFICATE'],
    [{ ...tls, 'transport.api.tls.clientCa': file('writable.pem', authority.cert, 0o646) }, 'API_FILE_EXPOSED'],
    [{ 'transport.api.listen': '0.0.0.0:0', mode: 'remote-enabled' }, 'API_NEEDS_TLS'],
  ]
  const home = w.home('node')
  for (const [config, code] of cases) {
    w.configure(home, { ...LOOPBACK, ...config })
    const ran = await w.errand(home, 'up', '--json')
    expect([ran.code, JSON.parse(ran.stdout).error.code], JSON.stringify(config)).toEqual([125, code])
  }
})

let w: World
let authority: Authority
let node: Node
let admin: Node
let plain: Node
let mesh: string
let url: string

const nameOf = (id: string, { ready: { peerId } }: Node): string => `URI:spiffe://${id}/device/${peerId}`

beforeAll(async () => {
  w = world()
  authority = new Authority()
  const server = authority.sign({ names: ['DNS:localhost', 'IP:127.0.0.1'] })
  node = await w.founder('node', {
    ...LOOPBACK,
    'transport.api.tls.cert': server.certPath,
    'transport.api.tls.key': server.keyPath,
    'transport.api.tls.clientCa': authority.path,
  })
  admin = await w.joiner(node, 'admin', { invite: ['--role', 'admin'] })
  plain = await w.joiner(node, 'plain')
  const status = jsonOf<Status>(await w.errand(node.home, 'status', '--json'))
  mesh = status.mesh?.id ?? ''
  url = status.api?.url ?? ''
}, 120_000)

afterAll(async () => {
  authority?.[Symbol.dispose]()
  await w?.[Symbol.asyncDispose]()
}, 60_000)

function by(signed: Signed | undefined): LocalClient {
  return connect({ url, ca: authority.cert, ...(signed === undefined ? {} : { cert: signed.cert, key: signed.key }) })
}

async function codeFor(signed: Signed | undefined): Promise<string> {
  const client = by(signed)
  try {
    await client.status()
    return 'let in'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  } finally {
    client.close()
  }
}

test('a client certificate counts when our CA signed it, it is in its days, and it names one device that may do everything here', async () => {
  using stranger = new Authority()
  const own = nameOf(mesh, node)
  const cases: [string, Signed | undefined, string][] = [
    ['none', undefined, 'UNAUTHENTICATED'],
    ['signed by itself or another CA', stranger.sign({ names: [own] }), 'UNAUTHENTICATED'],
    ['expired', authority.sign({ names: [own], isExpired: true }), 'UNAUTHENTICATED'],
    ['of another mesh', authority.sign({ names: [nameOf('ab'.repeat(32), node)] }), 'FORBIDDEN_CERTIFICATE'],
    [
      'of a device that is no member',
      authority.sign({ names: [`URI:spiffe://${mesh}/device/12D3KooWSm91UzwP1ErxGuv2KDoVRGp7h4vkufeiVNB9SBxwBTZh`] }),
      'FORBIDDEN_CERTIFICATE',
    ],
    ['of no device', authority.sign({ names: ['DNS:node'] }), 'FORBIDDEN_CERTIFICATE'],
    ['of two devices', authority.sign({ names: [own, nameOf(mesh, admin)] }), 'FORBIDDEN_CERTIFICATE'],
    ['of an authority', authority.sign({ names: [own], isAuthority: true }), 'FORBIDDEN_CERTIFICATE'],
    ['of a member without rights', authority.sign({ names: [nameOf(mesh, plain)] }), 'DENIED'],
    ['of this device', authority.sign({ names: [own] }), 'let in'],
    ['of an admin', authority.sign({ names: [nameOf(mesh, admin)] }), 'let in'],
  ]
  for (const [what, signed, code] of cases) expect(await codeFor(signed), what).toBe(code)
  const denied = await said(w, node.home, 'api.denied')
  expect(denied.length).toBe(9)
  expect(denied.map(({ reason }) => String(reason).split(':')[0])).toEqual(cases.slice(0, 9).map(([, , code]) => code))
})

test('the log names the device of the certificate, and its call ends with its right', async () => {
  const signed = authority.sign({ names: [nameOf(mesh, admin)] })
  const client = by(signed)
  const outcome = await client.exec({ device: 'node', command: ['sh', '-c', 'exit 3'] })
  expect(outcome.exitCode).toBe(3)
  expect((await said(w, node.home, 'api.call')).at(-1)).toMatchObject({ actor: admin.did, why: 'certificate', subject: 'GET /api/runtime/exec' })
  const [grant] = jsonOf<{ cid: string; audience: string; can: string[] }[]>(await w.errand(node.home, 'grants', '--json')).filter(
    ({ audience, can }) => audience.includes('admin') && can.includes('everything'),
  )
  const revoked = await w.errand(node.home, 'revoke', grant?.cid ?? '', '--json')
  expect(revoked).toMatchObject({ code: 0 })
  await expect(client.status()).rejects.toMatchObject({ code: 'DENIED' })
  client.close()
})

test('plain HTTP to the TLS port, and a name that its certificate does not have, get nothing', async () => {
  const own = authority.sign({ names: [nameOf(mesh, node)] })
  const before = (await said(w, node.home, 'api.denied')).length
  await expect(fetch(url.replace('https', 'http'))).rejects.toThrow()
  const unknown = connect({ url, cert: own.cert, key: own.key })
  await expect(unknown.status()).rejects.toMatchObject({ code: 'BAD_CERTIFICATE' })
  await expect(unknown.exec({ device: 'node', command: ['true'] })).rejects.toMatchObject({ code: 'BAD_CERTIFICATE' })
  unknown.close()
  const denied = (await said(w, node.home, 'api.denied')).slice(before)
  expect(denied).toEqual([expect.objectContaining({ subject: 'no request', reason: expect.stringContaining('ERR_SSL_HTTP_REQUEST') })])
})

test('a WebSocket reader that stops costs the node no memory, and gets every byte', async () => {
  const own = authority.sign({ names: [nameOf(mesh, node)] })
  const client = webSocketCalls({ url, ca: authority.cert, cert: own.cert, key: own.key })
  const pid = node.process.child.pid ?? 0
  let [got, most, first] = [0, 0, 0]
  const outcome = await client.exec(
    { device: 'node', command: ['head', '-c', '200000000', '/dev/zero'] },
    {
      async onStdout(chunk) {
        got += chunk.length
        if (first === 0) {
          first = residentBytes(pid)
          let before = -1
          await until('the command stands still', () => {
            const [running] = processesWith('200000000')
            const stands = running !== undefined && before === running.cpuTicks
            before = running?.cpuTicks ?? -1
            return stands
          })
        }
        most = Math.max(most, residentBytes(pid))
      },
    },
  )
  client.close()
  expect([outcome.exitCode, got]).toEqual([0, 200_000_000])
  expect(most - first).toBeLessThan(64 << 20)
})
