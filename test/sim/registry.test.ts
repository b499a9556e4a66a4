import { expect, test } from 'vitest'
import { type Broken, RegistryWorld, type Verdict } from './registry-world.ts'

const SEEDS = 12

async function firstBreach(broken: Broken, breach: (verdict: Verdict) => boolean): Promise<number | undefined> {
  for (let seed = 1; seed <= SEEDS; seed++) if (breach(await new RegistryWorld(seed, broken).run())) return seed
  return undefined
}

test('through loss, lies, partitions and restarts: all devices hold the same records, the newest and none of them forged, and no acknowledged revocation is lost', async () => {
  let acknowledged = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const verdict = await new RegistryWorld(seed, {}).run()
    expect(verdict, `seed ${seed}`).toMatchObject({ apart: 0, stale: 0, forged: 0, lost: 0, revived: 0 })
    acknowledged += verdict.acknowledged
  }
  expect(acknowledged).toBeGreaterThan(SEEDS * 5)
})

test('the simulation catches a device that drops the removal of a device which it does not know yet', async () => {
  expect(await firstBreach({ dropsEarly: true }, ({ revived }) => revived > 0)).toBeDefined()
})

test('one seed is one history', async () => {
  expect(await new RegistryWorld(42, {}).run()).toEqual(await new RegistryWorld(42, {}).run())
})

test('the simulation catches a device that believes what it is sent', async () => {
  expect(await firstBreach({ believesAll: true }, ({ forged }) => forged > 0)).toBeDefined()
})

test('the simulation catches a device that acknowledges revocations it does not write', async () => {
  expect(await firstBreach({ forgets: true }, ({ lost }) => lost > 0)).toBeDefined()
})

test('the simulation catches a device that asks for one page only', async () => {
  expect(await firstBreach({ onePage: true }, ({ apart }) => apart > 0)).toBeDefined()
})

test('the simulation catches a device that keeps what came last', async () => {
  expect(await firstBreach({ lastWins: true }, ({ stale }) => stale > 0)).toBeDefined()
})
