/** Devices that break the rules of their own log: everything they sign is valid, and still not believed. */
import { expect, test } from 'vitest'
import { NO_HASH, type Page } from '../../../protocols/audit/messages.ts'
import { DOMAIN, encode } from '../../../protocols/wire.ts'
import { entryOf } from '../../../src/audit/facts.ts'
import { AuditLog } from '../../../src/audit/log.ts'
import { Frontier, leafHash } from '../../../src/audit/merkle.ts'
import type { LogStore } from '../../../src/audit/ports.ts'
import { verifyLogs } from '../../../src/audit/verify.ts'
import { seal } from '../../../src/identity/envelope.ts'
import { Store } from '../../../src/store/level.ts'
import { MemoryDisk } from '../store/disks.ts'
import { alice, ask, bob, deviceOn, fact, fill, handClock, MESH } from './world.ts'

/** A log that alice signed with her own rules. */
function signed(times: readonly number[], head: { readonly time: number; readonly root?: Uint8Array }): Page {
  let prev: Uint8Array = NO_HASH
  let frontier = Frontier.EMPTY
  const entries = times.map((time, n) => {
    const bytes = encode(entryOf(fact(), { n, prev, time }))
    prev = leafHash(bytes)
    frontier = frontier.push(prev)
    return bytes
  })
  const value = { v: 1, log: alice.did, n: entries.length, last: prev, root: head.root ?? frontier.root(), time: head.time }
  return { t: 'page', log: alice.did, from: 0, entries, head: seal(alice, DOMAIN.auditHead, MESH, value) }
}

test('the same log with honest times is stored: what follows is refused for its lie alone', async () => {
  const fox = await deviceOn(bob)
  expect(await fox.replica.accept(alice.did, signed([1_000, 2_000], { time: 2_000 }))).toMatchObject({ t: 'stored' })
})

test.each([
  ['time that runs backwards', signed([2_000, 1_000], { time: 2_000 }), false],
  ['a head signed before its entries', signed([1_000, 2_000], { time: 1_999 }), true],
  ['a root that is not of these entries', signed([1_000, 2_000], { time: 2_000, root: new Uint8Array(32) }), true],
])('%s is refused, stored nowhere and no fork', async (_, page, liar) => {
  const fox = await deviceOn(bob)
  expect(await fox.replica.accept(alice.did, page)).toMatchObject({ t: 'refused', liar })
  expect(fox.disk.keys('a/')).toEqual([])
  expect(fox.replica.witnesses.forks(alice.did)).toEqual([])
})

test('a log that goes on with an older time is refused where it begins to, and that is no fork either', async () => {
  const fox = await deviceOn(bob)
  expect(await fox.replica.accept(alice.did, signed([2_000], { time: 2_000 }))).toMatchObject({ t: 'stored' })
  const longer = signed([2_000, 1_000], { time: 2_000 })
  expect(await fox.replica.accept(alice.did, { ...longer, from: 1, entries: longer.entries.slice(1) })).toMatchObject({ t: 'refused', liar: false })
  expect(fox.replica.witnesses.forks(alice.did)).toEqual([])
})

test('a root that its own device signed wrongly is named by verification', async () => {
  const otter = await deviceOn(alice)
  const page = signed([1_000, 2_000], { time: 2_000, root: new Uint8Array(32) })
  await otter.store.logs.append(alice.did, {
    from: 0,
    entries: page.entries,
    head: { n: 2, bytes: page.head, frontier: new Uint8Array(32) },
    dropHead: undefined,
  })
  const { ok, problems } = await verifyLogs({ store: otter.store.logs, mesh: MESH, nameOf: () => 'otter' }, { own: alice.did })
  expect(ok).toBe(false)
  expect(problems).toMatchObject([
    { kind: 'root', n: 2, words: expect.stringContaining(`the head of 2 entries of otter (${alice.did}) does not fit its entries`) },
  ])
})

test('a true head kept in the place of another is named', async () => {
  const otter = await deviceOn(alice)
  await fill(otter, [64, 64, 64, 64, 64])
  const [first = '', second = ''] = otter.disk.keys(`a/h/${alice.did}/`)
  otter.disk.tamper(first, await otter.disk.get(second))
  const { problems } = await verifyLogs({ store: otter.store.logs, mesh: MESH }, { own: alice.did })
  expect(problems.map((problem) => problem.kind)).toEqual(['head'])
})

test('a log in which time ran backwards is told when it is asked', async () => {
  const otter = await deviceOn(alice)
  const page = signed([2_000, 1_000], { time: 2_000 })
  await otter.store.logs.append(alice.did, {
    from: 0,
    entries: page.entries,
    head: { n: 2, bytes: page.head, frontier: new Uint8Array(32) },
    dropHead: undefined,
  })
  expect((await ask(otter)).flatMap((found) => (found.t === 'problem' ? [found.problem.kind] : []))).toEqual(['backwards'])
})

test('after one failed write the log stays closed, even when the disk has recovered', async () => {
  const store = await Store.on(new MemoryDisk(), 'memory')
  let fails = true
  const once: LogStore = {
    append: (log, batch) => (fails ? Promise.reject(new Error('a bad moment')) : store.logs.append(log, batch)),
    read: (log, from, to) => store.logs.read(log, from, to),
    heads: (log, range) => store.logs.heads(log, range),
    logs: () => store.logs.logs(),
  }
  const log = await AuditLog.open({ store: once, identity: alice, mesh: MESH, clock: handClock() })
  await expect(log.append(fact())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  fails = false
  log.release()
  await expect(log.append(fact())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', message: expect.stringContaining('a bad moment') })
  log.hold('for another reason')
  await expect(log.append(fact())).rejects.toMatchObject({ message: expect.stringContaining('a bad moment') })
})
