/** The places of this device: so many commands at once, and a queue with numbers behind them. Decides nothing about rights. */
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'

export interface PlaceBounds {
  readonly atOnce: number
  readonly queueSize: number
  /** How long somebody may stand in the queue. */
  readonly queueTimeoutMs: number
}

interface Waiting {
  place: number
  readonly moved: (place: number) => void
  readonly go: () => void
}

/** Gives a place back; once. */
export type Leave = () => void

export class Places {
  #taken = 0
  #isFrozen = false
  readonly #queue: Waiting[] = []

  constructor(private readonly on: { readonly clock: Clock; readonly bounds: PlaceBounds }) {}

  get free(): number {
    return Math.max(0, this.on.bounds.atOnce - this.#taken - this.#queue.length)
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** What would become of somebody who came now. */
  outlook(): { readonly ok: boolean; readonly detail: string; readonly hint?: string } {
    const { atOnce, queueSize } = this.on.bounds
    if (this.#isFrozen) return { ok: false, detail: 'this device is stopping and takes no new work', hint: 'try again when it is up' }
    if (this.free > 0) return { ok: true, detail: `${this.free} of ${atOnce} places are free` }
    const waiting = this.#queue.length
    if (waiting < queueSize) return { ok: true, detail: `all ${atOnce} places are taken; it would wait at place ${waiting + 1}` }
    return { ok: false, detail: `all ${atOnce} places are taken, and ${waiting} wait`, hint: 'try again in a moment' }
  }

  /** From now on nobody gets a place; who waits goes on waiting. */
  freeze(): void {
    this.#isFrozen = true
  }

  /** A place for a command that runs already, whether or not there is one. */
  seize(): Leave {
    this.#taken++
    return this.#leave()
  }

  /** A place at once, or undefined. */
  tryTake(): Leave | undefined {
    if (this.#isFrozen || this.#taken >= this.on.bounds.atOnce || this.#queue.length > 0) return undefined
    this.#taken++
    return this.#leave()
  }

  /**
   * Waits for a place, first come first served; one that is free is taken at once.
   * @param moved told whenever the place in the queue changes, from 1.
   * @throws TOO_BUSY when the queue is full or the wait too long, and what the signal says.
   */
  async take({ moved, signal }: { moved: (place: number) => void; signal: AbortSignal }): Promise<Leave> {
    const { atOnce, queueSize, queueTimeoutMs } = this.on.bounds
    signal.throwIfAborted()
    const free = this.tryTake()
    if (free !== undefined) return free
    if (this.#queue.length >= queueSize) {
      throw new ErrandError('TOO_BUSY', `all ${atOnce} places of this device are taken, and ${this.#queue.length} wait`, {
        retryable: true,
        hint: 'try again in a moment',
      })
    }
    return await new Promise((resolve, reject) => {
      const stop = (why: unknown): void => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1)
        this.#tell()
        done()
        reject(why)
      }
      const late = new ErrandError('TOO_BUSY', `no place became free within ${Math.round(queueTimeoutMs / 1_000)} s`, { retryable: true })
      const cancel = this.on.clock.after(queueTimeoutMs, () => stop(late))
      const aborted = (): void => stop(signal.reason)
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', aborted)
      }
      const go = (): void => {
        done()
        this.#taken++
        resolve(this.#leave())
      }
      const waiting: Waiting = { place: 0, moved, go }
      this.#queue.push(waiting)
      signal.addEventListener('abort', aborted, { once: true })
      this.#tell()
    })
  }

  #leave(): Leave {
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#taken--
      if (!this.#isFrozen && this.#taken < this.on.bounds.atOnce) this.#queue.shift()?.go()
      this.#tell()
    }
  }

  #tell(): void {
    for (const [at, waiting] of this.#queue.entries()) {
      if (waiting.place === at + 1) continue
      waiting.place = at + 1
      waiting.moved(waiting.place)
    }
  }
}
