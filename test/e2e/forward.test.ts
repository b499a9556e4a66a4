/** Ports of devices, as people and their programs use them: OpenSSH's own programs through `errand proxy`, TCP through `errand forward`, both ways. */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { couple } from '../support/mesh.ts'
import { PROGRAM } from '../support/program.ts'
import { installSsh, type Sshd, startSshd } from '../support/sshd.ts'
import { failureOf, type Node, type Running, until, type World } from '../support/world.ts'

interface Echo {
  readonly server: Server
  readonly port: number
}

let w: World
let alice: Node
let bob: Node
let sshd: Sshd
let echo: Echo
const FILE_BYTES = 3_000_000
const MUCH_BYTES = 256 << 20

beforeAll(async () => {
  await installSsh()
  ;({ w, alice, bob } = await couple({ bob: { invite: ['--ask', 'device: info'] } }))
  sshd = await startSshd(w.at('sshd'), w.at('there'))
  for (const directory of ['here', 'there']) mkdirSync(w.at(directory))
  writeFileSync(w.at('here', 'file'), randomBytes(FILE_BYTES))
  echo = await listening((socket) => socket.pipe(socket))
  await granted('alice', bob, `forward: localhost:${sshd.port}, 127.0.0.1:${echo.port}, localhost:1`, 'listen: 127.0.0.1:*')
}, 240_000)

afterAll(async () => {
  await sshd?.[Symbol.asyncDispose]()
  echo?.server.close()
  await w?.[Symbol.asyncDispose]()
})

async function granted(who: string, on: Node, ...can: string[]): Promise<void> {
  const ran = await w.errand(on.home, 'grant', who, '--on', on.name, ...can.flatMap((right) => ['--can', right]), '--for', '1h')
  expect(ran.stderr + ran.stdout, ran.stderr).not.toContain('error')
  expect(ran.code).toBe(0)
}

async function listening(serve: (socket: Socket) => void): Promise<Echo> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: portOf(server.address()) }
}

function portOf(address: unknown): number {
  return typeof address === 'object' && address !== null && 'port' in address ? Number(address.port) : 0
}

/** A forward that is ready. */
async function forwarding(...words: string[]): Promise<{ running: Running; port: number }> {
  const running = w.start(alice.home, ['forward', '--json', ...words])
  const line = await running.firstLine()
  if (line === undefined) throw new Error((await running.ended).stderr)
  const { event, port, address } = JSON.parse(line)
  expect([event, address]).toEqual(['listening', '127.0.0.1'])
  return { running, port }
}

async function said(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const proxied = (): string[] => [...sshd.options, '-o', `ProxyCommand=${process.execPath} ${PROGRAM} proxy --home ${alice.home} bob --port ${sshd.port}`]

/** With nothing of the user: programs look into the home of whoever runs them. */
function ran(file: string, args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(file, args, { env: w.env, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    )
  })
}

const sum = (...path: string[]): string =>
  createHash('sha256')
    .update(readFileSync(w.at(...path)))
    .digest('hex')

test('ssh through a device: output, input and exit code are those of the command over there', async () => {
  expect(await ran('ssh', [...proxied(), `${sshd.user}@nas`, 'echo over there; exit 7'])).toEqual({ code: 7, stdout: 'over there\n', stderr: '' })
})

test('scp, sftp and rsync: what arrives is what was sent', async () => {
  const target = `${sshd.user}@nas:${w.at('there')}`
  expect(await ran('scp', ['-q', ...proxied(), w.at('here', 'file'), `${target}/by-scp`])).toMatchObject({ code: 0, stderr: '' })
  writeFileSync(w.at('batch'), `get ${w.at('there', 'by-scp')} ${w.at('here', 'by-sftp')}\n`)
  expect(await ran('sftp', ['-q', ...proxied(), '-b', w.at('batch'), `${sshd.user}@nas`])).toMatchObject({ code: 0 })
  const shell = ['ssh', ...proxied().map((word) => (word.includes(' ') ? `'${word}'` : word))].join(' ')
  expect(await ran('rsync', ['-a', '-e', shell, w.at('here', 'file'), `${target}/by-rsync`])).toMatchObject({ code: 0, stderr: '' })
  expect([sum('there', 'by-scp'), sum('here', 'by-sftp'), sum('there', 'by-rsync')]).toEqual(Array(3).fill(sum('here', 'file')))
})

test('ansible over ssh through a device: a module runs over there and says what it did', async () => {
  const args = [...proxied().map((word) => (word.includes(' ') ? `'${word}'` : word))].join(' ')
  const options = ['-i', 'nas,', '-u', sshd.user, '-e', 'ansible_python_interpreter=/usr/bin/python3', '--ssh-common-args', args]
  const copied = await ran('ansible', ['nas', ...options, '-m', 'copy', '-a', `content=by-ansible dest=${w.at('there', 'by-ansible')}`])
  expect(copied, copied.stdout + copied.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('CHANGED') })
  expect(readFileSync(w.at('there', 'by-ansible'), 'utf8')).toBe('by-ansible')
})

