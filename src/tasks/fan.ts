/** One command on many devices as a whole: which of them starts next, which are to be ended, and what they come to. Pure: no clock, no tasks. */
import type { FanResult } from '../../protocols/local/fan-caps.ts'

export interface FanOf {
  readonly count: number
  /** How many may run at a time. */
  readonly atOnce: number
  /** The first that does not end well ends the rest. */
  readonly failFast: boolean
}

/** What came of one of them. */
export interface Settled {
  readonly result: FanResult
  /** null for what never began. */
  readonly exitCode: number | null
}

export type Stopped = 'fail-fast' | 'cancelled'

/** Of a fan-out that its caller ended. */
const INTERRUPTED = 130
const NOT_STARTED: Settled = { result: 'not-started', exitCode: null }

export class Fan {
  readonly #ends: (Settled | undefined)[]
  readonly #running = new Set<number>()
  #next = 0
  #stopped: Stopped | undefined

  constructor(private readonly of: FanOf) {
    this.#ends = Array.from({ length: of.count }, () => undefined)
  }

  /** Those that may start now. Each is told once, and counts as running from then on. */
  start(): number[] {
    const begun: number[] = []
    while (this.#stopped === undefined && this.#next < this.of.count && this.#running.size < this.of.atOnce) {
      this.#running.add(this.#next)
      begun.push(this.#next++)
    }
    return begun
  }

  /** @returns those that are to be ended because of it. */
  settled(index: number, end: Settled): number[] {
    if (this.#ends[index] !== undefined) return []
    this.#ends[index] = end
    this.#running.delete(index)
    return this.of.failFast && end.result !== 'ok' ? this.stop('fail-fast') : []
  }

  /** Starts nothing any more. @returns those that run, to be ended; nothing the second time. */
  stop(why: Stopped): number[] {
    if (this.#stopped !== undefined) return []
    this.#stopped = why
    for (; this.#next < this.of.count; this.#next++) this.#ends[this.#next] ??= NOT_STARTED
    return [...this.#running]
  }

  /** Why it was stopped; null while it was not, and where there was nothing left to stop. */
  get stopped(): Stopped | null {
    const cut = this.#ends.some((end) => end?.result === 'not-started' || end?.result === 'cancelled')
    return this.#stopped !== undefined && cut ? this.#stopped : null
  }

  get isOver(): boolean {
    return this.#ends.every((end) => end !== undefined)
  }

  endOf(index: number): Settled | undefined {
    return this.#ends[index]
  }

  /** 0 only if all are, else the highest of theirs. What was ended because another one failed says nothing of its own. */
  get exitCode(): number {
    if (this.stopped === 'cancelled') return INTERRUPTED
    const counted = this.#ends.filter((end) => end !== undefined).filter(({ result }) => this.#stopped === undefined || result !== 'cancelled')
    return Math.max(0, ...counted.map(({ exitCode }) => exitCode ?? 0))
  }

  get counts(): Partial<Record<FanResult, number>> {
    const counts: Partial<Record<FanResult, number>> = {}
    for (const end of this.#ends) if (end !== undefined) counts[end.result] = (counts[end.result] ?? 0) + 1
    return counts
  }
}

/** What they come to, in words: 3 ok, 1 failed. */
export function sayCounts(counts: Partial<Record<FanResult, number>>): string {
  return Object.entries(counts)
    .map(([result, count]) => `${count} ${result === 'not-started' ? 'not started' : result}`)
    .join(', ')
}
