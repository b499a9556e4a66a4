/** Small worlds for the audit tests: real identities, real store code over a disk in memory. */
import * as fc from 'fast-check'
import type { Fact } from '../../../src/audit/facts.ts'
import { AuditLog } from '../../../src/audit/log.ts'
import { type AuditQuery, type Found, query } from '../../../src/audit/query.ts'
import { Replica } from '../../../src/audit/replica.ts'
import type { Clock } from '../../../src/base/clock.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { Store } from '../../../src/store/level.ts'
import { MemoryDisk } from '../store/disks.ts'

export const MESH = new Uint8Array(32).fill(9)
export const identityOf = (seed: number): Identity => new Identity(new Uint8Array(32).fill(seed))
export const [alice, bob, mallory] = [identityOf(1), identityOf(2), identityOf(3)] as const

/** A clock that a test moves by hand. */
export function handClock(start = 1_700_000_000_000): Clock & { advance(ms: number): void } {
  let now = start
  return {
    now: () => now,
    monotonic: () => now - start,
    after: () => () => undefined,
    advance: (ms) => {
      now += ms
    },
  }
}

export interface Device {
  readonly identity: Identity
  readonly disk: MemoryDisk
  readonly store: Store
  readonly log: AuditLog
  readonly replica: Replica
  readonly clock: ReturnType<typeof handClock>
}

export async function deviceOn(identity: Identity, disk = new MemoryDisk(), clock = handClock()): Promise<Device> {
  const store = await Store.on(disk, 'memory')
  const log = await AuditLog.open({ store: store.logs, identity, mesh: MESH, clock })
  const replica = await Replica.open({ store: store.logs, shelf: store.shelf('audit'), mesh: MESH, own: log })
  return { identity, disk, store, log, replica, clock }
}

export const fact = (over: Partial<Fact> = {}): Fact => ({ actor: alice.did, action: 'exec.start', result: 'allowed', ...over })

/** Appends `sizes[i]` facts at once for each i: each becomes one commit group (of at most 64). */
export async function fill(device: Device, sizes: readonly number[]): Promise<void> {
  let i = 0
  for (const size of sizes) {
    device.clock.advance(1_000)
    await Promise.all(
      Array.from({ length: size }, () => device.log.append(fact({ task: `task-${i++}`, details: { command: ['make', 'test'], exitCode: i % 3 } }))),
    )
  }
}

/** Pulls everything `to` wants from `from`. */
export async function pullAll(to: Device, from: Device): Promise<void> {
  for (const bytes of from.replica.heads()) await to.replica.offerHead(bytes, from.identity.did)
  for (let round = 0; round < 1_000; round++) {
    const [want] = to.replica.wants()
    if (want === undefined) return
    const page = await from.replica.page(want.log, want.from, 512)
    if (page === undefined) return
    const accepted = await to.replica.accept(want.log, page)
    if (accepted.t === 'refused') throw new Error(accepted.why)
  }
}

export const ask = async (device: Device, q: AuditQuery = {}): Promise<Found[]> => {
  const found: Found[] = []
  for await (const one of query({ store: device.store.logs, mesh: MESH }, q)) found.push(one)
  return found
}

export const groups = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })
export const entryKey = (did: string, n: number): string => `a/e/${did}/${n.toString(16).padStart(14, '0')}`
