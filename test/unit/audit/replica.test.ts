import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { AUDIT, Page, type Page as PageFrame } from '../../../protocols/audit/messages.ts'
import { DOMAIN, encode, shapeOf } from '../../../protocols/wire.ts'
import { leafHash } from '../../../src/audit/merkle.ts'
import { Replica } from '../../../src/audit/replica.ts'
import { verifyLogs } from '../../../src/audit/verify.ts'
import { seal } from '../../../src/identity/envelope.ts'
import { alice, bob, type Device, deviceOn, entryKey, fact, fill, groups, MESH, mallory, pullAll } from './world.ts'

const verify = (device: Device) => verifyLogs({ store: device.store.logs, mesh: MESH }, { own: device.identity.did, witnesses: device.replica.witnesses })
const headOf = (device: Device): Uint8Array => device.log.head()?.bytes ?? new Uint8Array()
const logKeys = (device: Device): readonly string[] => device.disk.keys('a/')

async function pageOf(device: Device, from: number, max = 512): Promise<PageFrame> {
  const page = await device.replica.page(device.identity.did, from, max)
  if (page === undefined) throw new Error('no page')
  return page
}

test('replicas converge whatever the order, size and repetition of the pages', async () => {
  await fc.assert(
    fc.asyncProperty(groups, fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 512 })), { maxLength: 20 }), async (sizes, asked) => {
      const otter = await deviceOn(alice)
      await fill(otter, sizes)
      const fox = await deviceOn(bob)
      await fox.replica.offerHead(headOf(otter), alice.did)
      for (const [from, max] of asked) {
        const page = await otter.replica.page(alice.did, from, max)
        if (page !== undefined) await fox.replica.accept(alice.did, page)
      }
      expect((await verify(fox)).problems).toEqual([])
      await pullAll(fox, otter)
      expect(fox.replica.wants()).toEqual([])
      const n = otter.log.head()?.n ?? 0
      expect((await fox.store.logs.read(alice.did, 0, n + 9)).map((entry) => Buffer.from(entry.bytes).toString('hex'))).toEqual(
        (await otter.store.logs.read(alice.did, 0, n)).map((entry) => Buffer.from(entry.bytes).toString('hex')),
      )
      expect(await verify(fox)).toMatchObject({ ok: true, logs: [{ entries: n, behind: 0, witnesses: 0 }] })
    }),
    { numRuns: 25 },
  )
})

test('a replica serves what it pulled to a third device, and the owner learns who witnesses it', async () => {
  const [otter, fox, wolf] = [await deviceOn(alice), await deviceOn(bob), await deviceOn(mallory)]
  await fill(otter, [3, 40, 2])
  await pullAll(fox, otter)
  await pullAll(wolf, fox)
  expect((await verify(wolf)).logs).toMatchObject([{ device: alice.did, entries: 45, witnesses: 1 }])
  for (const device of [fox, wolf]) for (const bytes of device.replica.heads()) expect(await otter.replica.offerHead(bytes, device.identity.did)).toBe('known')
  expect((await verify(otter)).logs).toMatchObject([{ witnesses: 2 }])
})

test('every page ends at a signed head and fits the caps, however large the entries', async () => {
  const otter = await deviceOn(alice)
  const big = 'x'.repeat(4_000)
  for (const size of [64, 64, 10, 64, 64, 64, 1, 1, 1, 64, 64, 64, 64, 64, 64]) {
    await Promise.all(
      Array.from({ length: size }, () => otter.log.append(fact({ subject: big, details: { command: [big], words: big, reason: big, why: big } }))),
    )
  }
  const fox = await deviceOn(bob)
  await fox.replica.offerHead(headOf(otter))
  const n = otter.log.head()?.n ?? 0
  for (let from = 0; from < n; ) {
    const page = await pageOf(otter, from)
    shapeOf(Page, page)
    expect(encode(page).length).toBeLessThanOrEqual(AUDIT.maxFrameBytes)
    expect(await fox.replica.accept(alice.did, page)).toMatchObject({ t: 'stored' })
    from += page.entries.length
  }
  for (let from = 0; from < n; from += 7) shapeOf(Page, await fox.replica.page(alice.did, from, 1))
})

