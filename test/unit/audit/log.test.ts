import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_ENTRY_BYTES } from '../../../protocols/audit/messages.ts'
import { displayCommand } from '../../../src/audit/facts.ts'
import { AuditLog } from '../../../src/audit/log.ts'
import { Frontier, leafHash, nodeHash } from '../../../src/audit/merkle.ts'
import { verifyLogs } from '../../../src/audit/verify.ts'
import { Store } from '../../../src/store/level.ts'
import { MemoryDisk } from '../store/disks.ts'
import { alice, ask, deviceOn, fact, fill, groups, handClock, MESH } from './world.ts'

/** RFC 6962 section 2.1, word for word. */
function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves
  if (only === undefined) return new Uint8Array(createHash('sha256').digest())
  if (leaves.length === 1) return leafHash(only)
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return nodeHash(treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)))
}

test('the frontier gives the RFC 6962 root for every number of leaves, also after it was stored', () => {
  const leaves = Array.from({ length: 130 }, (_, i) => Uint8Array.of(i, 1))
  let frontier = Frontier.EMPTY
  expect(frontier.root()).toEqual(treeHash([]))
  leaves.forEach((leaf, i) => {
    frontier = Frontier.fromBytes(i, frontier.toBytes())?.push(leafHash(leaf)) ?? Frontier.EMPTY
    expect(frontier.root()).toEqual(treeHash(leaves.slice(0, i + 1)))
  })
  expect(Frontier.fromBytes(130, frontier.toBytes().slice(1))).toBeUndefined()
})

test('every log that was written verifies, whatever the commit groups', async () => {
  await fc.assert(
    fc.asyncProperty(groups, async (sizes) => {
      const device = await deviceOn(alice)
      await fill(device, sizes)
      const n = sizes.reduce((a, b) => a + b)
      const report = await verifyLogs({ store: device.store.logs, mesh: MESH }, { own: alice.did, witnesses: device.replica.witnesses })
      expect(report).toMatchObject({ ok: true, problems: [], logs: [{ device: alice.did, entries: n, gaps: 0, forks: 0, behind: 0 }] })
      expect(report.logs[0]?.head).toBe(Buffer.from(device.log.head()?.root ?? []).toString('hex'))
    }),
    { numRuns: 25 },
  )
})

test('a log goes on after a restart where it stopped', async () => {
  const first = await deviceOn(alice)
  await fill(first, [3, 70, 1])
  const second = await deviceOn(alice, first.disk.copy())
  expect(second.log.head()?.n).toBe(74)
  await fill(second, [2])
  expect(second.log.head()?.n).toBe(76)
  expect((await verifyLogs({ store: second.store.logs, mesh: MESH }, { own: alice.did })).ok).toBe(true)
})

test('an append is acknowledged, and its head shown, only after the sync', async () => {
  let sync = (): void => undefined
  const disk = new MemoryDisk(() => new Promise((resolve) => (sync = resolve)))
  disk.tamper('!format', (await formatOf()) ?? new Uint8Array())
  const device = await deviceOn(alice, disk)
  const seen: string[] = []
  device.log.onHead((head) => seen.push(`head ${head.n}`))
  const acknowledged = device.log.append(fact()).then((record) => seen.push(`record ${record.n}`))
  await new Promise((resolve) => setImmediate(resolve))
  expect(seen).toEqual([])
  expect(device.log.head()).toBeUndefined()
  sync()
  await acknowledged
  await new Promise((resolve) => setImmediate(resolve))
  expect([...seen].sort()).toEqual(['head 1', 'record 0'])
})

test('all who wait while a sync is under way share the next signed head', async () => {
  const device = await deviceOn(alice)
  const heads: number[] = []
  device.log.onHead((head) => heads.push(head.n))
  const records = await Promise.all(Array.from({ length: 150 }, () => device.log.append(fact())))
  expect(records.map((record) => record.n)).toEqual(Array.from({ length: 150 }, (_, n) => n))
  expect(heads).toEqual([64, 128, 150])
})

test('acknowledged entries survive a power cut at any sync; the log never goes back behind a head that was shown', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 12 }), async (cutAfter) => {
      let syncs = 0
      const disk = new MemoryDisk(() => (++syncs > cutAfter + 1 ? new Promise(() => undefined) : Promise.resolve()))
      const device = await deviceOn(alice, disk)
      const acknowledged: number[] = []
      let shown = 0
      device.log.onHead((head) => (shown = head.n))
      for (let i = 0; i < 12; i++)
        void device.log.append(fact()).then(async (record) => {
          acknowledged.push(record.n)
          acknowledged.push((await device.log.append(fact())).n)
        })
      await new Promise((resolve) => setImmediate(resolve))
      disk.powerCut()
      const after = await deviceOn(alice, disk.copy())
      expect(after.log.held().tip.n).toBeGreaterThan(Math.max(-1, ...acknowledged))
      expect(after.log.held().tip.n).toBeGreaterThanOrEqual(shown)
    }),
    { numRuns: 30 },
  )
})

