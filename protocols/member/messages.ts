/** The signed records that make a mesh: genesis, memberships, addresses. Every member holds all of them. */
import * as v from 'valibot'
import { Bytes, Count, DidText, ExactBytes, List, Text } from '../wire.ts'

/** Signed by the founder's owner key with DOMAIN.genesis and NO_MESH. SHA-256 of the payload is the mesh id. */
export const Genesis = v.object({
  v: v.literal(1),
  name: Text(64),
  owners: v.pipe(v.array(DidText), v.minLength(1), v.maxLength(16)),
  threshold: v.pipe(Count, v.minValue(1)),
  created: Count,
  nonce: ExactBytes(16),
  /** Whose words break the glass, from the beginning. Since 0.2. */
  recovery: v.exactOptional(DidText),
})
export type Genesis = v.InferOutput<typeof Genesis>

/** Names are labels that owners give; they are shown, never trusted to identify. */
export const DeviceName = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a name has 1–63 letters a–z, digits and inner dashes'))

const MembershipFields = v.object({
  v: v.literal(1),
  device: DidText,
  name: DeviceName,
  kind: v.picklist(['member', 'guest']),
  /** The owner's own device: it gave the owner its root and may read every log. */
  own: v.boolean(),
  at: Count,
  proofs: List(Bytes(8_192), 8),
  /** Of a guest: it counts up to here, milliseconds since the epoch. Since 0.2. */
  until: v.exactOptional(Count),
  /** Of a guest: the device that it came in by, which may always speak with it. Since 0.2. */
  host: v.exactOptional(DidText),
  /** The key that this device had before: it is dead from here on. Since 0.2. */
  succeeds: v.exactOptional(DidText),
  /** The new key's signature over DOMAIN.succession, the mesh and both DIDs. Since 0.2. */
  accepts: v.exactOptional(ExactBytes(64)),
})

/** A guest's ends and has a host, and no guest is an owner's own device; a member's has neither. */
function fitsItsKind({ kind, own, until, host }: v.InferOutput<typeof MembershipFields>): boolean {
  return kind === 'guest' ? !own && until !== undefined && host !== undefined : until === undefined && host === undefined
}

/** Admits one device. Signed by an owner, or by a device whose `proofs` carry `/mesh/join` from an owner (DOMAIN.membership). */
export const Membership = v.pipe(MembershipFields, v.check(fitsItsKind, 'a guest has an end and a host and is nobody’s own; a member has neither'))
export type Membership = v.InferOutput<typeof Membership>

/** Where a device can be reached. Signed by the device itself (DOMAIN.address); the highest `seq` counts. */
export const AddressRecord = v.object({
  v: v.literal(1),
  device: DidText,
  seq: Count,
  addrs: List(Text(256), 16),
})
export type AddressRecord = v.InferOutput<typeof AddressRecord>
