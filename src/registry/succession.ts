/**
 * One device under a new key: what the old key or an owner signs, the new key accepts, and everybody can check. Pure.
 * Spec: protocols/member/README.md; why: docs/decisions/0037.
 */
import { Membership } from '../../protocols/member/messages.ts'
import { DOMAIN, encode, signingInput } from '../../protocols/wire.ts'
import { type Opened, open } from '../identity/envelope.ts'
import { type Identity, verifySignature } from '../identity/identity.ts'

/** Keys of one device that a record may prove in a row; after that an owner signs. */
export const MAX_SUCCESSIONS = 8

/** The new key says that it is somebody's, and that it goes on for the old one: no device is made the successor of another unasked. */
export function acceptance(mesh: Uint8Array, next: Identity, before: string): Uint8Array {
  return next.sign(signingInput(DOMAIN.succession, mesh, encode([before, next.did])))
}

export function isAccepted(mesh: Uint8Array, { device, succeeds, accepts }: Membership): boolean {
  if (succeeds === undefined || accepts === undefined || succeeds === device) return false
  return verifySignature(device, signingInput(DOMAIN.succession, mesh, encode([succeeds, device])), accepts)
}

/** The membership of the old key, as the record carries it; undefined unless it is one. */
export function predecessorOf(mesh: Uint8Array, { succeeds, proofs: [proof] }: Membership): (Opened<Membership> & { readonly bytes: Uint8Array }) | undefined {
  if (proof === undefined) return undefined
  try {
    const seen = open(Membership, DOMAIN.membership, mesh, proof)
    return seen.value.device === succeeds ? { ...seen, bytes: proof } : undefined
  } catch {
    return undefined
  }
}

/** A new key is no promotion: name, kind and all that hangs on them stay. */
export function isSameDevice(before: Membership, after: Membership): boolean {
  const { name, kind, own, until, host } = before
  return after.at > before.at && name === after.name && kind === after.kind && own === after.own && until === after.until && host === after.host
}
