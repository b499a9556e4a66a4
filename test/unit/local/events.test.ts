import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { TaskUpdate } from '../../../protocols/local/messages.ts'
import type { Runtime } from '../../../src/runtime/runtime.ts'
import { HandClock } from '../base/hand-clock.ts'
import { ask } from './ask.ts'
import { DID, records, world } from './scripted.ts'

type Watch = Parameters<Runtime['streamTaskUpdates']>[0]

const state = (cursor: number): TaskUpdate => ({ t: 'state', cursor, tasks: [] })
const gap: TaskUpdate = { t: 'gap', from: 3, to: 900 }

/** Yields these and then waits for the reader to go. */
async function* then({ signal }: Watch, ...updates: readonly TaskUpdate[]): AsyncGenerator<TaskUpdate> {
  yield* updates
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

/** A watcher on a bare socket; it reads when it is asked to. */
async function watch(
  socketPath: string,
  more: readonly string[] = [],
  path = '/api/runtime/events',
): Promise<{ socket: Socket; read(until: RegExp): Promise<string> }> {
  const socket = connect(socketPath)
  socket.setEncoding('utf8')
  socket.write(`GET ${path} HTTP/1.1\r\n${['Host: errand', ...more].join('\r\n')}\r\n\r\n`)
  let got = ''
  let look = (): void => undefined
  socket.on('data', (text: string) => {
    got += text
    look()
  })
  const read = (until: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      look = () => until.test(got) && resolve(got)
      socket.once('close', () => reject(new Error(`closed after: ${got}`)))
      look()
    })
  return { socket, read }
}

test('updates are events with an id to go on from; the status comes before the first of them', async () => {
  await using it = await world({ streamTaskUpdates: (o) => then(o, state(7), gap, state(900)) })
  const { socket, read } = await watch(it.socketPath)
  const got = await read(/"cursor":900/)
  expect(got).toMatch(/^HTTP\/1\.1 200 OK.*content-type: text\/event-stream.*cache-control: no-store/s)
  expect(got).toContain('event: state\nid: 7\ndata: {"t":"state","cursor":7,"tasks":[]}\n\n')
  expect(got).toContain('event: gap\ndata: {"t":"gap","from":3,"to":900}\n\n')
  expect(got.match(/id: /g)).toHaveLength(2)
  socket.destroy()
})

test('a watcher of a quiet node has its status at once', async () => {
  await using it = await world({ streamTaskUpdates: (o) => then(o) })
  const { socket, read } = await watch(it.socketPath)
  expect(await read(/\n: updates follow/)).toMatch(/^HTTP\/1\.1 200 OK/)
  socket.destroy()
})

test.each([
  [['Last-Event-ID: 41'], '', 41],
  [[], '?cursor=40', 40],
  [['Last-Event-ID: 41'], '?cursor=40', 40],
  [[], '', undefined],
])('%j and %j go on from %j', async (headers, query, cursor) => {
  const asked: unknown[] = []
  await using it = await world({
    streamTaskUpdates: (o) => {
      asked.push(o.cursor)
      return then(o)
    },
  })
  const { socket, read } = await watch(it.socketPath, headers, `/api/runtime/events${query}`)
  await read(/updates follow/)
  expect(asked).toEqual([cursor])
  socket.destroy()
})

test.each(['-1', '1e3', 'x', '99999999999999999'])('a Last-Event-ID of %s is refused', async (id) => {
  await using it = await world({})
  const answer = await ask(it.socketPath, { path: '/api/runtime/events', headers: { 'last-event-id': id } })
  expect([answer.status, JSON.parse(answer.body).error.code]).toEqual([400, 'BAD_REQUEST'])
})

test('a reader that does not read stops the node from making updates, and costs what the sockets hold', async () => {
  let made = 0
  let over = false
  const bulky = { ...state(1), padding: 'x'.repeat(10_000) }
  await using it = await world({
    async *streamTaskUpdates() {
      try {
        for (;;) {
          made++
          yield bulky
        }
      } finally {
        over = true
      }
    },
  })
  const { socket, read } = await watch(it.socketPath)
  await read(/padding/)
  socket.pause()
  await settled(() => made)
  expect(made * 10_000).toBeLessThan(4 << 20)
  socket.destroy()
  await settled(() => Number(over))
  expect(over).toBe(true)
})

test('a quiet stream says every 15 s that it is alive, and no more once its reader has gone', async () => {
  const clock = new HandClock()
  const before = clock.pending
  await using it = await world({ streamTaskUpdates: (o) => then(o, state(1)) }, { clock })
  const { socket, read } = await watch(it.socketPath)
  await read(/"cursor":1/)
  clock.advance(15_000)
  await read(/: alive/)
  await settled(() => clock.pending)
  clock.advance(15_000)
  await read(/: alive.*: alive/s)
  socket.destroy()
  await settled(() => clock.pending)
  expect(clock.pending).toBe(before)
})

test('the log of one actor is the log with that actor, whoever the query says', async () => {
  const asked: unknown[] = []
  await using it = await world({
    audit: (query) => {
      asked.push(query)
      return records(3)
    },
  })
  const path = `/api/audit/users/${encodeURIComponent(DID)}/activity`
  const answer = await ask(it.socketPath, { path: `${path}?action=exec.&limit=5` })
  expect(answer.headers['content-type']).toBe('application/x-ndjson')
  expect(answer.body.trim().split('\n')).toHaveLength(3)
  expect(asked).toEqual([{ actor: DID, action: 'exec.', limit: 5 }])
  expect((await ask(it.socketPath, { path: `${path}?actor=somebody` })).status).toBe(400)
  for (const user of ['x'.repeat(129), '%zz']) expect((await ask(it.socketPath, { path: `/api/audit/users/${user}/activity` })).status).toBe(400)
})

test('who calls on the socket is its owner, whatever a header claims', async () => {
  const seen: unknown[] = []
  await using it = await world({
    shutdown: (actor) => {
      seen.push(actor)
      return Promise.resolve({ stopping: true, active: 0, detached: 0, waitsMs: 0 })
    },
  })
  const claims = {
    'x-errand-actor': 'did:key:z6MkMallory',
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-client-cert': 'URI=spiffe://mesh/device/mallory',
    'x-remote-user': 'root',
    from: 'mallory@evil.example',
  }
  await ask(it.socketPath, { method: 'POST', path: '/api/runtime/shutdown', headers: { ...claims, 'content-type': 'application/json' }, body: '{}' })
  expect(seen).toEqual([{ did: DID, via: 'local' }])
})

/** Waits until a figure has stayed the same for some turns of the event loop. */
async function settled(figure: () => number): Promise<void> {
  for (let same = 0, last = figure(); same < 300; same = figure() === last ? same + 1 : 0, last = figure())
    await new Promise((resolve) => setImmediate(resolve))
}
