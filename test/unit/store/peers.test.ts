/** libp2p's datastore writes late; nobody who reads may notice. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Key } from 'interface-datastore'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openPeerDatastore } from '../../../src/store/peers.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'errand-peers-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const key = (name: string): Key => new Key(`/peers/${name}`)
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

test('what was put is there at once, in queries, and after a restart', async () => {
  const first = await openPeerDatastore(dir)
  await first.put(key('a'), bytes('one'))
  await first.put(key('a'), bytes('two'))
  expect(Buffer.from(await first.get(key('a'))).toString()).toBe('two')
  expect(await first.has(key('a'))).toBe(true)
  const seen: string[] = []
  for await (const { value } of first.query({ prefix: '/peers' })) seen.push(Buffer.from(value).toString())
  expect(seen).toEqual(['two'])
  await first.put(key('b'), bytes('three'))
  await first.close()
  const again = await openPeerDatastore(dir)
  expect(Buffer.from(await again.get(key('b'))).toString()).toBe('three')
  await again.close()
})

test('what was deleted is gone, also when it had not been written yet', async () => {
  const store = await openPeerDatastore(dir)
  await store.put(key('a'), bytes('one'))
  await store.delete(key('a'))
  expect(await store.has(key('a'))).toBe(false)
  await expect(store.get(key('a'))).rejects.toThrow()
  await store.close()
  const again = await openPeerDatastore(dir)
  expect(await again.has(key('a'))).toBe(false)
  await again.close()
})

test('more peers than are kept in memory all survive', async () => {
  const store = await openPeerDatastore(dir)
  for (let i = 0; i < 2_100; i++) await store.put(key(`p${i}`), bytes(String(i)))
  for (const i of [0, 1_000, 2_047, 2_048, 2_099]) expect(Buffer.from(await store.get(key(`p${i}`))).toString()).toBe(String(i))
  await store.close()
})
