/** When a device's clock may judge expiries: never after it ran backwards, never against most members. */
import { expect, test } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import type { Asked } from '../../../src/runtime/checks.ts'
import { ClockCheck, ClockWatch, type FloorFile } from '../../../src/runtime/clock-watch.ts'
import { device, keyOf, laptop } from './door-world.ts'

const [a, b, c] = [keyOf(11).did, keyOf(12).did, keyOf(13).did]
const START = 1_800_000_000_000
const DAY = 86_400_000

/** A clock that somebody can set, over durations that nobody can. */
class SettableClock implements Clock {
  wall = START
  mono = 0

  now(): number {
    return this.wall
  }

  monotonic(): number {
    return this.mono
  }

  after(): () => void {
    return () => undefined
  }

  passes(ms: number): void {
    this.wall += ms
    this.mono += ms
  }
}

function file(): FloorFile & { ms: number | undefined } {
  const kept: FloorFile & { ms: number | undefined } = {
    ms: undefined,
    name: 'clock.floor',
    load: () => kept.ms,
    save: (ms) => {
      kept.ms = ms
    },
  }
  return kept
}

function open(kept = file(), clock = new SettableClock()): { clock: SettableClock; watch: ClockWatch; kept: ReturnType<typeof file> } {
  return { clock, kept, watch: new ClockWatch({ clock, file: kept }) }
}

test('a clock that goes on is trusted; one that is set back is not, until it is where it would have been', () => {
  const { clock, watch } = open()
  expect(watch.problem()).toBeUndefined()
  clock.passes(DAY)
  expect(watch.problem()).toBeUndefined()
  clock.wall -= 3_600_000
  expect(watch.problem()).toMatch(/1h behind a time that it has shown before/)
  clock.passes(60_000)
  expect(watch.problem()).toMatch(/untrusted/)
  clock.wall += 3_600_000
  expect(watch.problem()).toBeUndefined()
})

test('a correction of seconds is forgiven', () => {
  const { clock, watch } = open()
  watch.problem()
  clock.wall -= 25_000
  expect(watch.problem()).toBeUndefined()
})

test('small steps backwards do not add up to a large one', () => {
  const { clock, watch } = open()
  watch.problem()
  for (let n = 0; n < 10; n++) {
    clock.wall -= 20_000
    watch.problem()
  }
  expect(watch.problem()).toMatch(/untrusted/)
})

test('setting it back while the node is down is noticed', () => {
  const before = open()
  before.watch.problem()
  before.clock.passes(DAY)
  before.watch.problem()
  const clock = new SettableClock()
  clock.wall = START
  expect(open(before.kept, clock).watch.problem()).toMatch(/1d behind/)
})

test('a file that holds nothing is no floor', () => {
  expect(open().watch.problem()).toBeUndefined()
})

test('most members outvote the clock, in both directions; one alone does not', () => {
  const { clock, watch } = open()
  watch.heard(a, START + DAY)
  expect(watch.problem()).toBeUndefined()
  watch.heard(b, START + DAY)
  expect(watch.problem()).toMatch(/1d behind most members \(2 of 2\)/)
  for (const did of [a, b]) watch.heard(did, START - DAY)
  expect(watch.problem()).toMatch(/1d ahead of most members/)
  for (const did of [a, b, c]) watch.heard(did, START)
  expect(watch.problem()).toBeUndefined()
  watch.heard(a, START + DAY)
  expect(watch.problem()).toBeUndefined()
  expect(clock.now()).toBe(START)
})

test('set back while members are known, it is contradicted by what they said', () => {
  const { clock, watch } = open()
  for (const did of [a, b, c]) watch.heard(did, START)
  clock.wall -= DAY
  expect(watch.problem()).toMatch(/behind most members/)
})

test('a machine that slept is not held against its clock', () => {
  const { clock, watch } = open()
  for (const did of [a, b, c]) watch.heard(did, START)
  clock.wall += DAY // and no duration has passed
  expect(watch.problem()).toBeUndefined()
})

test('members that agree show that it was the past that was wrong: a day in the future does not lock a device for ever', () => {
  const { clock, watch } = open()
  clock.wall += 100 * DAY
  watch.problem()
  clock.wall = START
  expect(watch.problem()).toMatch(/untrusted/)
  watch.heard(a, START)
  expect(watch.problem()).toMatch(/untrusted/)
  watch.heard(b, START)
  expect(watch.problem()).toBeUndefined()
})

test('an untrusted clock stops what ends by its expiry, not the device itself and not a right without end', () => {
  const check = new ClockCheck({ self: device.did, watch: { problem: () => 'the clock is untrusted' } })
  const asked = (caller: typeof laptop, expiresAt: number | null): Asked => ({
    ...{ caller: caller.did, command: '/exec/run', args: {}, task: '' },
    admission: { chain: [], expiresAt } as unknown as Asked['admission'],
  })
  expect(check.judge(asked(laptop, 1))).toMatchObject({ ok: false, code: 'CLOCK_UNTRUSTED' })
  expect(check.judge(asked(laptop, null))).toMatchObject({ ok: true })
  expect(check.judge(asked(device, 1))).toMatchObject({ ok: true })
})
