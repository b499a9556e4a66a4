/** What waits for somebody's yes, as the local API says it: commands, and rights that are asked for. */
import * as v from 'valibot'
import { Text } from '../wire.ts'
import { GrantView } from './views.ts'

const Duration = v.pipe(v.number(), v.integer(), v.minValue(1_000), v.maxValue(3_650 * 86_400_000))
const Rights = v.pipe(v.array(Text(1_024)), v.minLength(1), v.maxLength(16))
const Digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, '64 hex digits expected'))

/** A right is asked for: whoever can grant it is shown this. */
export const RightRequest = v.strictObject({
  device: Text(128),
  can: Rights,
  reason: Text(512),
  /** For how long it is wanted. Default 8 h. */
  forMs: v.optional(Duration),
})
export type RightRequest = v.InferOutput<typeof RightRequest>

export const ApproveRequest = v.strictObject({
  /** Digest of what was shown: anything else that waits by then is not approved. */
  intent: v.optional(Digest),
  /** Of a right: for that long, and these rights, instead of what was asked for. */
  forMs: v.optional(Duration),
  can: v.optional(Rights),
  /** Says what would be signed, and signs nothing. */
  dryRun: v.optional(v.boolean()),
})
export type ApproveRequest = v.InferOutput<typeof ApproveRequest>

export const DenyRequest = v.strictObject({ intent: v.optional(Digest), reason: v.optional(Text(512)) })
export type DenyRequest = v.InferOutput<typeof DenyRequest>

const Time = v.pipe(v.string(), v.isoTimestamp())
const Texts = v.array(v.string())

/** Something that waits for somebody's yes. */
export const ApprovalView = v.object({
  id: v.pipe(v.string(), v.description('the task of a command; of a right the request’s own')),
  kind: v.picklist(['command', 'right']),
  device: v.pipe(v.string(), v.description('where it would run, or where the right is wanted')),
  requester: v.string(),
  requesterDid: v.string(),
  command: v.pipe(
    v.nullable(v.object({ argv: Texts, cwd: v.string(), env: Texts, user: v.string(), timeoutMs: v.number(), stdin: v.boolean(), tty: v.boolean() })),
    v.description('as it was declared, whole; null of a right'),
  ),
  right: v.nullable(v.object({ can: Texts, words: Texts, forMs: v.number() })),
  reason: v.pipe(v.string(), v.description('which rule asks for it; of a right what whoever asks says')),
  state: v.picklist(['waiting', 'granted', 'denied', 'expired']),
  approvedBy: v.pipe(Texts, v.description('who has said yes, or decided')),
  need: v.number(),
  mayDecide: v.pipe(v.boolean(), v.description('false: the request is of this device’s own person')),
  intent: v.pipe(v.nullable(v.string()), v.description('digest of what is to be approved; null of a right')),
  answer: v.pipe(v.nullable(v.string()), v.description('what was said with the decision; null before')),
  createdAt: Time,
  expiresAt: Time,
})
export type ApprovalView = v.InferOutput<typeof ApprovalView>

export const DecisionView = v.object({
  id: v.string(),
  decision: v.picklist(['approved', 'denied', 'shown']),
  have: v.pipe(v.number(), v.description('people who have said yes')),
  need: v.number(),
  grants: v.array(GrantView),
  words: v.pipe(Texts, v.description('what was granted, or would be')),
})
export type DecisionView = v.InferOutput<typeof DecisionView>
