import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { encode } from '../../../protocols/wire.ts'
import type { Op } from '../../../src/base/op.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { openDisk } from '../../../src/store/disk.ts'
import { Journal } from '../../../src/store/journal.ts'
import { Store } from '../../../src/store/level.ts'
import { openPeerDatastore } from '../../../src/store/peers.ts'
import { ForgetfulDisk, MemoryDisk } from './disks.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'errand-store-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const did = new Identity(new Uint8Array(32).fill(7)).did
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const all = async (shelf: AsyncIterable<readonly [string, Uint8Array]>): Promise<string[]> => {
  const found: string[] = []
  for await (const [key, value] of shelf) found.push(`${key}=${Buffer.from(value).toString()}`)
  return found
}

test('a shelf keeps its values, sorted and apart from other shelves, over a restart', async () => {
  const first = await Store.open(dir)
  expect(first.isNew).toBe(true)
  const grants = first.shelf('grants')
  await grants.put('b/2', bytes('two'))
  await Promise.all([grants.put('b/1', bytes('one')), grants.put('a', bytes('other')), first.shelf('grants2').put('b/3', bytes('foreign'))])
  await grants.del('a')
  await first.close()

  await using second = await Store.open(dir)
  expect(second.isNew).toBe(false)
  expect(await all(second.shelf('grants').entries(''))).toEqual(['b/1=one', 'b/2=two'])
  expect(await second.shelf('grants').get('a')).toBeUndefined()
  expect(Buffer.from((await second.shelf('grants').get('b/1')) ?? []).toString()).toBe('one')
})

test('entries of a shelf are read to the end, however many there are', async () => {
  await using store = await Store.open(dir)
  const shelf = store.shelf('many')
  await store.commit(Array.from({ length: 600 }, (_, i) => shelf.putOp(`k/${String(i).padStart(4, '0')}`, bytes(String(i)))))
  expect(await all(shelf.entries('k/'))).toHaveLength(600)
  expect(await all(shelf.entries('k/01'))).toHaveLength(100)
})

test('a page of a shelf is bounded, from either end, and holds nothing of other shelves', async () => {
  await using store = await Store.open(dir)
  const shelf = store.shelf('many')
  await shelf.commit([...Array.from({ length: 9 }, (_, i) => shelf.putOp(`k/${i}`, bytes(String(i)))), store.shelf('many2').putOp('k/1', bytes('foreign'))])
  const keys = (found: readonly (readonly [string, Uint8Array])[]): string[] => found.map(([key]) => key)
  expect((await shelf.getMany(['k/3', 'k/x', 'k/1'])).map((value) => value && Buffer.from(value).toString())).toEqual(['3', undefined, '1'])
  expect(keys(await shelf.page({ gte: 'k/2', lt: 'k/5', limit: 9 }))).toEqual(['k/2', 'k/3', 'k/4'])
  expect(keys(await shelf.page({ gte: 'k/', lt: 'k0', limit: 2, reverse: true }))).toEqual(['k/8', 'k/7'])
})

test('puts of several shelves that are committed together share one sync', async () => {
  const disk = new MemoryDisk()
  const store = await Store.on(disk, 'memory')
  const before = disk.syncs
  await store.commit([store.shelf('one').putOp('k', bytes('1')), store.shelf('two').putOp('k', bytes('2'))])
  expect(disk.syncs).toBe(before + 1)
})

test('commits that wait while a sync is under way share the next one, and all are there', async () => {
  const disk = new MemoryDisk(() => new Promise((resolve) => setImmediate(resolve)))
  const journal = new Journal(disk)
  await Promise.all(Array.from({ length: 100 }, (_, i) => journal.commit([{ t: 'put', key: `k${i}`, value: bytes('v') }])))
  expect(disk.keys('k')).toHaveLength(100)
  expect(disk.syncs).toBeLessThanOrEqual(2)
})

test('what was acknowledged survives a power cut on a real database; what was not acknowledged may be lost', async () => {
  const disk = new ForgetfulDisk(await openDisk(dir))
  const journal = new Journal(disk)
  await journal.commit([{ t: 'put', key: 'a', value: bytes('kept') }])
  disk.cutBeforeSync = true
  let acknowledged = false
  void journal.commit([{ t: 'put', key: 'b', value: bytes('lost') }]).then(() => (acknowledged = true))
  await new Promise((resolve) => setImmediate(resolve))
  await disk.close()
  const after = await openDisk(dir)
  expect(await after.get('a')).toBeDefined()
  expect(await after.get('b')).toBeUndefined()
  expect(acknowledged).toBe(false)
  await after.close()
})

