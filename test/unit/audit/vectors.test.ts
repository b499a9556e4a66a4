import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { AuditAnswer, AuditRequest, Entry, MAX_ENTRY_BYTES } from '../../../protocols/audit/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import { EMPTY_TIP, extend, headFits, readHead } from '../../../src/audit/chain.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import { AuditLog } from '../../../src/audit/log.ts'
import { leafHash } from '../../../src/audit/merkle.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { Store } from '../../../src/store/level.ts'
import { MemoryDisk } from '../store/disks.ts'
import { handClock } from './world.ts'

interface Vectors {
  readonly seed: string
  readonly mesh: string
  readonly facts: readonly Fact[]
  readonly entries: readonly { readonly bytes: string; readonly leaf: string }[]
  readonly roots: readonly string[]
  readonly heads: readonly string[]
  readonly requests: Readonly<Record<string, string>>
  readonly answers: Readonly<Record<string, string>>
}
const vectors: Vectors = JSON.parse(readFileSync(new URL('../../../protocols/audit/vectors.json', import.meta.url), 'utf8'))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const raw = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

test('the golden facts become the golden entries and heads, byte for byte', async () => {
  const store = await Store.on(new MemoryDisk(), 'memory')
  const log = await AuditLog.open({
    store: store.logs,
    identity: new Identity(raw(vectors.seed)),
    mesh: raw(vectors.mesh),
    clock: handClock(1_750_000_000_000),
  })
  const heads: string[] = []
  for (const fact of vectors.facts) {
    await log.append(fact)
    heads.push(hex(log.head()?.bytes ?? new Uint8Array()))
  }
  expect((await store.logs.read(log.device, 0, 99)).map((entry) => ({ bytes: hex(entry.bytes), leaf: hex(leafHash(entry.bytes)) }))).toEqual(vectors.entries)
  expect(heads).toEqual(vectors.heads)
})

test('the golden chain verifies against each golden root and head', () => {
  vectors.heads.forEach((bytes, i) => {
    const grown = extend(
      EMPTY_TIP,
      vectors.entries.slice(0, i + 1).map((entry) => raw(entry.bytes)),
    )
    const head = readHead(raw(vectors.mesh), raw(bytes))
    if ('broken' in grown || typeof head === 'string') throw new Error('the golden chain is broken')
    expect(hex(grown.tip.frontier.root())).toBe(vectors.roots[i])
    expect(headFits(head, grown.tip)).toBe(true)
  })
})

test('every golden frame and entry decodes and encodes back to its bytes', () => {
  expect(Object.keys(vectors.requests)).toEqual(['heads', 'pull'])
  expect(Object.keys(vectors.answers)).toEqual(['heads', 'page', 'none'])
  for (const bytes of Object.values(vectors.requests)) expect(hex(encode(decodeAs(AuditRequest, raw(bytes), 1 << 16)))).toBe(bytes)
  for (const bytes of Object.values(vectors.answers)) expect(hex(encode(decodeAs(AuditAnswer, raw(bytes), 1 << 16)))).toBe(bytes)
  for (const { bytes } of vectors.entries) expect(hex(encode(decodeAs(Entry, raw(bytes), MAX_ENTRY_BYTES)))).toBe(bytes)
})

test('a reader ignores what a newer writer adds to an entry, and keeps its hash', () => {
  const [first] = vectors.entries
  const entry = decodeAs(Entry, raw(first?.bytes ?? ''), MAX_ENTRY_BYTES)
  const newer = encode({ ...entry, colour: 'red', details: { ...entry.details, weight: 3 } })
  const grown = extend(EMPTY_TIP, [newer])
  expect(grown).toMatchObject({ tip: { n: 1, last: leafHash(newer) } })
})
