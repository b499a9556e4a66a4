import { once } from 'node:events'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { TAG } from '../../../protocols/exec/messages.ts'
import { LOCAL, LOCAL_TAG } from '../../../protocols/local/messages.ts'
import { runtimeOf } from '../../../src/local/runtime-of.ts'
import { until } from '../../support/until.ts'
import { webSocketCalls, webSocketTo } from '../../support/ws-client.ts'
import { say } from './ask.ts'
import { accept, end, execs, json, world } from './scripted.ts'
import { TOKEN, tcpWorld } from './tcp-world.ts'
import { frame, listen, REQUEST } from './ws-talk.ts'

test('a command over WebSocket: one message a frame, and a normal close behind the last', async () => {
  await using it = await world(
    execs(async (request, link) => {
      expect(request).toMatchObject({ device: 'a', command: ['true'] })
      await accept(link)
      await link.writeAll([TAG.stdout, Buffer.from('out')], [TAG.stderr, Buffer.from('err')])
      await end(link)
    }),
  )
  const socket = webSocketTo({ socketPath: it.socketPath })
  const heard = listen(socket)
  socket.once('open', () => socket.send(REQUEST))
  expect(await heard.closed).toBe(1_000)
  expect(heard.tags).toEqual([TAG.accepted, TAG.stdout, TAG.stderr, TAG.ended])
  expect(heard.said.map(String).slice(1, 3)).toEqual(['out', 'err'])
})

test('the runtime of errand/client works over it, input and all', async () => {
  await using it = await world(
    execs(async (_request, link) => {
      await accept(link)
      for (let next = await link.read(); next !== undefined && next.tag === TAG.stdin; next = await link.read()) {
        await link.write(TAG.stdout, next.payload)
        await link.write(TAG.stdinCredit, json({ bytes: next.payload.byteLength }))
      }
      await end(link, { stdoutBytes: 1_000_000 })
    }),
  )
  const sent = Buffer.alloc(1_000_000, 'stdin goes both ways ')
  const client = webSocketCalls({ socketPath: it.socketPath })
  const { stdout } = await runtimeOf(client).execute({ device: 'a', command: ['cat'], stdin: sent })
  client.close()
  expect(Buffer.compare(stdout, sent)).toBe(0)
})

test('a socket that closes is a terminal that was closed', async () => {
  let cancelled = (_why: unknown): void => undefined
  const heard = new Promise((resolve) => (cancelled = resolve))
  await using it = await world(
    execs(async (_request, link, signal) => {
      signal.addEventListener('abort', () => cancelled(signal.reason))
      await accept(link)
      await heard
    }),
  )
  const socket = webSocketTo({ socketPath: it.socketPath })
  socket.once('open', () => socket.send(REQUEST))
  await once(socket, 'message')
  socket.terminate()
  expect(await heard).toMatchObject({ code: 'CLIENT_GONE' })
})

test.each([
  ['longer than a frame', Buffer.alloc(LOCAL.maxFrameBytes + 1), 1_009],
  ['text', 'hello', 1_003],
])('a message that is %s ends the connection, and the command with it', async (_what, message, code) => {
  let cancelled = (): void => undefined
  const heard = new Promise<void>((resolve) => (cancelled = resolve))
  await using it = await world(
    execs(async (_request, link, signal) => {
      signal.addEventListener('abort', () => cancelled())
      await accept(link)
      await heard
    }),
  )
  const socket = webSocketTo({ socketPath: it.socketPath })
  const { closed } = listen(socket)
  socket.once('open', () => socket.send(REQUEST))
  await once(socket, 'message')
  socket.send(message)
  expect(await closed).toBe(code)
  await heard
})

test('a command ends with the message that was wrong, and not with the client’s leave', async () => {
  let cancelled = (): void => undefined
  const heard = new Promise<void>((resolve) => (cancelled = resolve))
  await using it = await world(
    execs(async (_request, link, signal) => {
      signal.addEventListener('abort', () => cancelled())
      await accept(link)
      await heard
    }),
  )
  const socket = webSocketTo({ socketPath: it.socketPath })
  const { closed } = listen(socket)
  socket.once('open', () => socket.send(REQUEST))
  await once(socket, 'message')
  socket.pause() // it will not hear that it should close
  socket.send(Buffer.alloc(LOCAL.maxFrameBytes + 1))
  await heard
  socket.resume()
  await closed
}, 10_000)

