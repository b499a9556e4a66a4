/** A fan-out as a whole, whatever order its commands end in. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fan, type FanOf, type Settled, sayCounts } from '../../../src/tasks/fan.ts'

const OK: Settled = { result: 'ok', exitCode: 0 }
const ends = fc.constantFrom<Settled>(
  OK,
  { result: 'failed', exitCode: 3 },
  { result: 'denied', exitCode: 126 },
  { result: 'unreachable', exitCode: 125 },
  { result: 'cancelled', exitCode: 143 },
)
const ofs = fc.record({ count: fc.integer({ min: 1, max: 40 }), atOnce: fc.integer({ min: 1, max: 12 }), failFast: fc.boolean() })

interface Played {
  readonly fan: Fan
  readonly started: readonly number[]
  readonly mostAtOnce: number
  readonly toEnd: readonly number[]
}

/** Ends one of those that run, whichever `pick` says, until nothing runs. */
function play(of: FanOf, ended: readonly Settled[], picks: readonly number[]): Played {
  const fan = new Fan(of)
  const running = new Set<number>(fan.start())
  const started = [...running]
  const toEnd: number[] = []
  let mostAtOnce = running.size
  for (let n = 0; running.size > 0; n++) {
    const index = [...running][(picks[n % picks.length] ?? 0) % running.size] ?? 0
    running.delete(index)
    toEnd.push(...fan.settled(index, ended[index % ended.length] ?? OK))
    for (const begun of fan.start()) {
      running.add(begun)
      started.push(begun)
    }
    mostAtOnce = Math.max(mostAtOnce, running.size)
  }
  return { fan, started, mostAtOnce, toEnd }
}

test('whatever ends when: each starts once at most, never more at once than may, and all are accounted for', async () => {
  await fc.assert(
    fc.property(ofs, fc.array(ends, { minLength: 1 }), fc.array(fc.nat(), { minLength: 1 }), (of, ended, picks) => {
      const { fan, started, mostAtOnce } = play(of, ended, picks)
      expect(new Set(started).size).toBe(started.length)
      expect(mostAtOnce).toBeLessThanOrEqual(of.atOnce)
      expect(fan.isOver).toBe(true)
      expect(Object.values(fan.counts).reduce((sum, count) => sum + count, 0)).toBe(of.count)
      if (!of.failFast) expect(started).toHaveLength(of.count)
    }),
  )
})

test('the exit code is 0 only if all are, else the highest of those that were not ended for another one’s sake', async () => {
  await fc.assert(
    fc.property(ofs, fc.array(ends, { minLength: 1 }), fc.array(fc.nat(), { minLength: 1 }), (of, ended, picks) => {
      const { fan } = play(of, ended, picks)
      const all = Array.from({ length: of.count }, (_, index) => fan.endOf(index))
      expect(fan.exitCode === 0).toBe(all.every((end) => end?.result === 'ok') || onlyCancelled(of, all))
      if (!of.failFast) expect(fan.exitCode).toBe(Math.max(...all.map((end) => end?.exitCode ?? 0)))
    }),
  )
})

/** The first that did not end well was itself ended by somebody, and everything else was ended because of it. */
function onlyCancelled({ failFast }: FanOf, all: readonly (Settled | undefined)[]): boolean {
  return failFast && all.every((end) => end !== undefined && ['ok', 'cancelled', 'not-started'].includes(end.result))
}

test('fail-fast: the first that does not end well ends those that run, and nothing starts after it', () => {
  const fan = new Fan({ count: 6, atOnce: 3, failFast: true })
  expect(fan.start()).toEqual([0, 1, 2])
  expect(fan.settled(1, OK)).toEqual([])
  expect(fan.start()).toEqual([3])
  expect(fan.settled(2, { result: 'failed', exitCode: 7 })).toEqual([0, 3])
  expect(fan.start()).toEqual([])
  expect(fan.isOver).toBe(false)
  expect(fan.settled(0, { result: 'cancelled', exitCode: 143 })).toEqual([])
  expect(fan.settled(3, OK)).toEqual([]) // it was quicker
  expect([fan.isOver, fan.exitCode, fan.stopped]).toEqual([true, 7, 'fail-fast'])
  expect(sayCounts(fan.counts)).toBe('1 cancelled, 2 ok, 1 failed, 2 not started')
})

test('a fan-out that is cancelled ends what runs, starts nothing more, and is interrupted whatever ended before', () => {
  const fan = new Fan({ count: 3, atOnce: 1, failFast: false })
  fan.start()
  fan.settled(0, { result: 'failed', exitCode: 200 })
  fan.start()
  expect(fan.stop('cancelled')).toEqual([1])
  expect(fan.stop('cancelled')).toEqual([])
  fan.settled(1, { result: 'cancelled', exitCode: 143 })
  expect([fan.isOver, fan.stopped, fan.exitCode]).toEqual([true, 'cancelled', 130])
})

test('a wish to cancel that comes when all is over changes nothing', () => {
  const fan = new Fan({ count: 1, atOnce: 1, failFast: false })
  fan.start()
  fan.settled(0, OK)
  expect(fan.stop('cancelled')).toEqual([])
  expect([fan.stopped, fan.exitCode]).toEqual([null, 0])
})
