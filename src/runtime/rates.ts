/**
 * How many requests a minute each caller may make: one bucket a caller, on a clock that cannot be set. Asked before the kernel, so that a flood
 * costs its sender a refusal and this device next to nothing. This device itself is not counted: whoever may ask for it has the machine anyway.
 */
import type { Clock } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'

const MINUTE_MS = 60_000
/** Callers are members of the mesh, so there are no more for long. */
const MAX_CALLERS = 4_096

interface Bucket {
  tokens: number
  at: number
}

export class RateGate {
  readonly #buckets = new Map<string, Bucket>()

  constructor(private readonly on: { readonly clock: Clock; readonly self: string; readonly perMinute: () => number }) {}

  /** @throws TOO_BUSY with `retryAfterMs`; the refused request costs its caller nothing. */
  take(caller: string): void {
    if (caller === this.on.self) return
    const perMinute = this.on.perMinute()
    const bucket = this.#bucketOf(caller, perMinute)
    if (bucket.tokens >= 1) {
      bucket.tokens--
      return
    }
    const retryAfterMs = Math.ceil(((1 - bucket.tokens) * MINUTE_MS) / perMinute)
    throw new ErrandError('TOO_BUSY', `this device takes ${perMinute} requests a minute of one caller, and you have made more`, {
      ...{ retryable: true, hint: `try again in ${sayAbout(retryAfterMs)}` },
      fields: { reason: 'RATE', retryAfterMs, requestsPerMinute: perMinute },
    })
  }

  #bucketOf(caller: string, perMinute: number): Bucket {
    const now = this.on.clock.monotonic()
    const held = this.#buckets.get(caller)
    const tokens = held === undefined ? perMinute : Math.min(perMinute, held.tokens + ((now - held.at) * perMinute) / MINUTE_MS)
    const bucket = { tokens, at: now }
    this.#buckets.delete(caller)
    this.#buckets.set(caller, bucket) // the newest last
    if (this.#buckets.size > MAX_CALLERS) for (const oldest of [...this.#buckets.keys()].slice(0, 1)) this.#buckets.delete(oldest)
    return bucket
  }
}