test('the power-cut test has teeth: a journal that does not sync loses what it acknowledged', async () => {
  const disk = new ForgetfulDisk(await openDisk(dir))
  const careless = new Journal({ write: (ops: readonly Op[]) => disk.write(ops, { sync: false }) })
  await careless.commit([{ t: 'put', key: 'a', value: bytes('gone') }])
  await disk.close()
  const after = await openDisk(dir)
  expect(await after.get('a')).toBeUndefined()
  await after.close()
})

test('after a failed write every commit is refused, also those that were waiting', async () => {
  const disk = new MemoryDisk()
  const journal = new Journal(disk)
  disk.breakDown(new Error('no space'))
  const both = await Promise.allSettled([journal.commit([{ t: 'del', key: 'a' }]), journal.commit([{ t: 'del', key: 'b' }])])
  expect(both.map((one) => one.status)).toEqual(['rejected', 'rejected'])
  disk.breakDown(undefined)
  await expect(journal.commit([{ t: 'del', key: 'c' }])).rejects.toMatchObject({ code: 'DB_UNAVAILABLE' })
})

test('a second process on the same directory is told that errand runs already', async () => {
  await using first = await Store.open(dir)
  expect(first.isNew).toBe(true)
  await expect(Store.open(dir)).rejects.toMatchObject({ code: 'ALREADY_RUNNING' })
})

test('state of a newer errand is refused with advice, and stays as it is', async () => {
  const disk = await openDisk(dir)
  await disk.write([{ t: 'put', key: '!format', value: encode({ format: 2 }) }], { sync: true })
  await disk.close()
  for (let i = 0; i < 2; i++) await expect(Store.open(dir)).rejects.toMatchObject({ code: 'NEWER_STATE', hint: expect.stringContaining('newer errand') })
})

test('a directory that holds data without a format version is damaged, never taken over', async () => {
  const disk = await openDisk(dir)
  await disk.write([{ t: 'put', key: 'x', value: bytes('foreign') }], { sync: true })
  await disk.close()
  await expect(Store.open(dir)).rejects.toMatchObject({ code: 'DB_DAMAGED' })
})

test('a database that LevelDB cannot open says what to do', async () => {
  await (await Store.open(dir)).close()
  for (const name of await readdir(dir)) if (name.startsWith('MANIFEST')) await writeFile(join(dir, name), 'garbage')
  await expect(Store.open(dir)).rejects.toMatchObject({ code: 'DB_DAMAGED', hint: expect.stringContaining('move this directory away') })
})

test('the logs in the store: atomic batches, ranges, heads from both ends, a dropped head', async () => {
  await using store = await Store.open(dir)
  const head = (n: number) => ({ n, bytes: bytes(`head ${n}`), frontier: new Uint8Array(32) })
  await store.logs.append(did, { from: 0, entries: [bytes('e0'), bytes('e1')], head: head(2), dropHead: undefined })
  await store.logs.append(did, { from: 2, entries: [bytes('e2')], head: head(3), dropHead: 2 })
  await store.logs.append(did, { from: 3, entries: Array.from({ length: 300 }, (_, i) => bytes(`e${i + 3}`)), head: head(303), dropHead: undefined })
  expect(await store.logs.logs()).toEqual([did])
  expect((await store.logs.read(did, 1, 3)).map((e) => [e.n, Buffer.from(e.bytes).toString()])).toEqual([
    [1, 'e1'],
    [2, 'e2'],
  ])
  expect((await store.logs.read(did, 0, 1_000)).map((e) => e.n)).toEqual(Array.from({ length: 303 }, (_, i) => i))
  expect((await store.logs.heads(did, { limit: 9 })).map((h) => h.n)).toEqual([3, 303])
  expect((await store.logs.heads(did, { limit: 1, newestFirst: true })).map((h) => h.n)).toEqual([303])
  expect((await store.logs.heads(did, { above: 3, limit: 9 })).map((h) => h.n)).toEqual([303])
  expect((await store.logs.heads(did, { atMost: 302, limit: 9 })).map((h) => h.n)).toEqual([3])
})

test('the peer datastore is opened, keeps values, and refuses a second holder', async () => {
  const peers = await openPeerDatastore(dir)
  await peers.open()
  await peers.db.put('/peers/a', bytes('x'))
  await expect(openPeerDatastore(dir)).rejects.toMatchObject({ code: 'ALREADY_RUNNING' })
  await peers.close()
  const again = await openPeerDatastore(dir)
  expect(Buffer.from(await again.db.get('/peers/a')).toString()).toBe('x')
  await again.close()
})
