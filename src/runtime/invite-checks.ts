/** What an invite holds a joiner to, and the words of every no, in the log within bounds. */

import type { Offer, OfferedRight } from '../../protocols/join/messages.ts'
import { encode, sameBytes } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { approvalsIn } from '../authority/approval.ts'
import { limitsOf, narrowest } from '../authority/limits.ts'
import { rateIn } from '../authority/rate.ts'
import type { Delegation } from '../authority/token.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { DenialMeter } from './denial.ts'

/** Exactly what was asked, no more and no less: more would be power that nobody agreed to hold. */
export function giftsFit(links: readonly Delegation[], offer: Offer, from: Did): boolean {
  const wanted: OfferedRight[] = offer.mine ? [{ cmd: '/', pol: [], exp: 0 }] : offer.asks
  const fits = (link: Delegation, right: OfferedRight): boolean =>
    link.iss === from &&
    link.sub === from &&
    link.aud === offer.owner &&
    link.cmd === right.cmd &&
    sameBytes(encode(link.pol), encode(right.pol)) &&
    approvalsIn(link.meta) === (right.approvals ?? 0) &&
    JSON.stringify(rateIn(link.meta) ?? null) === JSON.stringify(right.rate ?? null) &&
    JSON.stringify(limitsOf([link])) === JSON.stringify(narrowest([right.limits])) &&
    (offer.mine ? link.exp === null : link.exp === right.exp)
  return links.length === wanted.length && wanted.every((right, i) => links[i] !== undefined && fits(links[i], right))
}

export class JoinRefusals {
  readonly #denials: DenialMeter

  constructor(private readonly on: { readonly audit: { append(fact: Fact): Promise<unknown> }; readonly clock: Clock }) {
    this.#denials = new DenialMeter(on.clock)
  }

  /** Anybody can knock: what strangers can make us write is bounded, whatever number of keys they invent. */
  async say(code: string, message: string, from: { readonly did: Did; readonly address: string }): Promise<ErrandError> {
    const more = this.#denials.take('join')
    if (more !== undefined) {
      const reason = more === 0 ? message : `${message} (and ${more} more refusals before)`
      const { did, address } = from
      await this.on.audit.append({ actor: did, action: 'device.join-denied', result: 'denied', subject: did, details: { reason, from: address } })
    }
    return new ErrandError(code, message, { hint: HINT })
  }
}

const HINT = 'ask for a new code: errand invite'
