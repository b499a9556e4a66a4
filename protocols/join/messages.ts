/** `/errand/join/1`: a device with an invite becomes a member. See README.md beside this file. */
import * as v from 'valibot'
import { APPROVAL } from '../approval/messages.ts'
import { RATE } from '../authority/messages.ts'
import { DeviceName } from '../member/messages.ts'
import { Limits } from '../task/limits.ts'
import { Bytes, Count, DidText, ExactBytes, List, Text, WireFault } from '../wire.ts'

export const JOIN = {
  ids: ['/errand/join/1'],
  maxAskBytes: 128 * 1024,
  maxWelcomeBytes: 4 << 20,
  deadlineMs: 30_000,
  /** How long a joiner may take to say its ask: it has all it needs, and the places are few. */
  askMs: 10_000,
  /** Joins in progress at once; a stranger's flood waits for nobody. */
  maxPending: 8,
  codePrefix: 'errand1',
} as const

/** A right as it will be signed: command, policy, last second; how many people have to say yes before each use (`errand/approvals`), and how often it may be used. */
export const OfferedRight = v.object({
  cmd: Text(64),
  pol: v.array(v.unknown()),
  exp: Count,
  approvals: v.exactOptional(v.pipe(Count, v.minValue(1), v.maxValue(APPROVAL.maxApprovals))),
  /** `errand/limits`: what a command is held to. Since 0.4. */
  limits: v.exactOptional(Limits),
  /** `errand/rate`, as an object. */
  rate: v.exactOptional(
    v.strictObject({ count: v.pipe(Count, v.minValue(1), v.maxValue(RATE.maxCount)), seconds: v.pipe(Count, v.minValue(1), v.maxValue(RATE.maxSeconds)) }),
  ),
})
export type OfferedRight = v.InferOutput<typeof OfferedRight>

/** What an invite offers; signed by the inviting device (DOMAIN.offer), so a changed code is noticed before anybody is dialled. */
export const Offer = v.object({
  v: v.literal(1),
  meshName: Text(64),
  inviterName: DeviceName,
  /** The ephemeral invite key; the code carries its seed. */
  invite: DidText,
  /** CID of the delegation inviter → invite key for /mesh/join, held by the inviter. */
  proof: Text(80),
  owner: DidText,
  name: v.nullable(DeviceName),
  /** A guest is never `mine` nor `admin`, has no role, and gets what it gets on the devices of `on`. */
  kind: v.picklist(['member', 'guest']),
  /** The joiner becomes the owner's own device and gives the owner its root. */
  mine: v.boolean(),
  asks: List(OfferedRight, 16),
  admin: v.boolean(),
  /** The role whose rights `gives` are. Since 0.2. */
  role: v.exactOptional(Text(64)),
  gives: List(OfferedRight, 16),
  /** Of a guest: the devices that `gives` holds on. Since 0.2. */
  on: v.exactOptional(List(v.object({ device: DidText, name: DeviceName }), 16)),
  expiresAt: Count,
  addrs: v.pipe(v.array(Text(256)), v.minLength(1), v.maxLength(16)),
})
export type Offer = v.InferOutput<typeof Offer>

/** What an invite code decodes to: version, mesh id, seed of the invite key, signed offer. */
export const Code = v.strictTuple([v.literal(1), ExactBytes(32), ExactBytes(32), Bytes(16_384)])

/** inviter → joiner, first */
export const Challenge = v.object({ t: v.literal('challenge'), challenge: ExactBytes(16) })

/** joiner → inviter: its own invocation of /mesh/join, the delegation invite key → joiner, and what it gives. */
export const Ask = v.object({
  t: v.literal('ask'),
  v: v.literal(1),
  version: Text(64),
  invocation: Bytes(65_536),
  proofs: List(Bytes(8_192), 2),
  gives: List(Bytes(8_192), 16),
})
export type Ask = v.InferOutput<typeof Ask>

export const Welcome = v.object({
  t: v.literal('welcome'),
  genesis: Bytes(65_536),
  membership: Bytes(65_536),
  members: List(Bytes(65_536), 512),
  addresses: List(Bytes(8_192), 512),
  delegations: List(Bytes(8_192), 512),
  /** Those that name roles, so that what the roles give is known for somebody's. Since 0.2. */
  orders: v.exactOptional(List(Bytes(65_536), 512)),
  revocations: List(Bytes(65_536), 4_096),
})
export type Welcome = v.InferOutput<typeof Welcome>

export const JoinRefused = v.object({ t: v.literal('refused'), fault: WireFault })
export const JoinAnswer = v.variant('t', [Welcome, JoinRefused])
