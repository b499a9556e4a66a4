/**
 * The only place that reads the machine's clock, timers and randomness.
 * Everything above takes these as arguments, so that a seeded simulation can own time.
 */
import { randomBytes } from 'node:crypto'

export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. */
  now(): number
  /** Monotonic milliseconds, for durations and leases. */
  monotonic(): number
  /** Runs `fn` once after `ms`; the returned function cancels it. A pending timer does not keep the process alive. */
  after(ms: number, fn: () => void): () => void
}

export type Random = (bytes: number) => Uint8Array

/** Node fires a timer beyond 2^31 ms at once; longer ones are cut into pieces. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    let timer: NodeJS.Timeout | undefined
    const arm = (left: number): void => {
      timer = setTimeout(() => (left > LONGEST_TIMER_MS ? arm(left - LONGEST_TIMER_MS) : fn()), Math.min(left, LONGEST_TIMER_MS))
      timer.unref()
    }
    arm(ms)
    return () => clearTimeout(timer)
  },
}

export const systemRandom: Random = (bytes) => new Uint8Array(randomBytes(bytes))

/** Runs `fn` every `ms`, the next run only after the last one ended. The returned function stops it. */
export function every(clock: Clock, ms: number, fn: () => void | Promise<void>): () => void {
  let stopped = false
  let cancel = (): void => {}
  const arm = (): void => {
    if (stopped) return
    cancel = clock.after(ms, () => {
      void Promise.resolve()
        .then(fn)
        .catch(() => undefined)
        .then(arm)
    })
  }
  arm()
  return () => {
    stopped = true
    cancel()
  }
}

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const done = (): void => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