test('after a failed write nothing more is recorded, and the reason and the way out are said', async () => {
  const device = await deviceOn(alice)
  await device.log.append(fact())
  device.disk.breakDown(new Error('no space left on device'))
  await expect(device.log.append(fact())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', hint: expect.stringContaining('restart') })
  device.disk.breakDown(undefined)
  await expect(device.log.append(fact())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', message: expect.stringContaining('no space left') })
  device.log.release()
  await expect(device.log.append(fact())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  expect(device.log.head()?.n).toBe(1)
})

test('a fact that cannot be recorded is refused alone; those beside it are recorded', async () => {
  const { log } = await deviceOn(alice)
  const [good, bad, other] = await Promise.allSettled([log.append(fact()), log.append(fact({ action: 'Not An Action' })), log.append(fact())])
  expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'BAD_FACT' } })
  expect([good, other]).toMatchObject([{ value: { n: 0 } }, { value: { n: 1 } }])
})

test('a log whose newest head is damaged is not continued: that could fork it', async () => {
  const device = await deviceOn(alice)
  await fill(device, [1, 1])
  const [key] = device.disk.keys(`a/h/${alice.did}/`)
  device.disk.tamper(key ?? '', new Uint8Array([1, 2, 3]))
  await expect(deviceOn(alice, device.disk.copy())).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
    hint: expect.stringContaining('move the db directory away'),
  })
})

test('time never runs backwards in a log, whatever the clock does', async () => {
  const clock = handClock()
  const store = await Store.on(new MemoryDisk(), 'memory')
  const log = await AuditLog.open({ store: store.logs, identity: alice, mesh: MESH, clock })
  const first = await log.append(fact())
  clock.advance(-60_000)
  expect((await log.append(fact())).time).toBe(first.time)
})

test('facts of any length fit an entry, and none of their texts can steer a terminal', async () => {
  const device = await deviceOn(alice)
  const long = fc.string({ unit: 'binary', maxLength: 3_000 })
  await fc.assert(
    fc.asyncProperty(long, fc.array(long, { maxLength: 8 }), async (text, command) => {
      const huge = text.repeat(4)
      await device.log.append(
        fact({
          subject: huge,
          session: huge,
          grant: huge,
          details: { command: [...command, huge, huge], words: huge, reason: huge, why: huge, name: huge, from: huge, requestedBy: huge, policyApplied: huge },
        }),
      )
    }),
    { numRuns: 60 },
  )
  for (const key of device.disk.keys('a/e/'))
    expect(
      (await device.store.logs.read(alice.did, 0, 99)).every((entry) => entry.bytes.length <= MAX_ENTRY_BYTES),
      key,
    ).toBe(true)
  for (const found of await ask(device)) expect(JSON.stringify(found)).not.toMatch(/\\u00[01]|\\u007f|\p{Cc}|\u202e/u)
})

test('what a command shows hides secrets where their names tell', () => {
  expect(displayCommand(['deploy', '--token', 'c4n4ry', '--password=c4n4ry', 'API_KEY=c4n4ry', 'https://me:c4n4ry@host/x', '-v'])).toEqual([
    'deploy',
    '--token',
    '[hidden]',
    '--password=[hidden]',
    'API_KEY=[hidden]',
    'https://me:[hidden]@host/x',
    '-v',
  ])
  expect(displayCommand(['echo', 'a\u001b[31mb'])).toEqual(['echo', 'a\u{fffd}[31mb'])
  const shown = displayCommand(['x'.repeat(10_000), 'y'])
  expect(shown.join('').length).toBeLessThan(4_097)
  expect(displayCommand(Array.from({ length: 10_000 }, () => 'y'))).toHaveLength(256)
})

async function formatOf(): Promise<Uint8Array | undefined> {
  const disk = new MemoryDisk()
  await Store.on(disk, 'memory')
  return await disk.get('!format')
}

test('writes that ride along with an entry share its one sync and its fate', async () => {
  const device = await deviceOn(alice)
  const shelf = device.store.shelf('rider')
  const before = device.disk.syncs
  await device.log.append(fact(), [shelf.putOp('a', Uint8Array.of(1))])
  expect(device.disk.syncs).toBe(before + 1)
  expect(await shelf.get('a')).toEqual(Uint8Array.of(1))

  const unsayable = fact({ action: '' })
  await expect(device.log.append(unsayable, [shelf.putOp('b', Uint8Array.of(2))])).rejects.toMatchObject({ code: 'BAD_FACT' })
  expect(await shelf.get('b')).toBeUndefined()

  device.disk.breakDown(new Error('no space'))
  await expect(device.log.append(fact(), [shelf.putOp('c', Uint8Array.of(3))])).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  device.disk.powerCut()
  expect(device.disk.keys('s/rider/')).toEqual(['s/rider/a'])
})
