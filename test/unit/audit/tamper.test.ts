import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { query } from '../../../src/audit/query.ts'
import { type VerifyReport, verifyLogs } from '../../../src/audit/verify.ts'
import { alice, ask, bob, type Device, deviceOn, entryKey, fill, MESH, pullAll } from './world.ts'

const NAMES = new Map<string, string>([
  [alice.did, 'otter'],
  [bob.did, 'fox'],
])
const verify = (device: Device): Promise<VerifyReport> =>
  verifyLogs({ store: device.store.logs, mesh: MESH, nameOf: (did) => NAMES.get(did) }, { own: device.identity.did, witnesses: device.replica.witnesses })

async function filled(sizes: readonly number[]): Promise<Device> {
  const device = await deviceOn(alice)
  await fill(device, sizes)
  return device
}
const SIZES = [1, 5, 40, 60, 64, 30, 64, 1, 1] // 266 entries, several kept heads
const TOTAL = SIZES.reduce((a, b) => a + b)
const whole = await filled(SIZES)
const honest = new Map((await ask(whole)).flatMap((found) => (found.t === 'record' ? [[found.record.n, JSON.stringify(found.record)]] : [])))

/** Whatever was done to the disk: no answer differs from the honest one unless a problem is told with it. */
async function expectNoSilentLie(device: Device): Promise<void> {
  for (const limit of [{}, { limit: 1_000 }]) {
    const found = await ask(device, limit)
    for (const one of found) if (one.t === 'record') expect(JSON.stringify(one.record)).toBe(honest.get(one.record.n))
    const problems = found.filter((one) => one.t === 'problem')
    expect(problems.length).toBeGreaterThan(0)
  }
}

test('a single changed byte is found, whichever it is, and its entry is named', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(TOTAL - 1), fc.nat(), fc.integer({ min: 1, max: 255 }), async (n, at, mask) => {
      const disk = whole.disk.copy()
      const bytes = (await disk.get(entryKey(alice.did, n)))?.slice() ?? new Uint8Array()
      const i = at % bytes.length
      bytes[i] = (bytes[i] ?? 0) ^ mask
      disk.tamper(entryKey(alice.did, n), bytes)
      const device = await deviceOn(alice, disk)
      const report = await verify(device)
      expect(report.ok).toBe(false)
      expect(report.problems.map((problem) => problem.n)).toEqual([n])
      expect(report.problems[0]?.words).toContain(`entry ${n} of otter (${alice.did}) was `)
      await expectNoSilentLie(device)
    }),
    { numRuns: 120 },
  )
})

test('the words say which entry contradicts the changed one', async () => {
  const disk = whole.disk.copy()
  const bytes = (await disk.get(entryKey(alice.did, 17)))?.slice() ?? new Uint8Array()
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  disk.tamper(entryKey(alice.did, 17), bytes)
  const { problems } = await verify(await deviceOn(alice, disk))
  expect(problems.map((problem) => problem.words)).toEqual([
    `entry 17 of otter (${alice.did}) was changed: its bytes no longer hash to what entry 18 names; entries 0 to 16 cannot be confirmed without it`,
  ])
})

test('a removed entry is a gap that is named and counted', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(TOTAL - 1), async (n) => {
      const disk = whole.disk.copy()
      disk.tamper(entryKey(alice.did, n), undefined)
      const device = await deviceOn(alice, disk)
      expect(await verify(device)).toMatchObject({ ok: false, problems: [{ n, kind: 'missing' }], logs: [{ gaps: 1 }] })
      await expectNoSilentLie(device)
    }),
    { numRuns: 40 },
  )
})

test('two swapped entries are both named', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(TOTAL - 1), { minLength: 2, maxLength: 2 }), async (pair) => {
      const [a = 0, b = 0] = [...pair].sort((x, y) => x - y)
      const disk = whole.disk.copy()
      const [one, other] = [await disk.get(entryKey(alice.did, a)), await disk.get(entryKey(alice.did, b))]
      disk.tamper(entryKey(alice.did, a), other)
      disk.tamper(entryKey(alice.did, b), one)
      const device = await deviceOn(alice, disk)
      expect((await verify(device)).problems.map((problem) => problem.n).sort((x, y) => x - y)).toEqual([a, b])
      await expectNoSilentLie(device)
    }),
    { numRuns: 40 },
  )
})

test('an entry put in the place of another, or beyond the end, is named', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(TOTAL - 1), fc.nat(TOTAL), async (from, to) => {
      fc.pre(from !== to)
      const disk = whole.disk.copy()
      disk.tamper(entryKey(alice.did, to), await disk.get(entryKey(alice.did, from)))
      const device = await deviceOn(alice, disk)
      expect((await verify(device)).problems.map((problem) => problem.n)).toEqual([to])
      await expectNoSilentLie(device)
    }),
    { numRuns: 40 },
  )
})

test('a log whose entries were moved up after a removal names every place that holds another entry', async () => {
  const disk = whole.disk.copy()
  for (let n = 100; n < TOTAL; n++) disk.tamper(entryKey(alice.did, n), await disk.get(entryKey(alice.did, n + 1)))
  const named = new Set((await verify(await deviceOn(alice, disk))).problems.map((problem) => problem.n))
  expect(named.has(100)).toBe(true)
  expect(named.has(TOTAL - 1)).toBe(true)
})