test('a message is refused by the length it announces, before it comes', async () => {
  await using it = await world({})
  const socket = webSocketTo({ socketPath: it.socketPath })
  await once(socket, 'open')
  const { closed } = listen(socket)
  const wire: Socket = Reflect.get(socket, '_socket')
  const head = Buffer.alloc(14) // a binary frame of 1 TiB, masked, of which nothing follows
  head.set([0x82, 0xff])
  head.writeBigUInt64BE(1n << 40n, 2)
  wire.write(head)
  expect(await closed).toBe(1_009)
})

test('a wrong first message is refused with its reason, and nothing runs', async () => {
  let ran = 0
  await using it = await world(execs(async () => void ran++))
  for (const first of [frame(LOCAL_TAG.request, { device: 'a' }), Buffer.from([0x00, 0x7b]), frame(TAG.stdin), frame(LOCAL_TAG.watch, { cursor: -1 })]) {
    const socket = webSocketTo({ socketPath: it.socketPath })
    const heard = listen(socket)
    socket.once('open', () => socket.send(first))
    expect(await heard.closed).toBe(1_000)
    expect([heard.tags, JSON.parse(String(heard.said[0])).code]).toEqual([[TAG.refused], 'BAD_REQUEST'])
  }
  expect(ran).toBe(0)
})

test('a new size goes to the command', async () => {
  await using it = await world(
    execs(async (_request, link) => {
      await accept(link)
      const { tag, payload } = (await link.read()) ?? {}
      await link.write(TAG.stdout, Buffer.concat([Uint8Array.of(tag ?? 0), payload?.subarray() ?? new Uint8Array()]))
      await end(link)
    }),
  )
  const socket = webSocketTo({ socketPath: it.socketPath })
  const heard = listen(socket)
  socket.once('open', () => socket.send(REQUEST))
  await once(socket, 'message')
  socket.send(frame(TAG.resize, { columns: 80, rows: 24 }))
  expect(await heard.closed).toBe(1_000)
  expect(heard.tags).toEqual([TAG.accepted, TAG.stdout, TAG.ended])
  expect(String(heard.said[1])).toBe(`${String.fromCharCode(TAG.resize)}{"columns":80,"rows":24}`)
})

test('updates come from a cursor on, and end with the socket', async () => {
  let asked: number | undefined
  let isOver = false
  await using it = await world({
    async *streamTaskUpdates({ cursor, signal }) {
      asked = cursor
      yield { t: 'gap', from: 1, to: 2 }
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      isOver = true
    },
  })
  const socket = webSocketTo({ socketPath: it.socketPath })
  const heard = listen(socket)
  socket.once('open', () => socket.send(frame(LOCAL_TAG.watch, { cursor: 7 })))
  await until('an update came', () => heard.tags.length === 1)
  expect([asked, heard.tags[0], String(heard.said[0])]).toEqual([7, LOCAL_TAG.update, '{"t":"gap","from":1,"to":2}'])
  socket.close()
  await until('the watch is over', () => isOver)
})

test('without a proper handshake there is no conversation', async () => {
  await using it = await tcpWorld()
  const shake = (...headers: string[]): Promise<string> =>
    say(it, `GET ${LOCAL.webSocketPath} HTTP/1.1\r\nHost: ${it.here}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${headers.join('\r\n')}\r\n\r\n`)
  const [known, key, version] = [`Authorization: Bearer ${TOKEN}`, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']
  expect(await shake(known, version)).toMatch(/^HTTP\/1.1 400 .*BAD_REQUEST/s)
  expect(await shake(known, key, 'Sec-WebSocket-Version: 7')).toMatch(/^HTTP\/1.1 400 .*BAD_REQUEST/s)
  expect(await shake(key, version)).toMatch(/^HTTP\/1.1 401 /)
  expect(await shake(key, version, `Sec-WebSocket-Protocol: ${LOCAL.subprotocol}, bearer.${TOKEN}`)).toMatch(/^HTTP\/1.1 401 /)
  expect(await shake(known, key, version, 'Origin: https://evil.example')).toMatch(/^HTTP\/1.1 403 /)
  const socket = webSocketTo({ url: it.url, token: TOKEN })
  await once(socket, 'open')
  expect(socket.protocol).toBe(LOCAL.subprotocol)
  socket.terminate()
})
