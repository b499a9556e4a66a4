/** What a device gets that joins: links for the rights that its invite offered. */
import type { Offer } from '../../protocols/join/messages.ts'
import { type Delegation, signDelegation } from '../authority/token.ts'
import type { Random } from '../base/clock.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { type Keyring, NONCE_BYTES } from './keyring.ts'
import { rightFields } from './offers.ts'

/** Gives roles to whoever joins. */
export interface RoleGiver {
  /** Everything that the links of the role's members hang on is there, until then at least; seconds. */
  ready(role: string, exp: number): Promise<void>
  linksFor(role: string, to: { readonly aud: Did; readonly exp: number }): readonly Delegation[]
}

export interface Giving {
  /** The owner, or a device with an owner's leave to admit. */
  readonly signer: Identity
  readonly keyring: Keyring
  /** Absent: a role's rights are handed on one by one, as they are wherever the owner's key is not. */
  readonly roleGiver?: RoleGiver
  readonly random: Random
}

/** The owner's power over every device, as far as the offer says, for as long as it says. */
export function giftsOf(offer: Offer, to: Did, { signer, keyring, roleGiver, random }: Giving): readonly Delegation[] {
  const [first] = offer.gives
  const isOwner = keyring.owner !== undefined
  if (offer.role !== undefined && first !== undefined && roleGiver !== undefined && isOwner) return roleGiver.linksFor(offer.role, { aud: to, exp: first.exp })
  const nonce = (): Uint8Array => random(NONCE_BYTES)
  const rights = offer.gives.map((right) => signDelegation(signer, { ...rightFields(right), aud: to, sub: null, nonce: nonce() }))
  if (!offer.admin || first === undefined || !isOwner) return rights
  return [...rights, signDelegation(signer, { aud: to, sub: signer.did, cmd: '/mesh/join', pol: [], exp: first.exp, nonce: nonce() })]
}
