import { expect, test } from 'vitest'
import { type Broken, type Verdict, World } from './audit-world.ts'

const SEEDS = Number(process.env['ERRAND_SIM_SEEDS'] ?? 200)

/** The first seed whose history breaks a promise, and how. */
async function firstBreach(broken: Broken, breach: (verdict: Verdict) => boolean, seeds: number): Promise<number | undefined> {
  for (let seed = 1; seed <= seeds; seed++) if (breach(await new World(seed, broken).run())) return seed
  return undefined
}

test(`through loss, lies, partitions and power cuts nothing acknowledged is lost, nobody honest forks, and all converge (${SEEDS} seeds)`, async () => {
  let acknowledged = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const verdict = await new World(seed, {}).run()
    expect(verdict, `seed ${seed}`).toMatchObject({ lost: 0, forks: 0, unverified: 0, apart: 0 })
    acknowledged += verdict.acknowledged
  }
  expect(acknowledged).toBeGreaterThan(SEEDS * 20)
}, 120_000)

test('one seed is one history', async () => {
  expect(await new World(42, {}).run()).toEqual(await new World(42, {}).run())
})

test('the simulation catches a log that acknowledges before the sync', async () => {
  expect(await firstBreach({ acksBeforeSync: true }, (verdict) => verdict.lost > 0, 20)).toBeDefined()
})

test('the simulation catches a log that shows heads before the sync', async () => {
  expect(await firstBreach({ publishesUnsynced: true }, (verdict) => verdict.forks > 0, 40)).toBeDefined()
})

test('the simulation catches a replica that stores pages without checking them', async () => {
  expect(await firstBreach({ storesUnchecked: true }, (verdict) => verdict.unverified > 0, 20)).toBeDefined()
})

test('the simulation catches a replica that does not ask again', async () => {
  expect(await firstBreach({ asksOnce: true }, (verdict) => verdict.apart > 0, 20)).toBeDefined()
})
