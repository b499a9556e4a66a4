/**
 * Whether this device's clock can be trusted with expiries: it has not run backwards, also not over a restart, and most members agree with it.
 * Where it cannot, nothing that ends by its expiry alone is begun for others. Commands that run end by durations and are not concerned.
 */
import { BINDING } from '../../protocols/authority/messages.ts'
import type { Clock } from '../base/clock.ts'
import { sayDuration } from '../base/duration.ts'
import type { Did } from '../identity/identity.ts'
import type { Asked, Check, Verdict } from './checks.ts'

/** What two clocks may differ, and what a hello may take on its way. */
const SKEW_MS = BINDING.skewSeconds * 1_000
/** What a member's clock said is forgotten after so long. */
const HEARD_MS = 24 * 3_600_000
const SAVE_EVERY_MS = 60_000
const MAX_VOICES = 512
/** So many members that agree with the clock show that it was its past that was wrong. */
const ENOUGH_TO_FORGET = 2

/** Where the highest time that was seen outlives the process. */
export interface FloorFile {
  /** Milliseconds since the epoch; undefined when there is none. */
  load(): number | undefined
  save(ms: number): void
  /** For words. */
  readonly name: string
}

interface Heard extends Mark {
  /** What our clock said then. */
  readonly ours: number
}

interface Mark {
  /** Wall time, and the monotonic time it belongs to. */
  readonly wall: number
  readonly at: number
}

export class ClockWatch {
  #floor: Mark
  #savedAt = Number.NEGATIVE_INFINITY
  readonly #heard = new Map<Did, Heard>()

  constructor(private readonly on: { readonly clock: Clock; readonly file: FloorFile }) {
    const { clock, file } = on
    this.#floor = { wall: file.load() ?? Number.NEGATIVE_INFINITY, at: clock.monotonic() }
  }

  /** A member said what time it is. */
  heard(did: Did, wall: number): void {
    this.#heard.delete(did)
    this.#heard.set(did, { wall, at: this.on.clock.monotonic(), ours: this.on.clock.now() })
    const [oldest] = this.#heard.keys()
    if (this.#heard.size > MAX_VOICES && oldest !== undefined) this.#heard.delete(oldest)
    this.problem()
  }

  /** What is wrong with the clock, in words; undefined while it is trusted. */
  problem(): string | undefined {
    const now = this.on.clock.now()
    const others = this.#others().map((wall) => wall - now)
    const against = others.filter((ms) => Math.abs(ms) > SKEW_MS)
    // This device's own clock has a vote: one member alone cannot talk it down.
    if (against.length * 2 > others.length + 1)
      return `the clock is untrusted: ${sayApart(median(against))} most members (${against.length} of ${others.length})`
    const behindMs = this.#reached(this.#floor) - now
    if (behindMs > SKEW_MS && others.length - against.length < ENOUGH_TO_FORGET)
      return `the clock is untrusted: it is ${sayDuration(behindMs)} behind a time that it has shown before (if that one was wrong: stop the node, and remove ${this.on.file.name})`
    this.#raise(now, behindMs)
    return undefined
  }

  #raise(now: number, behindMs: number): void {
    const { clock, file } = this.on
    const at = clock.monotonic()
    if (behindMs <= 0 || behindMs > SKEW_MS) this.#floor = { wall: now, at }
    if (at - this.#savedAt < SAVE_EVERY_MS) return
    this.#savedAt = at
    file.save(now)
  }

  #others(): number[] {
    const [at, now] = [this.on.clock.monotonic(), this.on.clock.now()]
    // Where the wall clock ran ahead of the durations the machine has slept, or was set: what was heard before cannot be compared with it any more.
    const isComparable = (mark: Heard): boolean => at - mark.at < HEARD_MS && now - mark.ours - (at - mark.at) <= SKEW_MS
    return [...this.#heard.values()].filter(isComparable).map((mark) => this.#reached(mark))
  }

  /** What it would be by now: durations are the one thing about time that nobody can set. */
  #reached({ wall, at }: Mark): number {
    return wall + this.on.clock.monotonic() - at
  }
}

export class ClockCheck implements Check {
  readonly step = 'clock'

  constructor(private readonly on: { readonly self: Did; readonly watch: Pick<ClockWatch, 'problem'> }) {}

  judge({ caller, admission }: Asked): Verdict {
    if (caller === this.on.self || admission.expiresAt === null) return { ok: true, detail: 'it does not end by the clock' }
    const problem = this.on.watch.problem()
    if (problem === undefined) return { ok: true, detail: 'the clock is trusted' }
    return {
      ok: false,
      code: 'CLOCK_UNTRUSTED',
      detail: problem,
      hint: 'set the clock of that device right; errand status there says when it is trusted again',
    }
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function sayApart(ms: number): string {
  return `it is ${sayDuration(Math.abs(ms))} ${ms > 0 ? 'behind' : 'ahead of'}`
}
