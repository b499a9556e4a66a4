/** UCAN 1.0 tokens as this mesh accepts them: envelope, payload fields and caps. The rules that need keys or time are in README.md beside this file. */
import { CID } from 'multiformats/cid'
import * as v from 'valibot'
import { Count, DidText, List, Text } from '../wire.ts'

/** The tag under which the payload lies; it carries the version of the specification. */
export const TOKEN_TAG = { delegation: 'ucan/dlg@1.0.0', invocation: 'ucan/inv@1.0.0' } as const
export type TokenKind = keyof typeof TOKEN_TAG

/** Varsig v1: EdDSA, Ed25519, SHA-512, over DAG-CBOR. The only one we know. */
export const VARSIG_HEADER = Uint8Array.of(0x34, 0x01, 0xed, 0x01, 0xed, 0x01, 0x13, 0x71)

export const TOKEN_LIMITS = {
  /** A delegation with a long policy is 1 KiB; 8 leave room and keep a full chain below one frame. */
  delegationBytes: 8_192,
  /** Arguments hold a command line; what is longer belongs into a file. */
  invocationBytes: 65_536,
  /** Links of a chain: device → owner → role → person → session → device, and two to spare. */
  chainLinks: 8,
  nonceBytes: { min: 12, max: 64 },
  /** Maps and lists inside a token. */
  depth: 24,
  commandChars: 128,
} as const

/** How an invocation is bound to its connection: its nonce begins with these bytes, then comes fresh randomness. */
export const BINDING = {
  challengeBytes: 16,
  randomBytes: 12,
  /** An invocation lives this long at most, seconds. */
  ttlSeconds: 300,
  /** What two clocks may differ, seconds. */
  skewSeconds: 30,
} as const

/** Lower-case segments behind slashes, or `/` alone. */
export const CommandPath = v.pipe(Text(TOKEN_LIMITS.commandChars), v.regex(/^(?:\/|(?:\/[a-z0-9-]+)+)$/, 'a command is lower-case segments behind slashes'))

/** A link to a token: CIDv1, DAG-CBOR, SHA-256. */
export const TokenLink = v.custom<CID>(isTokenLink, 'a link to a token is a CIDv1 of DAG-CBOR by SHA-256')

/** A map of anything; tokens hold such in `args` and `meta`. The very object is passed on, no key is dropped. */
export const AnyMap = v.custom<Readonly<Record<string, unknown>>>(isMap, 'expected a map')

const Nonce = v.pipe(
  v.instance(Uint8Array),
  v.minLength(TOKEN_LIMITS.nonceBytes.min, 'a nonce has at least 12 bytes'),
  v.maxLength(TOKEN_LIMITS.nonceBytes.max),
)

export const DelegationPayload = v.strictObject({
  iss: DidText,
  aud: DidText,
  sub: v.nullable(DidText),
  cmd: CommandPath,
  pol: v.array(v.unknown()),
  nonce: Nonce,
  exp: v.nullable(Count),
  nbf: v.optional(Count),
  meta: v.optional(AnyMap),
})
export type DelegationPayload = v.InferOutput<typeof DelegationPayload>

export const InvocationPayload = v.strictObject({
  iss: DidText,
  sub: DidText,
  aud: v.optional(DidText),
  cmd: CommandPath,
  args: AnyMap,
  prf: List(TokenLink, 64),
  nonce: Nonce,
  exp: v.nullable(Count),
  iat: v.optional(Count),
  meta: v.optional(AnyMap),
  cause: v.optional(TokenLink),
})
export type InvocationPayload = v.InferOutput<typeof InvocationPayload>

/** In the `meta` of an invocation, true: it is asked whether this could be done. No door takes it for an order, whoever holds it. */
export const QUESTION_META = 'errand/question'

/**
 * In the `meta` of the last link of a chain: SHA-256 of the one intent (protocols/approval) that the executor may run on it by itself, after
 * whoever asked is gone. README.md, "Mandates".
 */
export const MANDATE_META = 'errand/mandate'
export const MANDATE = {
  digestBytes: 32,
  /** It dies with the right it rests on, and after this in any case: a task that still waits then was forgotten. */
  lifeSeconds: 30 * 86_400,
} as const

/**
 * In the `meta` of a session's two links, seconds since the epoch: what was asked for before `exp` may wait and run until then. So the links are
 * short and made anew, and the work that rests on an older one is not ended. README.md, "Sessions".
 */
export const RUNS_UNTIL_META = 'errand/runs-until'
/** The longest that a session lives. */
export const SESSION_SECONDS = 86_400

/** In the `meta` of a delegation, `[n, s]`: it may be used n times at once, and n times more in every s seconds. The executor counts. */
/** What a command is held to: a map (`protocols/task/limits.ts`), every link for itself. */
export const LIMITS_META = 'errand/limits'
export const RATE_META = 'errand/rate'
export const RATE = { maxCount: 1_000_000, maxSeconds: 86_400 } as const

/** A plain map of the data model: not a list, not bytes, not a link. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function isTokenLink(value: unknown): boolean {
  const cid = CID.asCID(value)
  return cid !== null && cid.version === 1 && cid.code === 0x71 && cid.multihash.code === 0x12 && cid.multihash.digest.length === 32
}
