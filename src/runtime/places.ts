/**
 * The places of this device: so many commands at once, and a queue with numbers behind them. Callers take turns, so that one of them cannot
 * starve the others, however much it asks for; each may have only so many at once and waiting. Decides nothing about rights.
 */
import type { Clock } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'
import { Turns } from './turns.ts'

export interface PlaceBounds {
  readonly atOnce: number
  readonly queueSize: number
  /** How long somebody may stand in the queue. */
  readonly queueTimeoutMs: number
}

export interface PlacesOn {
  readonly clock: Clock
  readonly bounds: PlaceBounds
  /** What one caller may have of it; asked at each request, so that a change counts at once. Absent: all of it. */
  readonly boundsOf?: (caller: string) => Partial<PlaceBounds>
}

interface Waiting {
  place: number
  readonly moved: (place: number) => void
  readonly go: () => void
}

/** Gives a place back; once. */
export type Leave = () => void

const LEAST_RETRY_MS = 1_000
const MOST_RETRY_MS = 60_000
/** How much the newest departure says about how soon the next place is free. */
const PACE_WEIGHT = 0.2

export class Places {
  #taken = 0
  #isFrozen = false
  readonly #held = new Map<string, number>()
  readonly #queue = new Turns<Waiting>()
  #lastLeftAt: number | undefined
  #paceMs = LEAST_RETRY_MS

  constructor(private readonly on: PlacesOn) {}

  get free(): number {
    return Math.max(0, this.on.bounds.atOnce - this.#taken - this.#queue.size)
  }

  get waiting(): number {
    return this.#queue.size
  }

  /** The place in the queue that a request of this caller would get now. */
  placeFor(caller: string): number {
    return this.#queue.placeFor(caller)
  }

  /** What would become of a request of this caller that came now. */
  outlook(caller = ''): { readonly ok: boolean; readonly detail: string; readonly hint?: string } {
    const { atOnce, queueSize } = this.on.bounds
    if (this.#isFrozen) return { ok: false, detail: 'this device is stopping and takes no new work', hint: 'try again when it is up' }
    const own = this.#boundsOf(caller)
    const isFull = !this.#mayHave(caller)
    if (this.free > 0 && !isFull) return { ok: true, detail: `${this.free} of ${atOnce} places are free` }
    const taken = isFull ? `you have all ${own.atOnce} places that one caller gets` : `all ${atOnce} places are taken`
    if (this.#queue.size < queueSize && this.#queue.sizeOf(caller) < own.queueSize)
      return { ok: true, detail: `${taken}; it would wait at place ${this.placeFor(caller)}` }
    return { ok: false, detail: `${taken}, and ${this.#queue.size} wait`, hint: `try again in ${sayAbout(this.#retryAfterMs())}` }
  }

  /** From now on nobody gets a place; who waits goes on waiting. */
  freeze(): void {
    this.#isFrozen = true
  }

  /** A place for a command that runs already, whether or not there is one. */
  seize(caller = ''): Leave {
    return this.#sit(caller)
  }

  /** A place at once, or undefined. */
  tryTake(caller = ''): Leave | undefined {
    if (!this.#hasRoom() || !this.#mayHave(caller) || this.#queue.sizeOf(caller) > 0) return undefined
    return this.#sit(caller)
  }

  /** Bounds of callers have changed: who waits may have become entitled. */
  revisit(): void {
    this.#seat()
    this.#tell()
  }

  /**
   * Waits for a place, callers in turn and each caller's requests in their order; one that is free is taken at once.
   * @param moved told whenever the place in the queue changes, from 1.
   * @throws TOO_BUSY when the queue is full or the wait too long, with `retryAfterMs`, and what the signal says.
   */
  async take({ caller = '', moved, signal }: { caller?: string; moved: (place: number) => void; signal: AbortSignal }): Promise<Leave> {
    signal.throwIfAborted()
    const free = this.tryTake(caller)
    if (free !== undefined) return free
    this.#refuseFull(caller)
    const { queueTimeoutMs } = this.#boundsOf(caller)
    return await new Promise((resolve, reject) => {
      const stop = (why: unknown): void => {
        this.#queue.remove(caller, waiting)
        this.#tell()
        done()
        reject(why)
      }
      const cancel = this.on.clock.after(queueTimeoutMs, () => stop(this.#busy(`no place became free within ${Math.round(queueTimeoutMs / 1_000)} s`)))
      const aborted = (): void => stop(signal.reason)
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', aborted)
      }
      const go = (): void => {
        done()
        resolve(this.#sit(caller))
      }
      const waiting: Waiting = { place: 0, moved, go }
      this.#queue.add(caller, waiting)
      signal.addEventListener('abort', aborted, { once: true })
      this.#tell()
    })
  }

  #refuseFull(caller: string): void {
    const { atOnce, queueSize } = this.on.bounds
    const own = this.#boundsOf(caller)
    const waits = this.#queue.sizeOf(caller)
    if (this.#queue.size >= queueSize) throw this.#busy(`all ${atOnce} places of this device are taken, and ${this.#queue.size} wait`)
    if (waits < own.queueSize) return
    throw this.#busy(`${this.#held.get(caller) ?? 0} of your commands run on this device and ${waits} wait; it takes no more of yours`)
  }

  #busy(message: string): ErrandError {
    const retryAfterMs = this.#retryAfterMs()
    return new ErrandError('TOO_BUSY', message, { retryable: true, hint: `try again in ${sayAbout(retryAfterMs)}`, fields: { retryAfterMs } })
  }

  /** About when the next place becomes free, by those that did. */
  #retryAfterMs(): number {
    return Math.round(Math.min(MOST_RETRY_MS, Math.max(LEAST_RETRY_MS, this.#paceMs)))
  }

  #boundsOf(caller: string): PlaceBounds {
    return { ...this.on.bounds, ...this.on.boundsOf?.(caller) }
  }

  #hasRoom(): boolean {
    return !this.#isFrozen && this.#taken < this.on.bounds.atOnce
  }

  #mayHave(caller: string): boolean {
    return (this.#held.get(caller) ?? 0) < this.#boundsOf(caller).atOnce
  }

  #sit(caller: string): Leave {
    this.#taken++
    this.#held.set(caller, (this.#held.get(caller) ?? 0) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#left(caller)
      this.#seat()
      this.#tell()
    }
  }

  #left(caller: string): void {
    const [now, rest] = [this.on.clock.monotonic(), (this.#held.get(caller) ?? 1) - 1]
    if (this.#lastLeftAt !== undefined) this.#paceMs += PACE_WEIGHT * (now - this.#lastLeftAt - this.#paceMs)
    this.#lastLeftAt = now
    this.#taken--
    if (rest > 0) this.#held.set(caller, rest)
    else this.#held.delete(caller)
  }

  #seat(): void {
    while (this.#hasRoom()) {
      const next = this.#queue.next((caller) => this.#mayHave(caller))
      if (next === undefined) return
      next.go()
    }
  }

  #tell(): void {
    let place = 0
    for (const waiting of this.#queue.inOrder()) {
      place++
      if (waiting.place === place) continue
      waiting.place = place
      waiting.moved(place)
    }
  }
}