test('a tail cut together with its heads is found by what peers witnessed, also after a restart', async () => {
  const fox = await deviceOn(bob)
  await pullAll(fox, whole)
  const disk = whole.disk.copy()
  const heads = disk.keys(`a/h/${alice.did}/`)
  for (const key of heads.slice(1)) disk.tamper(key, undefined)
  const cut = await deviceOn(alice, disk)
  const left = cut.log.head()?.n ?? 0
  expect(left).toBeLessThan(TOTAL)
  for (let n = left; n < TOTAL; n++) disk.tamper(entryKey(alice.did, n), undefined)
  expect((await verify(cut)).ok).toBe(true) // nobody here can know
  for (const bytes of fox.replica.heads()) await cut.replica.offerHead(bytes, bob.did)
  const again = await deviceOn(alice, disk)
  for (const device of [cut, again]) {
    const { problems, logs } = await verify(device)
    expect(problems).toMatchObject([
      {
        device: alice.did,
        n: left,
        kind: 'cut',
        words: `entries ${left} to ${TOTAL - 1} of otter (${alice.did}) are missing at the end: it signed a head of ${TOTAL} entries`,
      },
    ])
    expect(logs[0]?.gaps).toBe(TOTAL - left)
  }
})

test('a tail of another device that was complete here once and was cut is found without peers', async () => {
  const fox = await deviceOn(bob)
  await pullAll(fox, whole)
  expect((await verify(fox)).ok).toBe(true)
  const disk = fox.disk.copy()
  for (const key of [...disk.keys(`a/h/${alice.did}/`), ...disk.keys(`a/e/${alice.did}/`)]) disk.tamper(key, undefined)
  expect(await verify(await deviceOn(bob, disk))).toMatchObject({ ok: false, problems: [{ device: alice.did, n: 0, kind: 'cut' }] })
})

test('a changed head is named and does not hide damage around it', async () => {
  const heads = whole.disk.keys(`a/h/${alice.did}/`)
  expect(heads.length).toBeGreaterThan(2)
  for (const key of heads.slice(0, -1)) {
    const disk = whole.disk.copy()
    const bytes = (await disk.get(key))?.slice() ?? new Uint8Array()
    bytes[60] = (bytes[60] ?? 0) ^ 4
    disk.tamper(key, bytes)
    const clean = await deviceOn(alice, disk)
    expect((await verify(clean)).problems.map((problem) => problem.kind)).toEqual(['head'])
    const n = Number.parseInt(key.slice(-14), 16)
    disk.tamper(entryKey(alice.did, n), undefined)
    expect((await verify(await deviceOn(alice, disk))).problems.map((problem) => [problem.kind, problem.n])).toEqual([
      ['head', n],
      ['missing', n],
    ])
  }
})

test('queries answer from all logs by time, then device, then n; the newest with a limit', async () => {
  const otter = await deviceOn(alice)
  const fox = await deviceOn(bob)
  await fill(otter, [1, 1, 1, 1])
  await fill(fox, [1, 1, 1, 1])
  await pullAll(otter, fox)
  const said = async (q: Parameters<typeof ask>[1]): Promise<string[]> =>
    (await ask(otter, q)).map((found) => (found.t === 'record' ? `${NAMES.get(found.record.device)}${found.record.n}` : found.problem.words))
  const [low, high] = alice.did < bob.did ? ['otter', 'fox'] : ['fox', 'otter']
  expect(await said({})).toEqual([0, 1, 2, 3].flatMap((n) => [`${low}${n}`, `${high}${n}`]))
  expect(await said({ limit: 3 })).toEqual([`${high}2`, `${low}3`, `${high}3`])
  expect(await said({ device: bob.did, limit: 2 })).toEqual(['fox2', 'fox3'])
  expect(await said({ task: 'task-2' })).toEqual([`${low}2`, `${high}2`])
  expect(await said({ action: 'exec.', device: alice.did })).toHaveLength(4)
  expect(await said({ action: 'exec' })).toEqual([])
  expect(await said({ actor: bob.did })).toEqual([])
  expect(await said({ limit: 0 })).toEqual([])
  const t0 = 1_700_000_000_000
  for (const limit of [{}, { limit: 10 }]) {
    expect(await said({ ...limit, device: alice.did, since: t0 + 2_000, until: t0 + 4_000 })).toEqual(['otter1', 'otter2'])
  }
})

test('a query that is left early closes what it opened and a log that grows meanwhile is no problem', async () => {
  const device = await filled([40, 40])
  const seen: string[] = []
  for await (const found of query({ store: device.store.logs, mesh: MESH })) {
    seen.push(found.t)
    if (seen.length === 3) await device.log.append({ actor: alice.did, action: 'exec.end', result: 'ok' })
  }
  expect(new Set(seen)).toEqual(new Set(['record']))
  expect(seen.length).toBeGreaterThanOrEqual(80)
})
