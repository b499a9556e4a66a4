import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterEach, expect, test } from 'vitest'
import { SocketLink } from '../../../src/base/socket-link.ts'

const undo: (() => void)[] = []
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step()
})

/** Both ends of a Unix socket. */
async function pair(): Promise<[Socket, Socket]> {
  const directory = mkdtempSync(join(tmpdir(), 'errand-test-'))
  undo.push(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'link.sock')
  const server = createServer({ allowHalfOpen: true })
  undo.push(() => server.close())
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const there = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const here = connect({ path, allowHalfOpen: true })
  const both: [Socket, Socket] = [here, await there]
  undo.push(() => both.map((socket) => socket.destroy()))
  return both
}

async function allOf(link: SocketLink): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of link.source) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

test('what is written in one turn leaves together, and the next turn begins anew', async () => {
  const [here, there] = await pair()
  const writer = new SocketLink(here, new Uint8Array(), 1_024)
  const arrived = allOf(new SocketLink(there, new Uint8Array(), 1_024))
  void writer.write(new Uint8ArrayList(Buffer.from('one '), Buffer.from('two ')))
  void writer.write(new Uint8ArrayList(Buffer.from('three ')))
  expect(here.writableCorked, 'held until the end of the turn, once').toBe(1)
  await new Promise((resolve) => setImmediate(resolve))
  expect(here.writableCorked).toBe(0)
  void writer.write(new Uint8ArrayList(Buffer.from('four')))
  expect(here.writableCorked).toBe(1)
  await writer.end()
  expect(await arrived).toBe('one two three four')
})
