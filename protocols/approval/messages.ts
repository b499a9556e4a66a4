/**
 * What an approval is about and what it says: the intent, the arguments of `/approval/grant`, what an executor shows to those who may
 * approve, and the request for a right. Travels in `/errand/call/1`. See README.md beside this file.
 */
import * as v from 'valibot'
import { Bytes, Count, DidText, ExactBytes, List, Text } from '../wire.ts'

export const APPROVAL = {
  /** Hashed before the intent, so that its digest is never the digest of anything else. */
  intentDomain: 'errand intent v1',
  intentBytes: 32,
  /** What tells one waiting request from every other, also from the same one asked again. */
  requestBytes: 16,
  /** Different people who may be asked for at most. */
  maxApprovals: 16,
  maxReasonChars: 512,
  /** The arguments of a command are 128 KiB and names. */
  maxArgsBytes: 262_144,
  maxListed: 64,
  maxRights: 16,
} as const

/** A right that says so lets nothing run before so many different people have said yes: `meta: {"errand/approvals": n}`, 1 to 16. Signed by who gave it. */
export const APPROVALS_META = 'errand/approvals'

export const RequestId = ExactBytes(APPROVAL.requestBytes)
export const IntentDigest = ExactBytes(APPROVAL.intentBytes)

/** What is approved: its SHA-256 behind the domain is the digest. No nonces, no times: they do not change what would run. */
export const Intent = v.strictObject({
  v: v.literal(1),
  device: DidText,
  requester: DidText,
  command: Text(128),
  /** As declared in the invocation, whole; the task is one of them. */
  args: v.record(Text(64), v.unknown()),
})
export type Intent = v.InferOutput<typeof Intent>

/** Arguments of `/approval/grant`. */
export const ApprovalArgs = v.strictObject({
  request: RequestId,
  intent: IntentDigest,
  decision: v.picklist(['approve', 'deny']),
  reason: Text(APPROVAL.maxReasonChars),
})
export type ApprovalArgs = v.InferOutput<typeof ApprovalArgs>

/** device → approver: a command that waits. Whoever signs hashes `intent` itself and shows what is in it. */
export const WaitingCommand = v.object({
  request: RequestId,
  intent: Intent,
  /** Which rule asks for it, in words. */
  why: Text(1_024),
  need: Count,
  /** Devices that said yes by now. */
  approvedBy: List(DidText, 64),
  createdAt: Count,
  expiresAt: Count,
})
export type WaitingCommand = v.InferOutput<typeof WaitingCommand>

/** requester → a device that could grant it: a right is asked for. */
export const RightAsked = v.object({
  /** Chosen by who asks. */
  id: RequestId,
  device: DidText,
  can: v.pipe(v.array(Text(1_024)), v.minLength(1), v.maxLength(APPROVAL.maxRights)),
  reason: Text(APPROVAL.maxReasonChars),
  /** For how long it is wanted. */
  forMs: v.pipe(Count, v.minValue(1_000)),
  createdAt: Count,
})
export type RightAsked = v.InferOutput<typeof RightAsked>

/** A device's answer to it. */
export const RightAnswer = v.object({
  id: RequestId,
  state: v.picklist(['waiting', 'granted', 'denied', 'expired']),
  reason: Text(APPROVAL.maxReasonChars),
  /** CIDs of what was granted. */
  grants: List(Text(80), APPROVAL.maxRights),
})
export type RightAnswer = v.InferOutput<typeof RightAnswer>

/** One approval as an executor keeps it: what was received, so that it can be judged again when the command starts. */
export const Evidence = v.strictObject({
  by: DidText,
  challenge: ExactBytes(16),
  invocation: Bytes(65_536),
  proofs: List(Bytes(8_192), 8),
  /** When it was judged; seconds. */
  at: Count,
})
export type Evidence = v.InferOutput<typeof Evidence>
