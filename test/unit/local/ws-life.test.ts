/** Readers that stop, peers that are gone, and a node that stops. */
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { TAG } from '../../../protocols/exec/messages.ts'
import { LOCAL, LOCAL_TAG } from '../../../protocols/local/messages.ts'
import { connect } from '../../../src/local/client.ts'
import { PING_MS } from '../../../src/local/ws-life.ts'
import { until } from '../../support/until.ts'
import { webSocketCalls, webSocketTo } from '../../support/ws-client.ts'
import { HandClock } from '../base/hand-clock.ts'
import { accept, end, execs, OUTCOME, world } from './scripted.ts'
import { frame, listen, REQUEST } from './ws-talk.ts'

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

test.each([
  ['exec face', (socketPath: string) => connect({ socketPath })],
  ['WebSocket face', (socketPath: string) => webSocketCalls({ socketPath })],
])('the %s: who reads late still gets the end; the time to hang up begins when all is sent', async (_face, clientOf) => {
  const clock = new HandClock()
  let isOver = false
  await using it = await world(
    execs(async (_request, link) => {
      await accept(link)
      void link.write(TAG.stdout, Buffer.alloc(200_000))
      void link.write(TAG.stdout, Buffer.alloc(250_000))
      void link.write(TAG.stdout, Buffer.alloc(250_000))
      void end(link, { stdoutBytes: 700_000 })
      isOver = true
    }),
    { clock },
  )
  const client = clientOf(it.socketPath)
  let got = 0
  const outcome = await client.exec(
    { device: 'a', command: ['true'] },
    {
      async onStdout({ length }) {
        if (got === 0) await until('the command is over', () => isOver)
        clock.advance(60_000)
        got += length
      },
    },
  )
  expect([outcome.exitCode, got]).toEqual([0, 700_000])
  client.close()
})
