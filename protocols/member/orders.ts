/** `errand order v1`: what an owner decides for the whole mesh, one record a decision. Every member holds all of them. See README.md beside this file. */
import * as v from 'valibot'
import { Count, DidText, ExactBytes, List, Text } from '../wire.ts'
import { ConsentBody, ConsentSubject, OwnersBody } from './owners.ts'

export const ORDER = {
  maxBodyBytes: 32_768,
  /** An order of the longest policy in the widest letters fits. */
  maxPolicyChars: 8_000,
  /** Orders kept: all of them must be named in a pull request. */
  maxOrders: 16_384,
} as const

const Kind = v.pipe(v.string(), v.regex(/^[a-z][a-z-]{0,31}$/, 'a kind is a lower-case word'))

/** Of two orders of one kind on one subject the later `at` counts. */
export const Order = v.object({
  v: v.literal(1),
  kind: Kind,
  /** What it is about: a DID, a name, or '' for the mesh. */
  subject: Text(256),
  at: Count,
  body: v.record(v.string(), v.unknown()),
})
export type Order = v.InferOutput<typeof Order>

const LabelName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'a label is named with letters, digits, dots and dashes'))

/** Why, in the owner's words. */
const Reason = v.exactOptional(Text(200))

/** The least first. */
export const TRUST_LEVELS = ['untrusted', 'verified', 'trusted'] as const
export type TrustLevel = (typeof TRUST_LEVELS)[number]
/** Of roles and groups: a lower-case word. */
export const ShortName = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,31}$/, 'a name begins with a letter and has letters a–z, digits and dashes, 32 at most'))

export const ROLE = {
  /** Rights of a role, with what it inherits. */
  rights: 64,
  /** Roles that one role names as what it builds on. */
  inherits: 8,
  maxLifeMs: 3_650 * 86_400_000,
  groupDevices: 512,
} as const

/** A named bundle of rights. The rights themselves are delegations from the owner to `did`, from `did` to whoever has the role. */
const Role = v.strictObject({
  did: DidText,
  /** What its key was derived with, besides the owner's key: a role that is made anew under an old name is another role. */
  salt: ExactBytes(16),
  /** Its own rights, as people write them. */
  can: List(Text(4_096), ROLE.rights),
  inherits: List(ShortName, ROLE.inherits),
  /** For how long at most it is given to somebody; null: no bound of its own. */
  maxMs: v.nullable(v.pipe(Count, v.minValue(1_000), v.maxValue(ROLE.maxLifeMs))),
  /** True: there is no such role any more. */
  removed: v.boolean(),
})

/** Devices under one name. Empty: there is no such group any more. */
const Group = v.strictObject({ devices: List(DidText, ROLE.groupDevices) })

/** What the body of each known kind has to look like, and its subject. Kinds that are not known here are kept and handed on without effect. */
export const ORDERS = {
  /** Labels that an owner gives a device; they count before what the device says of itself. Empty: none any more. */
  label: { subject: DidText, body: v.strictObject({ labels: v.pipe(v.record(LabelName, Text(256)), v.maxEntries(64)) }) },
  /** The policy of the mesh (docs/policy.md), as its author wrote it. Empty: none any more. */
  policy: { subject: v.literal(''), body: v.strictObject({ text: Text(ORDER.maxPolicyChars) }) },
  /** A device is no member any more. Only a membership that an owner's own key signed later brings it back. */
  remove: { subject: DidText, body: v.strictObject({ reason: Reason }) },
  /** How far a device is trusted: a ceiling on what it may ask for, whatever it was granted. */
  trust: { subject: DidText, body: v.strictObject({ level: v.picklist(TRUST_LEVELS) }) },
  /** No new work for others, no joins, no new grants: on every device ('') or on one. */
  lockdown: { subject: v.union([v.literal(''), DidText]), body: v.strictObject({ on: v.boolean(), reason: Reason }) },
  role: { subject: ShortName, body: Role },
  group: { subject: ShortName, body: Group },
  /** Who owns the mesh. It follows from the signatures in it, not from its time. */
  owners: { subject: v.literal(''), body: OwnersBody },
  /** An owner agrees to a change of the owners. */
  consent: { subject: ConsentSubject, body: ConsentBody },
} as const
export type OrderKind = keyof typeof ORDERS
export type OrderBody<K extends OrderKind> = v.InferOutput<(typeof ORDERS)[K]['body']>
