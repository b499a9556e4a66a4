import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { AuditRecordView } from '../../../protocols/local/messages.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import { homeOf, MAX_SOCKET_PATH_BYTES, socketPathOf } from '../../../src/base/paths.ts'
import { connect } from '../../../src/local/client.ts'
import { DID, record, records, STATUS, world } from './scripted.ts'

test('questions are answered, one after the other, over the same connection', async () => {
  await using it = await world({
    listDevices: () => Promise.resolve([]),
    shutdown: (actor, request) => Promise.resolve({ stopping: true, active: actor.did === DID ? (request.drainMs ?? 0) : -1, detached: 1, waitsMs: 2 }),
  })
  expect(await it.client.status()).toEqual(STATUS)
  expect(await it.client.devices()).toEqual([])
  expect(await it.client.shutdown({ drainMs: 5 })).toEqual({ stopping: true, active: 5, detached: 1, waitsMs: 2 })
})

test('where no node runs, every call says so at once and what to do', async () => {
  const home = await mkdtemp(join(tmpdir(), 'errand-none-'))
  const client = connect({ home })
  const began = performance.now()
  for (const call of [() => client.status(), () => client.exec({ device: 'a', command: ['true'] }), () => client.audit().next()]) {
    await expect(call()).rejects.toMatchObject({ code: 'NO_NODE', hint: 'start it with: errand up' })
  }
  expect(performance.now() - began).toBeLessThan(500)
  await rm(home, { recursive: true })
})

test('a stale socket file counts as no node', async () => {
  const home = await mkdtemp(join(tmpdir(), 'errand-stale-'))
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(join(home, 'errand.sock'))}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  await expect(connect({ home }).status()).rejects.toMatchObject({ code: 'NO_NODE' })
  await rm(home, { recursive: true })
})

test('a node with a newer API is refused with advice, for questions and for commands', async () => {
  const home = await mkdtemp(join(tmpdir(), 'errand-newer-'))
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nX-Errand-Api: 2\r\nContent-Length: 2\r\n\r\n{}'))
  }).listen(join(home, 'errand.sock'))
  const client = connect({ home })
  await expect(client.status()).rejects.toMatchObject({ code: 'NODE_NEWER' })
  await expect(client.exec({ device: 'a', command: ['true'] })).rejects.toMatchObject({ code: 'NODE_NEWER' })
  client.close()
  await new Promise((resolve) => server.close(resolve))
  await rm(home, { recursive: true })
})

test('aborting a question ends the wait', async () => {
  await using it = await world({ listTasks: () => new Promise(() => undefined) })
  const abort = new AbortController()
  const asked = it.client.tasks({ signal: abort.signal })
  abort.abort()
  await expect(asked).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('the log arrives record by record, with its filters as they were asked', async () => {
  const asked: unknown[] = []
  await using it = await world({
    audit: (query) => {
      asked.push(query)
      return records(1_000)
    },
  })
  const seen: AuditRecordView[] = []
  for await (const row of it.client.audit({ action: 'exec.start', limit: 1_000, since: '2026-01-01T00:00:00Z' })) seen.push(row)
  expect(asked).toEqual([{ action: 'exec.start', limit: 1_000, since: '2026-01-01T00:00:00Z' }])
  expect(seen).toEqual(Array.from({ length: 1_000 }, (_, n) => record(n)))
})

test('a reader of the log that stops reading stops the node from reading on, and leaving closes the query', async () => {
  let read = 0
  let closed = false
  await using it = await world({
    audit: async function* () {
      try {
        for (;;) yield { ...record(read++), padding: 'x'.repeat(1_000) }
      } finally {
        closed = true
      }
    },
  })
  const rows = it.client.audit()
  await rows.next()
  await settled(() => read)
  expect(read).toBeLessThan(5_000)
  await rows.return(undefined)
  await settled(() => Number(closed))
  expect(closed).toBe(true)
})

test('a log that breaks midway throws its reason after the records before it; one that breaks at once answers as an error', async () => {
  const broken = new ErrandError('LOG_DAMAGED', 'entry 2 does not match its hash')
  await using it = await world({
    audit: async function* ({ limit }) {
      if (limit === 0) throw broken
      yield record(0)
      yield record(1)
      throw broken
    },
  })
  const seen: number[] = []
  const reading = async (): Promise<void> => {
    for await (const { n } of it.client.audit()) seen.push(n)
  }
  await expect(reading()).rejects.toMatchObject({ code: 'LOG_DAMAGED', message: broken.message })
  expect(seen).toEqual([0, 1])
  await expect(it.client.audit({ limit: 0 }).next()).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
})

test('a stop ends every request within a second', async () => {
  const it = await world({
    listTasks: () => new Promise(() => undefined),
    audit: async function* () {
      for (;;) yield record(0)
    },
  })
  const hanging = it.client.tasks().catch((error: unknown) => error)
  const rows = it.client.audit()
  await rows.next()
  const began = performance.now()
  await it.close()
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(await hanging).toMatchObject({ code: 'NODE_GONE' })
})

test('a home with a long path gets a short socket of its own, the same one every time', async () => {
  const home = join(tmpdir(), 'x'.repeat(120))
  const path = socketPathOf(home)
  expect(Buffer.byteLength(path)).toBeLessThanOrEqual(MAX_SOCKET_PATH_BYTES)
  expect(socketPathOf(home)).toBe(path)
  expect(socketPathOf(`${home}y`)).not.toBe(path)
  expect(socketPathOf('/short')).toBe('/short/errand.sock')
})

test('the home is what was given, else the environment, else ~/.errand', () => {
  expect(homeOf('/a', { ERRAND_HOME: '/b' })).toBe('/a')
  expect(homeOf(undefined, { ERRAND_HOME: '/b' })).toBe('/b')
  expect(homeOf(undefined, {})).toMatch(/\/\.errand$/)
})

/** Waits until a figure has stayed the same for some turns of the event loop. */
async function settled(figure: () => number): Promise<void> {
  for (let same = 0, last = figure(); same < 200; same = figure() === last ? same + 1 : 0, last = figure())
    await new Promise((resolve) => setImmediate(resolve))
}
