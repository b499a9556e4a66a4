/** Rights that others ask this device for: who hears of them, how many there may be, and that asking gives nothing. */
import { expect, test } from 'vitest'
import type { RightAsked } from '../../../protocols/approval/messages.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { RightsAskedHere } from '../../../src/runtime/rights-asked.ts'
import { Store } from '../../../src/store/level.ts'
import { HandClock } from '../base/hand-clock.ts'
import { MemoryDisk } from '../store/disks.ts'
import { device, keyOf, laptop, mallory } from './door-world.ts'

const caller = (by: Identity) => ({ did: by.did, challenge: new Uint8Array(16), address: 'a', synced: Promise.resolve() })
const asked = (n: number, more: Partial<RightAsked> = {}): RightAsked => {
  const id = new Uint8Array(16)
  id[0] = n
  return { id, device: device.did, can: ['exec: make'], reason: 'to build', forMs: 3_600_000, createdAt: 1, ...more }
}

async function world(disk = new MemoryDisk()) {
  const clock = new HandClock()
  const facts: Fact[] = []
  const store = await Store.on(disk, 'memory')
  const audit = { append: (fact: Fact) => Promise.resolve(facts.push(fact)) }
  const refuseUngrantable = (_: unknown, can: readonly string[]): void => {
    if (can.includes('everything')) throw new ErrandError('CANNOT_GRANT', 'this device cannot grant that')
  }
  const here = new RightsAskedHere({ shelf: store.shelf('rights-asked'), audit, clock, refuseUngrantable, mayAskAbout: (did) => did === device.did })
  await here.load()
  return { here, clock, facts, disk }
}

test('it waits until somebody decides, and only who asked is told what', async () => {
  const { here, facts } = await world()
  expect(await here.take(asked(1), caller(laptop))).toMatchObject({ state: 'waiting', grants: [] })
  expect(await here.take(asked(1), caller(laptop))).toMatchObject({ state: 'waiting' })
  expect(here.waiting()).toHaveLength(1)
  expect(() => here.state(asked(1).id, mallory.did)).toThrowError(expect.objectContaining({ code: 'NO_SUCH_REQUEST' }))
  await expect(here.withdraw(asked(1).id, mallory.did)).rejects.toMatchObject({ code: 'NO_SUCH_REQUEST' })
  await expect(here.take(asked(1), caller(mallory))).rejects.toMatchObject({ code: 'NO_SUCH_REQUEST' })
  const [one] = here.waiting()
  if (one === undefined) throw new Error('nothing waits')
  await here.decide(one, { by: device.did, reason: 'never' })
  expect(here.state(asked(1).id, laptop.did)).toMatchObject({ state: 'denied', reason: 'never' })
  await expect(here.decide(one, { by: device.did, grants: ['bafy'] })).rejects.toMatchObject({ code: 'NO_SUCH_REQUEST' })
  expect(facts.map(({ action }) => action)).toEqual(['approval.request', 'approval.deny'])
})

test.each([
  ['what is no right', { can: ['rm -rf'] }, 'BAD_RIGHT'],
  ['what this device could not grant', { can: ['everything'] }, 'CANNOT_GRANT'],
  ['a device that is none', { device: mallory.did }, 'UNKNOWN_DEVICE'],
])('refused at once: %s', async (_name, more, code) => {
  const { here, facts } = await world()
  await expect(here.take(asked(1, more), caller(laptop))).rejects.toMatchObject({ code })
  expect(facts).toEqual([])
})

test('a flood of one device stops at its share, and the others are heard', async () => {
  const { here, facts } = await world()
  const seen = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => here.take(asked(n), caller(mallory))))
  expect(seen.filter(({ status }) => status === 'fulfilled')).toHaveLength(8)
  expect(here.waiting()).toHaveLength(8)
  expect(await here.take(asked(200), caller(keyOf(9)))).toMatchObject({ state: 'waiting' })
  expect(facts).toHaveLength(9)
})

test('it is there after a restart, and gone after its day', async () => {
  const { here, disk } = await world()
  await here.take(asked(1), caller(laptop))
  const next = await world(disk)
  expect(next.here.waiting()).toHaveLength(1)
  next.clock.advance(86_400_001)
  expect(next.here.waiting()).toEqual([])
  expect(next.here.state(asked(1).id, laptop.did)).toMatchObject({ state: 'expired' })
})
