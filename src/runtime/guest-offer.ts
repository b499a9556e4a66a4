/** What a guest is given: rights on named devices, that end, and that go no further. */
import type { Offer } from '../../protocols/join/messages.ts'
import { LAST_LINK } from '../authority/chain.ts'
import { SIGNED_META } from '../authority/freshness.ts'
import { parsePolicy } from '../authority/policy.ts'
import { type Delegation, signDelegation } from '../authority/token.ts'
import type { Random } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import { type GrantorOn, grantorFor } from './grantor.ts'
import { NONCE_BYTES } from './keyring.ts'
import { rightFields } from './offers.ts'

/** When the guest that comes with this offer is one no more, milliseconds since the epoch: with the last of its rights. */
export function guestUntil({ asks, gives }: Offer): number {
  return Math.max(...[...asks, ...gives].map(({ exp }) => exp)) * 1_000
}

/** @throws CANNOT_GRANT where this device could not give what the offer says. */
export function refuseUngivable(offer: Offer, on: GrantorOn): void {
  for (const { device } of offer.on ?? []) {
    for (const { cmd, pol, rate, limits, exp } of offer.gives)
      grantorFor(on, { subject: device as Did, command: cmd, policy: parsePolicy(pol), rate, limits, exp })
  }
}

/** One link for each right on each device; none of them may be passed on. */
export function guestGifts(offer: Offer, to: Did, on: GrantorOn & { readonly random: Random }): readonly Delegation[] {
  return (offer.on ?? []).flatMap(({ device }) =>
    offer.gives.map((right) => {
      const { cmd, pol, exp, meta } = rightFields(right)
      const signer = grantorFor(on, { subject: device as Did, command: cmd, policy: pol, rate: right.rate, limits: right.limits, exp: right.exp })
      const marks = { ...meta, [SIGNED_META]: on.keyring.nowSeconds(), [LAST_LINK]: true }
      return signDelegation(signer, { aud: to, sub: device as Did, cmd, pol, exp, nonce: on.random(NONCE_BYTES), meta: marks })
    }),
  )
}

/** A name that says nothing and is free, so that a guest cannot ask which names are taken. */
export function guestName(did: Did): string {
  return `guest-${did.slice(-6).toLowerCase()}`
}