test('a proxy that comes to nothing says why on stderr, prints nothing, and leaves with a code', async () => {
  const closed = await w.errand(alice.home, 'proxy', 'bob', '--port', '1')
  expect(closed).toMatchObject({ code: 125, stdout: '', stderr: expect.stringContaining('nothing listens there') })
  const denied = await w.errand(alice.home, 'proxy', 'bob', '--port', '2')
  expect(denied).toMatchObject({ code: 126, stdout: '', stderr: expect.stringContaining('"localhost:2" is not in {localhost:') })
  expect(denied.stderr).toContain("--can 'forward: localhost:2'")
  const other = await w.errand(bob.home, 'proxy', 'alice', '--port', String(echo.port), '--host', '127.0.0.1')
  expect(other.code).toBe(126)
  expect(await w.audit(bob.home, '--action', 'forward.denied')).toMatchObject([{ actor: alice.did, words: 'forward: localhost:2', result: 'denied' }])
})

test('a forward: many connections at once, each direction ends on its own, and the log counts them', async () => {
  const { running, port } = await forwarding('bob', `0:127.0.0.1:${echo.port}`)
  const texts = [...Array(20).keys()].map((n) => `${n} `.repeat(10_000))
  const answers = await Promise.all(
    texts.map(async (text) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.end(text)
      return (await said(socket)).toString()
    }),
  )
  expect(answers).toEqual(texts)
  expect(await running.end('SIGINT')).toMatchObject({ code: 130, stderr: '' })
  const bytes = texts.reduce((total, text) => total + text.length, 0)
  const [ended] = await until('its end is in the log', async () => {
    const ends = (await w.audit(bob.home, '--action', 'forward.end')).filter(({ connections }) => connections === 20)
    return ends.length > 0 && ends
  })
  expect(ended).toMatchObject({ actor: alice.did, result: 'ok', why: 'closed', bytesIn: bytes, bytesOut: bytes, words: `forward: 127.0.0.1:${echo.port}` })
})

test('much through a forward arrives whole, with little memory, and who never reads holds up nobody', async () => {
  const flood = await listening((socket) => {
    socket.end(Buffer.alloc(MUCH_BYTES, 'errand '))
  })
  await granted('alice', bob, `forward: 127.0.0.1:${flood.port}`)
  const { running, port } = await forwarding('bob', `0:127.0.0.1:${flood.port}`)
  const idle = connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
  idle.pause()
  await once(idle, 'connect')
  const before = memoryOf(bob) + memoryOf(alice)
  const [hash, expected] = [createHash('sha256'), createHash('sha256').update(Buffer.alloc(MUCH_BYTES, 'errand ')).digest('hex')]
  for await (const chunk of connect({ port, host: '127.0.0.1' })) hash.update(chunk as Buffer)
  expect(hash.digest('hex')).toBe(expected)
  expect(memoryOf(bob) + memoryOf(alice) - before).toBeLessThan(220 << 20)
  idle.destroy()
  await running.end('SIGTERM')
  flood.server.close()
})

function memoryOf({ process: { pid } }: Node): number {
  const [, kib = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1_024
}

test('the other way round: the device listens, and the connection goes out from here', async () => {
  const { running, port } = await forwarding('--reverse', 'bob', `0:127.0.0.1:${echo.port}`)
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end('there and back')
  expect((await said(socket)).toString()).toBe('there and back')
  expect((await running.end('SIGTERM')).code).toBe(143)
  await until('nobody listens there any more', async () => {
    const again = connect({ port, host: '127.0.0.1' })
    return await once(again, 'connect').then(
      () => void again.destroy(),
      () => true,
    )
  })
})

test('a grant that is revoked ends the forward and cuts what goes through it', async () => {
  const other = await listening((socket) => socket.pipe(socket))
  await granted('alice', bob, `forward: 127.0.0.1:${other.port}`)
  const { running, port } = await forwarding('bob', `0:127.0.0.1:${other.port}`)
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
  socket.write('ping')
  await once(socket, 'data')
  const cut = once(socket, 'close')
  const grants = JSON.parse((await w.errand(bob.home, 'grants', '--json')).stdout) as { cid: string; words: string }[]
  const { cid = '' } = grants.find(({ words }) => words.includes(String(other.port))) ?? {}
  expect(failureOf(await w.errand(bob.home, 'revoke', cid, '--json'))).toBeUndefined()
  await cut
  expect(await running.ended).toMatchObject({ code: 126, stderr: expect.stringContaining('ended: the right to it is gone') })
  expect((await w.audit(bob.home, '--action', 'forward.end')).at(-1)).toMatchObject({
    why: 'revoked',
    result: 'failed',
    bytesIn: 4,
    bytesOut: 4,
    connections: 1,
  })
  other.server.close()
})

test.each(['80', '8080:localhost', '8080:localhost:0', '8080:127.1:80', 'nas:8080:localhost:80', '8080:localhost:80:80'])(
  '%s is no forward, and it is said how one is written',
  async (spec) => {
    expect(await w.errand(alice.home, 'forward', 'bob', spec)).toMatchObject({ code: 2, stderr: expect.stringContaining('[BIND:]PORT:HOST:PORT') })
  },
)
