/** Who is on the other side of a bulk connection: whoever knows the key, and nobody else, however well certified. */
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Server, type TlsOptions } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { BULK, HOST_TAG } from '../../../protocols/host/frames.ts'
import { FrameLink } from '../../../src/base/frames.ts'
import { offsetBytes } from '../../../src/base/offset.ts'
import { SocketLink } from '../../../src/base/socket-link.ts'
import { bundle } from '../exec/world.ts'

let root: string
let client: string
const servers: Server[] = []
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'errand-bulk-'))
  client = join(root, 'client.mjs')
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '2', ...names, '-keyout', `${root}/key.pem`, '-out', `${root}/cert.pem`], {
    stdio: 'ignore',
  })
  await bundle('test/unit/local/bulk-client.ts', client)
})
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Somebody who answers every reader with the same words. */
async function answering(words: string, o: TlsOptions): Promise<number> {
  const server = createServer({ minVersion: 'TLSv1.3', ...o }, (socket) => {
    socket.on('error', () => undefined)
    const link = new FrameLink(new SocketLink(socket, new Uint8Array(), 1 << 16), BULK.maxFrameBytes)
    void link.writeAll([HOST_TAG.stdout, Buffer.from(words)], [HOST_TAG.ended, offsetBytes(words.length)])?.catch(() => undefined)
    void link.end()
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function come(port: number, key: Uint8Array, environment: NodeJS.ProcessEnv = {}): Promise<string> {
  const offer = { host: '127.0.0.1', port, id: 'aa'.repeat(16), key: Buffer.from(key).toString('hex') }
  return new Promise((resolve) => {
    execFile(process.execPath, [client, JSON.stringify(offer)], { env: { ...process.env, ...environment } }, (_error, stdout) => resolve(stdout))
  })
}

test('who knows the key is heard; who knows another one is not', async () => {
  const key = randomBytes(32)
  const port = await answering('from the executor', { ciphers: BULK.ciphers, pskCallback: () => key })
  expect(await come(port, key)).toBe('from the executor')
  expect(await come(port, randomBytes(32))).toBe('nobody who knows the key')
})

test('who shows a certificate instead of the key is not heard, whoever signed it and whatever the environment lets pass', async () => {
  const port = await answering('from somebody on the way', { key: readFileSync(`${root}/key.pem`), cert: readFileSync(`${root}/cert.pem`) })
  const trusting = { NODE_EXTRA_CA_CERTS: `${root}/cert.pem` }
  for (const environment of [{}, trusting, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, { ...trusting, NODE_TLS_REJECT_UNAUTHORIZED: '0' }])
    expect(await come(port, randomBytes(32), environment)).toBe('nobody who knows the key')
})
