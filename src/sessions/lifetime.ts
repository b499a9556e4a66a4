/** How long a session lives: to its end at the latest, and not beyond a while in which nobody used it. Pure: the time is an argument. */

export interface Bounds {
  /** Milliseconds since the epoch, all of them. */
  readonly openedAt: number
  readonly expiresAt: number
  readonly idleMs: number
}

export type Lapse = 'expired' | 'idle'

export class Lifetime {
  #usedAt: number
  /** Conversations that are open: as long as one is, somebody uses it. */
  #held = 0

  constructor(private readonly bounds: Bounds) {
    this.#usedAt = bounds.openedAt
  }

  get usedAt(): number {
    return this.#usedAt
  }

  use(now: number): void {
    this.#usedAt = Math.max(this.#usedAt, now)
  }

  /** In use until the returned function is called; what it is called with is the time. */
  hold(now: number): (now: number) => void {
    this.use(now)
    this.#held++
    let isHeld = true
    return (then) => {
      if (!isHeld) return
      isHeld = false
      this.#held--
      this.use(then)
    }
  }

  /** When it ends if nobody uses it from now on. */
  endsAt(now: number): number {
    const { expiresAt, idleMs } = this.bounds
    return Math.min(expiresAt, (this.#held > 0 ? Math.max(now, this.#usedAt) : this.#usedAt) + idleMs)
  }

  /** Why it is over; undefined while it lives. */
  lapse(now: number): Lapse | undefined {
    if (now >= this.bounds.expiresAt) return 'expired'
    return now >= this.endsAt(now) ? 'idle' : undefined
  }
}
