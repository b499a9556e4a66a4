import { once } from 'node:events'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { type RawData, WebSocket } from 'ws'
import { TAG } from '../../../protocols/exec/messages.ts'
import { LOCAL, LOCAL_TAG } from '../../../protocols/local/messages.ts'
import { runtimeOf } from '../../../src/local/runtime-of.ts'
import { PING_MS } from '../../../src/local/ws-life.ts'
import { until } from '../../support/until.ts'
import { webSocketCalls, webSocketTo } from '../../support/ws-client.ts'
import { HandClock } from '../base/hand-clock.ts'
import { say } from './ask.ts'
import { accept, end, execs, json, OUTCOME, world } from './scripted.ts'
import { TOKEN, tcpWorld } from './tcp-world.ts'

const REQUEST = frame(LOCAL_TAG.request, { device: 'a', command: ['true'] })

function frame(tag: number, value?: unknown): Buffer {
  return Buffer.concat([Uint8Array.of(tag), value === undefined ? Buffer.alloc(0) : json(value)])
}

/** Everything that comes, in order. */
function listen(socket: WebSocket): { readonly tags: number[]; readonly said: Buffer[]; readonly closed: Promise<number> } {
  const [tags, said]: [number[], Buffer[]] = [[], []]
  socket.on('message', (data: RawData) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.alloc(0)
    tags.push(bytes[0] ?? -1)
    said.push(bytes.subarray(1))
  })
  socket.on('error', () => undefined)
  return { tags, said, closed: new Promise((resolve) => socket.once('close', (code) => resolve(code))) }
}

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

test('resizing what is no terminal is refused, and the command goes on', async () => {
  await using it = await world(
    execs(async (_request, link) => {
      await accept(link)
      expect((await link.read())?.tag).toBe(TAG.stdinEnd)
      await end(link)
    }),
  )
  const socket = webSocketTo({ socketPath: it.socketPath })
  const heard = listen(socket)
  socket.once('open', () => socket.send(REQUEST))
  await once(socket, 'message')
  socket.send(frame(LOCAL_TAG.resize, { columns: 80, rows: 24 }))
  socket.send(frame(TAG.stdinEnd))
  expect(await heard.closed).toBe(1_000)
  expect(heard.tags).toEqual([TAG.accepted, LOCAL_TAG.unsupported, TAG.ended])
  expect(JSON.parse(String(heard.said[1]))).toMatchObject({ code: 'UNSUPPORTED' })
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

test('a reader that stops, stops the writer; one that stops at the end still gets the end', async () => {
  let written = 0
  const chunk = Buffer.alloc(1 << 16)
  await using it = await world(
    execs(async (_request, link) => {
      await accept(link)
      for (; written < 512; written++) await link.write(TAG.stdout, chunk)
      await end(link, { stdoutBytes: 512 << 16 })
    }),
  )
  const socket = webSocketTo({ socketPath: it.socketPath })
  const heard = listen(socket)
  socket.once('open', () => socket.send(REQUEST))
  await once(socket, 'message')
  socket.pause()
  let before = -1
  await until('the writer stands still', () => {
    const stands = before === written
    before = written
    return stands && written > 0
  })
  expect(written).toBeLessThan(64)
  socket.resume()
  expect(await heard.closed).toBe(1_000)
  expect([heard.tags.length, heard.tags.at(-1)]).toEqual([514, TAG.ended])
})

test('who answers no ping on a quiet line is gone; who has output left to read is not', async () => {
  const clock = new HandClock()
  let cancelled = 0
  const runs = execs(async (request, link, signal) => {
    signal.addEventListener('abort', () => cancelled++)
    await accept(link)
    if (request.command[0] === 'print') void link.write(TAG.stdout, Buffer.alloc(1 << 20))
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  })
  await using it = await world(runs, { clock })
  const begin = async (command: string, autoPong: boolean): Promise<WebSocket> => {
    const socket = new WebSocket(`ws+unix:${it.socketPath}:${LOCAL.webSocketPath}`, { headers: { host: 'errand' }, autoPong })
    socket.on('error', () => undefined)
    socket.once('open', () => socket.send(frame(LOCAL_TAG.request, { device: 'a', command: [command] })))
    await once(socket, 'message')
    return socket
  }
  const [dead, alive, slow] = [await begin('wait', false), await begin('wait', true), await begin('print', true)]
  slow.pause()
  const pinged = async (...sockets: WebSocket[]): Promise<void> => {
    const pings = sockets.map((socket) => once(socket, 'ping'))
    clock.advance(PING_MS)
    await Promise.all(pings)
    await it.client.status() // the node has heard the pongs that were sent before
  }
  const gone = once(dead, 'close')
  await pinged(alive, dead) // not quiet: `accepted` was not known to be read
  dead.pong()
  await it.client.status()
  await pinged(alive, dead) // quiet
  await pinged(alive)
  await gone
  await until('its command was cancelled', () => cancelled === 1)
  for (let i = 0; i < 10; i++) await pinged(alive)
  expect([alive.readyState, slow.readyState, cancelled]).toEqual([WebSocket.OPEN, WebSocket.OPEN, 1])
  alive.terminate()
  slow.terminate()
})

test('who sends pings and reads nothing costs no memory: they are not answered then', async () => {
  await using it = await world({})
  const socket = webSocketTo({ socketPath: it.socketPath })
  await once(socket, 'open')
  let [pongs, isLast] = [0, false]
  socket.on('pong', (data) => {
    pongs++
    isLast = data.toString() === 'last'
  })
  socket.pause()
  const data = Buffer.alloc(125)
  for (let i = 0; i < 50_000; i++) socket.ping(data)
  await new Promise<void>((resolve) => socket.ping(data, true, () => resolve()))
  socket.resume()
  await until('it answers again', () => {
    if (!isLast) socket.ping('last')
    return isLast
  })
  expect(pongs).toBeLessThan(25_000)
  socket.terminate()
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

test('a node that stops says so, once the outcome is told', async () => {
  await using it = await world(
    execs(async (_request, link, signal) => {
      await accept(link)
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      await end(link, { why: 'cancelled' })
    }),
  )
  const socket = webSocketTo({ socketPath: it.socketPath })
  const heard = listen(socket)
  socket.once('open', () => socket.send(REQUEST))
  await once(socket, 'message')
  await it.close()
  expect(await heard.closed).toBe(1_001)
  expect(JSON.parse(String(heard.said.at(-1)))).toMatchObject({ task: OUTCOME.task, why: 'cancelled' })
})
