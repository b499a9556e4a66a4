/**
 * How many refusals this device bears of one peer: a bucket each, on a clock that cannot be set. Bookkeeping only; what follows from it
 * is the brake's business (brake.ts). Who has not been refused lately has no entry here.
 */
import type { Clock } from '../base/clock.ts'

/** More than people and their scripts come to by mistake; less than a device notices. */
const REFUSALS_AT_ONCE = 50
const REFUSALS_PER_SECOND = 10
/** What is beyond it is forgiven: who stops is heard again within half a minute. */
const MAX_REFUSALS_OWED = 300
/** Members only, so there are no more for long. */
const MAX_PATIENCES = 4_096
const A_SECOND_MS = 1_000

export class Patience {
  /** What each used up of it, the one charged last at the end. */
  readonly #used = new Map<string, { readonly used: number; readonly at: number }>()

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.#used.size
  }

  /** @param cost in refusals; a fraction of one for what costs less. @returns what is left; below 1 it is used up. */
  spend(peer: string, cost: number): number {
    const used = Math.min(REFUSALS_AT_ONCE + MAX_REFUSALS_OWED, this.#usedBy(peer) + cost)
    this.#used.delete(peer)
    this.#used.set(peer, { used, at: this.clock.monotonic() })
    if (this.#used.size > MAX_PATIENCES) this.#forget()
    return REFUSALS_AT_ONCE - used
  }

  left(peer: string): number {
    return REFUSALS_AT_ONCE - this.#usedBy(peer)
  }

  /** Until so much of it is there again. 0: it is there now. */
  waitMs(peer: string, wanted = 1): number {
    return Math.max(0, Math.ceil(((wanted - this.left(peer)) * A_SECOND_MS) / REFUSALS_PER_SECOND))
  }

  #usedBy(peer: string): number {
    const held = this.#used.get(peer)
    if (held === undefined) return 0
    return Math.max(0, held.used - ((this.clock.monotonic() - held.at) * REFUSALS_PER_SECOND) / A_SECOND_MS)
  }

  /** Whoever owes nothing any more; if nobody, then whoever was refused the longest ago. */
  #forget(): void {
    for (const peer of this.#used.keys()) if (this.#usedBy(peer) === 0) this.#used.delete(peer)
    if (this.#used.size > MAX_PATIENCES) for (const oldest of [...this.#used.keys()].slice(0, 1)) this.#used.delete(oldest)
  }
}
