/** Who owns a mesh, and how that changes: a chain of signed steps from the genesis document on. See README.md beside this file. */
import * as v from 'valibot'
import { Bytes, Count, DidText, ExactBytes, List } from '../wire.ts'

export const OWNERS = {
  /** Owners at once. */
  max: 16,
  /** Changes in the life of a mesh. */
  maxSteps: 64,
  maxStepBytes: 2_048,
  /** Of the id of a record that somebody signed who is no owner any more: enough that no other record has it. */
  keptIdBytes: 16,
  maxKept: 1_408,
  /** The one order that may be larger than others. */
  maxOrderBytes: 61_440,
} as const

const Owners = v.pipe(v.array(DidText), v.minLength(1), v.maxLength(OWNERS.max))

/** What holds from here on. Its SHA-256 is what the next step names as `prev`; the first step names the mesh id. */
export const OwnersStep = v.strictObject({
  v: v.literal(1),
  prev: ExactBytes(32),
  owners: Owners,
  /** Signatures that the next step needs: more than half of the owners at least. */
  threshold: v.pipe(Count, v.minValue(1), v.maxValue(OWNERS.max)),
  /** Whose words break the glass; null: there are none. */
  recovery: v.nullable(DidText),
  at: Count,
  /** SHA-256 of the list of what goes on to count of those who are no owners any more. */
  kept: ExactBytes(32),
})
export type OwnersStep = v.InferOutput<typeof OwnersStep>

const Signature = v.strictTuple([DidText, ExactBytes(64)])
/** Each signature is over DOMAIN.owners, the mesh id and `step`. */
export const SignedStep = v.strictObject({ step: Bytes(OWNERS.maxStepBytes), sigs: List(Signature, OWNERS.max + 1) })
export type SignedStep = v.InferOutput<typeof SignedStep>

/** Ids, each 16 bytes, ascending: the first half of SHA-256 over the whole record. */
const Kept = Bytes(OWNERS.keptIdBytes * OWNERS.maxKept)

/** Body of an order `owners`: every step since genesis, and the list that the last of them names. */
export const OwnersBody = v.strictObject({ steps: v.pipe(v.array(SignedStep), v.minLength(1), v.maxLength(OWNERS.maxSteps)), kept: Kept })
export type OwnersBody = v.InferOutput<typeof OwnersBody>

/** Body of an order `consent`: a step that its signer agrees to. */
export const ConsentBody = v.strictObject({ step: Bytes(OWNERS.maxStepBytes), sig: ExactBytes(64), kept: Kept })
export type ConsentBody = v.InferOutput<typeof ConsentBody>

/** Of a consent: the step that it would follow, in hex, and who gives it: one at a time for each. */
export const ConsentSubject = v.pipe(v.string(), v.regex(/^[0-9a-f]{64} did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$/, 'a consent is about a step and its signer'))
