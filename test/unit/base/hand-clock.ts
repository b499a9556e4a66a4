/** A clock whose time and timers a test moves by hand. */
import type { Clock, Random } from '../../../src/base/clock.ts'

export class HandClock implements Clock {
  #elapsed = 0
  #timers: { at: number; fn: () => void }[] = []

  constructor(private readonly start = 1_800_000_000_000) {}

  now(): number {
    return this.start + this.#elapsed
  }

  monotonic(): number {
    return this.#elapsed
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#elapsed + ms, fn }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  get pending(): number {
    return this.#timers.length
  }

  /** Moves time on and runs what is due, in order. */
  advance(ms: number): void {
    const end = this.#elapsed + ms
    for (;;) {
      const [due] = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)
      if (due === undefined) break
      this.#elapsed = Math.max(this.#elapsed, due.at)
      this.#timers = this.#timers.filter((one) => one !== due)
      due.fn()
    }
    this.#elapsed = end
  }
}

/** Lets every promise that can settle now settle. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Bytes that never repeat, the same in every run. */
export function countingRandom(): Random {
  let n = 0
  return (length) => {
    n++
    return new Uint8Array(length).map((_, i) => (n * 31 + i * 7 + (n >> 8)) & 0xff)
  }
}
