import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { every, pause, systemClock } from '../../../src/base/clock.ts'
import { HandClock, settled } from './hand-clock.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const LONG_MS = 30 * 86_400_000 // more than 2^31 ms, which Node would fire at once

test('a timer of thirty days runs after thirty days, once', () => {
  const ran = vi.fn()
  systemClock.after(LONG_MS, ran)
  vi.advanceTimersByTime(LONG_MS - 1)
  expect(ran).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(ran).toHaveBeenCalledTimes(1)
  vi.advanceTimersByTime(LONG_MS * 3)
  expect(ran).toHaveBeenCalledTimes(1)
})

test('a cancelled timer never runs, in whichever of its pieces it is', () => {
  const ran = vi.fn()
  const [early, late] = [systemClock.after(LONG_MS, ran), systemClock.after(LONG_MS, ran)]
  early()
  vi.advanceTimersByTime(LONG_MS - 1_000)
  late()
  vi.advanceTimersByTime(LONG_MS)
  expect(ran).not.toHaveBeenCalled()
})

test('what is done again and again never overlaps itself, survives its own failures and stops when told', async () => {
  vi.useRealTimers()
  const clock = new HandClock()
  let runs = 0
  let finish = (): void => {}
  const stop = every(clock, 100, async () => {
    runs++
    if (runs === 1) await new Promise<void>((resolve) => (finish = resolve))
    throw new Error('one bad round')
  })
  clock.advance(1_000)
  await settled()
  expect(runs).toBe(1)
  finish()
  await settled()
  clock.advance(100)
  await settled()
  expect(runs).toBe(2)
  stop()
  clock.advance(1_000)
  await settled()
  expect([runs, clock.pending]).toEqual([2, 0])
})

test('a pause ends by time or by its signal, and leaves no timer behind', async () => {
  vi.useRealTimers()
  const clock = new HandClock()
  const abort = new AbortController()
  const [byTime, bySignal] = [pause(clock, 50), pause(clock, 1_000, abort.signal)]
  clock.advance(50)
  await byTime
  abort.abort()
  await bySignal
  await pause(clock, 1_000, abort.signal)
  expect(clock.pending).toBe(0)
})
