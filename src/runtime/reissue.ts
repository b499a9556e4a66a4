/** Grants follow a device to its new key: whoever signed one signs it again, the same in all but the key. Signs only; what is widened or revoked is not here. */
import { encode, sameBytes } from '../../protocols/wire.ts'
import { diesWith } from '../authority/chain.ts'
import { SIGNED_META } from '../authority/freshness.ts'
import type { Revocations } from '../authority/revocations.ts'
import { type Delegation, type DelegationFields, signDelegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Random } from '../base/clock.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { NONCE_BYTES } from './keyring.ts'
import type { Lineage } from './lineage.ts'

export interface ReissueOn {
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly lineage: Pick<Lineage, 'above'>
  /** Old keys, each with the one that goes on for it. */
  readonly successions: readonly (readonly [before: string, after: string])[]
  readonly nowSeconds: number
  readonly random: Random
}

/** What the holder of these keys has to sign again. A key that went on under another one is signed for by that one: `signers` has the new key under the old DID. */
export function reissues(signers: ReadonlyMap<string, Identity>, on: ReissueOn): Delegation[] {
  const after = new Map(on.successions)
  const now = (did: string): Did => {
    let at = did
    for (let n = 0; n < on.successions.length && after.has(at); n++) at = after.get(at) ?? at
    return at as Did
  }
  const links = on.wallet.list()
  const fresh: Delegation[] = []
  for (const link of links) {
    const signer = signers.get(link.iss)
    const fields = signer === undefined || !isAlive(link, on) ? undefined : followed(link, now, on)
    if (signer === undefined || fields === undefined || (signer.did === link.iss && fields.aud === link.aud && fields.sub === link.sub)) continue
    if ([...links, ...fresh].some((one) => one.iss === signer.did && isSame(one, fields))) continue
    fresh.push(signDelegation(signer, fields))
  }
  return fresh
}

/** Taken back by anybody above it: who signed it does not know better than they. */
function isAlive(link: Delegation, { revocations, lineage, nowSeconds }: ReissueOn): boolean {
  return (link.exp === null || link.exp > nowSeconds) && diesWith(link) === undefined && revocations.revokes([...lineage.above(link), link]) === undefined
}

function followed({ aud, sub, cmd, pol, exp, nbf, meta }: Delegation, now: (did: string) => Did, { random, nowSeconds }: ReissueOn): DelegationFields {
  const signed = meta?.[SIGNED_META] === undefined ? meta : { ...meta, [SIGNED_META]: nowSeconds }
  const rest = { ...(nbf === undefined ? {} : { nbf }), ...(signed === undefined ? {} : { meta: signed }) }
  return { aud: now(aud), sub: sub === null ? null : now(sub), cmd, pol, exp, nonce: random(NONCE_BYTES), ...rest }
}

function isSame(one: Delegation, two: DelegationFields): boolean {
  const core = ({ aud, sub, cmd, pol, exp, nbf, meta }: Delegation | DelegationFields): Uint8Array => {
    const { [SIGNED_META]: _, ...rest } = meta ?? {}
    return encode([aud, sub, cmd, pol, exp, nbf ?? null, rest])
  }
  return sameBytes(core(one), core(two))
}
