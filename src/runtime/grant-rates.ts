/**
 * How often a grant was used: one bucket for each link that bounds it, so that whoever hands it on shares what there is. In memory, on a clock that
 * cannot be set; a node that starts again counts anew. Asked like every check, counted when a request was let in, and not again when it starts.
 */
import { type Rate, rateIn, sayRate } from '../authority/rate.ts'
import { SESSION } from '../authority/session.ts'
import type { Delegation } from '../authority/token.ts'
import type { Clock } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import type { Asked, Check, Refused, Verdict } from './checks.ts'

/** Links in use at the same time. Full ones are forgotten; one that is not is never pushed out, or a flood would empty the others. */
const MAX_BUCKETS = 16_384
const BUSY_MS = 60_000

interface Bucket {
  readonly rate: Rate
  readonly tokens: number
  readonly at: number
}

interface Bound {
  readonly key: string
  readonly link: Delegation
  readonly rate: Rate
}

export class GrantRates implements Check {
  readonly step = 'rate' as const
  readonly #buckets = new Map<string, Bucket>()

  constructor(private readonly clock: Pick<Clock, 'monotonic'>) {}

  judge({ admission }: Pick<Asked, 'admission'>, when: 'admission' | 'start'): Verdict {
    const bounds = boundsOf(admission.chain)
    if (bounds.length === 0) return { ok: true, detail: 'the right may be used as often as you like' }
    if (when === 'start') return { ok: true, detail: 'it was counted when it came' }
    const left = bounds.map((bound) => `${Math.floor(this.#tokens(bound))} left of ${sayRate(bound.rate)}`).join(', ')
    return this.#refusal(bounds) ?? { ok: true, detail: left }
  }

  /** One use of it. @returns why not, and then nothing was counted. */
  take({ chain }: Pick<Asked['admission'], 'chain'>): Refused | undefined {
    const bounds = boundsOf(chain)
    const refused = this.#refusal(bounds)
    if (refused !== undefined) return refused
    for (const bound of bounds) this.#buckets.set(bound.key, { rate: bound.rate, tokens: this.#tokens(bound) - 1, at: this.clock.monotonic() })
    return undefined
  }

  #refusal(bounds: readonly Bound[]): Refused | undefined {
    const [worst] = bounds.map((bound) => ({ ...bound, waitMs: this.#waitMs(bound) })).sort((a, b) => b.waitMs - a.waitMs)
    if (worst === undefined || worst.waitMs === 0) return this.#refuseFull(bounds)
    const { rate, link, waitMs } = worst
    return {
      ...{ ok: false, code: 'RATE', detail: `the grant may be used ${sayRate(rate)}, and that is used up`, retryAfterMs: waitMs },
      hint: `try again in ${sayAbout(waitMs)}`,
      fields: { rate: sayRate(rate), grant: link.cid },
    }
  }

  #refuseFull(bounds: readonly Bound[]): Refused | undefined {
    if (bounds.every(({ key }) => this.#buckets.has(key)) || this.#buckets.size + bounds.length <= MAX_BUCKETS) return undefined
    for (const [key, bucket] of this.#buckets) if (this.#now(bucket) >= bucket.rate.count) this.#buckets.delete(key)
    if (this.#buckets.size + bounds.length <= MAX_BUCKETS) return undefined
    return { ok: false, code: 'RATE', detail: 'this device counts no more grants for now', hint: 'try again in a minute', retryAfterMs: BUSY_MS }
  }

  #waitMs(bound: Bound): number {
    const lacking = 1 - this.#tokens(bound)
    return lacking <= 0 ? 0 : Math.ceil((lacking * bound.rate.seconds * 1_000) / bound.rate.count)
  }

  #tokens({ key, rate }: Bound): number {
    const held = this.#buckets.get(key)
    return held === undefined ? rate.count : this.#now(held)
  }

  #now({ rate, tokens, at }: Bucket): number {
    return Math.min(rate.count, tokens + ((this.clock.monotonic() - at) * rate.count) / (rate.seconds * 1_000))
  }
}

function boundsOf(chain: readonly Delegation[]): Bound[] {
  return chain.flatMap((link) => {
    const rate = rateIn(link.meta)
    return rate === undefined ? [] : [{ key: keyOf(link), link, rate }]
  })
}

/** A session renews its links: what it is given stays one and the same. */
function keyOf({ cid, iss, cmd, pol, meta }: Delegation): string {
  const session = meta?.[SESSION]
  return typeof session === 'string' ? JSON.stringify([session, iss, cmd, pol]) : cid
}