test('nothing is stored of a page that is not wholly true', async () => {
  const otter = await deviceOn(alice)
  await fill(otter, [30, 30])
  const fox = await deviceOn(bob)
  await fox.replica.offerHead(headOf(otter))
  const page = await pageOf(otter, 0)
  const flip = (bytes: Uint8Array, at: number): Uint8Array => Uint8Array.from(bytes, (byte, i) => (i === at % bytes.length ? byte ^ 1 : byte))
  const lies: fc.Arbitrary<PageFrame> = fc.oneof(
    fc.tuple(fc.nat(59), fc.nat()).map(([n, at]) => ({ ...page, entries: page.entries.map((bytes, i) => (i === n ? flip(bytes, at) : bytes)) })),
    fc.nat(58).map((n) => ({ ...page, entries: page.entries.map((bytes, i) => page.entries[i === n ? n + 1 : i === n + 1 ? n : i] ?? bytes) })),
    fc.nat(59).map((n) => ({ ...page, entries: page.entries.filter((_, i) => i !== n) })),
    fc.nat(59).map((n) => ({ ...page, entries: [...page.entries, page.entries[n] ?? new Uint8Array()] })),
    fc.nat().map((at) => ({ ...page, head: flip(page.head, at) })),
    fc.constant({ ...page, from: 1 }),
    fc.constant({ ...page, log: bob.did }),
    fc.constant({
      ...page,
      head: seal(mallory, DOMAIN.auditHead, MESH, { v: 1, log: alice.did, n: 60, last: otter.log.head()?.last, root: otter.log.head()?.root, time: 9e12 }),
    }),
    fc.constant({
      ...page,
      head: seal(alice, DOMAIN.auditHead, MESH, { v: 1, log: alice.did, n: 60, last: otter.log.head()?.last, root: new Uint8Array(32), time: 9e12 }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(lies, async (lie) => {
      expect((await fox.replica.accept(alice.did, lie)).t).toBe('refused')
      expect(logKeys(fox)).toEqual([])
    }),
    { numRuns: 200 },
  )
  expect(fox.replica.witnesses.forks(alice.did)).toEqual([])
  expect(await fox.replica.accept(alice.did, page)).toEqual({ t: 'stored', stored: 60, n: 60 })
})

test('a peer that made a page up is told from a device that signed one nobody can read', async () => {
  const otter = await deviceOn(alice)
  await fill(otter, [2])
  const fox = await deviceOn(bob)
  const page = await pageOf(otter, 0)
  expect(await fox.replica.accept(alice.did, { ...page, entries: [...page.entries].reverse() })).toMatchObject({ t: 'refused', liar: true })
  const newer = encode({ v: 2, n: 0, prev: new Uint8Array(32) })
  const signed = seal(alice, DOMAIN.auditHead, MESH, { v: 1, log: alice.did, n: 1, ...tipOver(newer), time: 9e12 })
  expect(await fox.replica.accept(alice.did, { ...page, entries: [newer], head: signed })).toMatchObject({ t: 'refused', liar: false })
})

test('heads: every older head of an honest log is known, a newer one means behind, anything else is refused', async () => {
  const otter = await deviceOn(alice)
  const shown: Uint8Array[] = []
  otter.log.onHead((head) => shown.push(head.bytes))
  await fill(otter, [1, 1, 5, 64, 64, 2, 64, 30, 1, 1, 1])
  const fox = await deviceOn(bob)
  expect(await fox.replica.offerHead(shown[3] ?? new Uint8Array())).toBe('behind')
  expect(fox.replica.wants()).toEqual([{ log: alice.did, from: 0, to: 71 }])
  await pullAll(fox, otter)
  for (const device of [otter, fox]) for (const bytes of shown) expect(await device.replica.offerHead(bytes)).toBe('known')
  expect(await fox.replica.offerHead(seal(alice, DOMAIN.auditHead, new Uint8Array(32), { v: 1 }))).toBe('refused')
  expect(
    await fox.replica.offerHead(
      seal(mallory, DOMAIN.auditHead, MESH, { v: 1, log: alice.did, n: 999, last: new Uint8Array(32), root: new Uint8Array(32), time: 1 }),
    ),
  ).toBe('refused')
  expect(await fox.replica.offerHead(Uint8Array.of(1, 2, 3))).toBe('refused')
  const closed = await Replica.open({ store: fox.store.logs, shelf: fox.store.shelf('audit'), mesh: MESH, own: fox.log, keeps: (log) => log !== alice.did })
  expect(await closed.offerHead(headOf(otter))).toBe('refused')
  expect(closed.wants()).toEqual([])
})

test('damage on the own disk accuses nobody of a fork', async () => {
  const otter = await deviceOn(alice)
  const shown: Uint8Array[] = []
  otter.log.onHead((head) => shown.push(head.bytes))
  await fill(otter, [1, 1, 5, 64, 64, 2])
  const fox = await deviceOn(bob)
  await pullAll(fox, otter)
  for (const n of [0, 3, 50, 100]) fox.disk.tamper(entryKey(alice.did, n), Uint8Array.of(1))
  for (const bytes of shown) expect(await fox.replica.offerHead(bytes)).toBe('known')
  expect(fox.replica.witnesses.forks(alice.did)).toEqual([])
})

/** The same key on two disks: a stolen key, or a snapshot that was started twice. */
async function twins(sizes: readonly number[], left: readonly number[], right: readonly number[]): Promise<readonly [Device, Device]> {
  const one = await deviceOn(alice)
  await fill(one, sizes)
  const other = await deviceOn(alice, one.disk.copy())
  await fill(one, left)
  other.clock.advance(77)
  await fill(other, right)
  return [one, other]
}

test('two histories of the same length are a fork: both signed heads are kept, over a restart, and shown to others', async () => {
  const [one, other] = await twins([5], [3], [3])
  const fox = await deviceOn(bob)
  await pullAll(fox, one)
  expect(await fox.replica.offerHead(headOf(other))).toBe('fork')
  const again = await deviceOn(bob, fox.disk.copy())
  for (const device of [fox, again]) {
    const { ok, problems, logs } = await verify(device)
    expect({ ok, logs }).toMatchObject({ ok: false, logs: [{ forks: 1, entries: 8 }] })
    expect(problems).toMatchObject([{ device: alice.did, n: 8, kind: 'fork', proof: [headOf(one), headOf(other)] }])
    expect(device.replica.wants()).toEqual([])
  }
  const wolf = await deviceOn(mallory)
  const offers: string[] = []
  for (const bytes of again.replica.heads()) offers.push(await wolf.replica.offerHead(bytes))
  expect(offers).toContain('fork')
})

test('a fork is found before any body was pulled, and also when the branches differ in length', async () => {
  const [one, other] = await twins([5], [2], [2])
  const fox = await deviceOn(bob)
  expect(await fox.replica.offerHead(headOf(one))).toBe('behind')
  expect(await fox.replica.offerHead(headOf(other))).toBe('fork')

  const [short, long] = await twins([5], [2], [2, 2])
  const wolf = await deviceOn(bob)
  await pullAll(wolf, short)
  expect(await wolf.replica.offerHead(headOf(long))).toBe('behind')
  expect(await wolf.replica.accept(alice.did, await pageOf(long, 7))).toMatchObject({ t: 'refused', liar: false })
  expect(wolf.replica.witnesses.forks(alice.did)).toHaveLength(1)

  const bear = await deviceOn(bob)
  await pullAll(bear, long)
  expect(await bear.replica.offerHead(headOf(short))).toBe('fork')
})

test('a restored backup pulls its own missing entries back before it may append, and forks nothing', async () => {
  const otter = await deviceOn(alice)
  await fill(otter, [4, 1])
  const backup = otter.disk.copy()
  await fill(otter, [70, 3])
  const fox = await deviceOn(bob)
  await pullAll(fox, otter)

  const restored = await deviceOn(alice, backup)
  for (const bytes of fox.replica.heads()) expect(await restored.replica.offerHead(bytes, bob.did)).toBe('behind')
  await expect(restored.log.append(fact())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: true })
  expect(restored.replica.releaseOwn()).toBe(false)
  expect(restored.replica.wants()).toEqual([{ log: alice.did, from: 5, to: 78 }])

  const later = await deviceOn(alice, backup.copy()) // a restart in between remembers what peers know
  await expect(later.log.append(fact())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  await pullAll(later, fox)
  expect((await later.log.append(fact())).n).toBe(78)
  expect(await fox.replica.offerHead(headOf(later))).toBe('behind')
  await pullAll(fox, later)
  expect(await verify(fox)).toMatchObject({ ok: true, logs: [{ entries: 79, forks: 0 }] })
  expect(await verify(later)).toMatchObject({ ok: true })
})

test('an empty database with an old identity gets its whole log back; nobody else can write into it', async () => {
  const otter = await deviceOn(alice)
  await fill(otter, [70, 70])
  const fox = await deviceOn(bob)
  await pullAll(fox, otter)
  const fresh = await deviceOn(alice)
  fresh.log.hold('asking the other devices first')
  await expect(fresh.log.append(fact())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  for (const bytes of fox.replica.heads()) await fresh.replica.offerHead(bytes)
  const page = await fox.replica.page(alice.did, 0, 512)
  if (page === undefined) throw new Error('no page')
  const forged = seal(bob, DOMAIN.auditHead, MESH, {
    v: 1,
    log: bob.did,
    n: page.entries.length,
    last: otter.log.head()?.last,
    root: otter.log.head()?.root,
    time: 9e12,
  })
  expect((await fresh.replica.accept(alice.did, { ...page, head: forged })).t).toBe('refused')
  await pullAll(fresh, fox)
  expect((await fresh.log.append(fact())).n).toBe(140)
})

test('a device whose peers know nothing newer is released', async () => {
  const fresh = await deviceOn(alice)
  fresh.log.hold('asking the other devices first')
  expect(fresh.replica.releaseOwn()).toBe(true)
  expect((await fresh.log.append(fact())).n).toBe(0)
})

test('a device that appended before it heard of its lost entries goes on, and the fork is no secret', async () => {
  const [one, other] = await twins([5], [3], [1])
  const fox = await deviceOn(bob)
  await pullAll(fox, one)
  await other.replica.offerHead(fox.replica.heads()[0] ?? new Uint8Array())
  expect(await other.replica.accept(alice.did, await pageOf(one, 5))).toMatchObject({ t: 'refused' }) // not where it stands
  await fox.replica.offerHead(headOf(other))
  for (const bytes of fox.replica.heads()) await other.replica.offerHead(bytes)
  expect((await verify(fox)).problems.map((problem) => problem.kind)).toContain('fork')
})

test('the frames are answered', async () => {
  const otter = await deviceOn(alice)
  await fill(otter, [2])
  expect(await otter.replica.answer({ t: 'heads' })).toEqual({ t: 'heads', heads: [headOf(otter)] })
  expect(await otter.replica.answer({ t: 'pull', log: alice.did, from: 0, max: 9 })).toMatchObject({ t: 'page', from: 0 })
  expect(await otter.replica.answer({ t: 'pull', log: alice.did, from: 2, max: 9 })).toEqual({ t: 'none', log: alice.did, from: 2 })
  expect(await otter.replica.answer({ t: 'pull', log: 'did:key:z6Mknonsense', from: 0, max: 9 })).toMatchObject({ t: 'none' })
})

function tipOver(bytes: Uint8Array): { readonly last: Uint8Array; readonly root: Uint8Array } {
  // One leaf is its own root; `extend` cannot be asked, it refuses what it cannot read.
  const leaf = leafHash(bytes)
  return { last: leaf, root: leaf }
}
