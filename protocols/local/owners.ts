/** Who owns the mesh, how that changes, and the words for an emergency, as the local API says it. */
import * as v from 'valibot'
import { OWNERS } from '../member/owners.ts'
import { Count, DidText, List, Text } from '../wire.ts'
import { OrderView } from './orders.ts'

const Texts = v.array(v.string())
const Base64 = (maxBytes: number) => v.pipe(v.string(), v.base64(), v.maxLength(Math.ceil(maxBytes / 3) * 4))
const Kept = v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]*={0,2}$/, 'base64'), v.maxLength(Math.ceil((OWNERS.keptIdBytes * OWNERS.maxKept) / 3) * 4))

/** A change that not enough owners have signed yet. */
const PendingView = v.object({ id: v.string(), words: v.string(), signedBy: Texts, needed: Count, signedHere: v.boolean(), unknown: Count })

/** The owner's key of this device: none, open to it, or under a passphrase that nobody has typed lately. */
export const OwnerKeyView = v.object({ key: v.picklist(['none', 'open', 'locked']), protected: v.boolean(), openUntil: v.nullable(v.string()) })
export type OwnerKeyView = v.InferOutput<typeof OwnerKeyView>

/** Goes over the home's own socket, and is kept nowhere. */
const Passphrase = v.pipe(v.string(), v.minLength(8, 'a passphrase has 8 characters at least'), v.maxLength(1_024))
export const PassphraseRequest = v.strictObject({ passphrase: Passphrase })
export type PassphraseRequest = v.InferOutput<typeof PassphraseRequest>
export const UnlockRequest = v.strictObject({ passphrase: Text(1_024), forMs: v.pipe(Count, v.minValue(1_000), v.maxValue(12 * 3_600_000)) })
export type UnlockRequest = v.InferOutput<typeof UnlockRequest>

export const OwnersView = v.object({
  /** Its id, in hex. */
  mesh: v.string(),
  owners: v.array(v.object({ did: v.string(), words: v.string(), here: v.boolean() })),
  threshold: Count,
  recovery: v.nullable(v.string()),
  since: v.string(),
  by: v.picklist(['owners', 'recovery']),
  changes: Count,
  pending: v.array(PendingView),
  /** Another list was signed as well, and does not count here. */
  conflict: v.boolean(),
  ...OwnerKeyView.entries,
})
export type OwnersView = v.InferOutput<typeof OwnersView>

/** What makes somebody an owner: a DID, and a signature that its key made. Nothing in it is secret. */
export const OwnerCardView = v.object({ did: v.string(), words: v.string(), card: v.string(), created: v.boolean() })
export type OwnerCardView = v.InferOutput<typeof OwnerCardView>

export const OwnerChangeRequest = v.strictObject({
  /** Cards. */
  add: v.optional(List(Text(256), OWNERS.max)),
  /** DIDs, a part of one, or the three words of a key. */
  remove: v.optional(List(Text(128), OWNERS.max)),
  threshold: v.optional(v.pipe(Count, v.minValue(1), v.maxValue(OWNERS.max))),
  /** The DID of new words; null: no words any more. */
  recovery: v.optional(v.nullable(DidText)),
})
export type OwnerChangeRequest = v.InferOutput<typeof OwnerChangeRequest>

export const OwnerSignRequest = v.strictObject({ id: v.optional(Text(64)) })
export type OwnerSignRequest = v.InferOutput<typeof OwnerSignRequest>

export const OwnerChangeView = v.object({
  ...OrderView.entries,
  id: v.string(),
  words: v.string(),
  /** False: others have to sign it too. */
  done: v.boolean(),
  signedBy: Texts,
  needed: Count,
})
export type OwnerChangeView = v.InferOutput<typeof OwnerChangeView>

/** The key that the recovery words are to make the owner; it lies on this device once they have. */
export const RecoveryKey = v.object({ did: v.string(), words: v.string() })
export type RecoveryKey = v.InferOutput<typeof RecoveryKey>

/** What the recovery words are to sign. `gift` is their delegation to the new owner: signed before, so that it is among what goes on to count. */
export const RecoveryDraftRequest = v.strictObject({ gift: Base64(8_192), keep: v.optional(List(Text(128), OWNERS.max)) })
export type RecoveryDraftRequest = v.InferOutput<typeof RecoveryDraftRequest>
export const RecoveryDraft = v.object({ step: v.string(), kept: v.string(), words: v.string() })
export type RecoveryDraft = v.InferOutput<typeof RecoveryDraft>

export const RecoverRequest = v.strictObject({ step: Base64(OWNERS.maxStepBytes), kept: Kept, signature: Base64(64), gift: Base64(8_192) })
export type RecoverRequest = v.InferOutput<typeof RecoverRequest>
