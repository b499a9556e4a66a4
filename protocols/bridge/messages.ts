/** UCAN 0.8 tokens as the bridge takes and writes them: their fields, the caps, and the one table of what their abilities mean here. */
import * as v from 'valibot'
import { Count, DidText, List, Text } from '../wire.ts'

export const BRIDGE = {
  /** Tokens lie inside each other, each a third larger than what it holds: eight small ones, or three that say much. */
  maxChars: 16_384,
  /** All tokens of one import. */
  tokens: 8,
  /** Tokens inside tokens. */
  depth: 6,
  /** Capabilities of one token: the library weighs each of them against each of every proof. */
  capabilities: 8,
  /** Proofs of one token. */
  proofs: 4,
  /** Maps and lists inside the JSON of one token. */
  nesting: 8,
  /** Checking with the library of 0.8; then its thread is ended. */
  deadlineMs: 3_000,
} as const

/** The scheme of our resources: `errand:DID`, or `errand:DID/RIGHT` with the words of a right, percent-encoded. */
export const RESOURCE_SCHEME = 'errand'

/** What an ability of a 0.8 token is here. Closed: whatever is not in it is refused. */
export const ABILITIES = {
  '*': '/',
  'exec/run': '/exec/run',
  'task/read': '/task/read',
  'task/logs': '/task/logs',
  'task/cancel': '/task/cancel',
  'task/pause': '/task/pause',
  'task/resume': '/task/resume',
  'audit/read': '/audit/read',
  'device/info': '/device/info',
} as const satisfies Record<string, string>
export type Ability = keyof typeof ABILITIES

/** The fact by which a token that we wrote names the grant it was written for. */
export const GRANT_FACT = 'errand/grant'

export const Header = v.strictObject({
  alg: v.literal('EdDSA', 'only EdDSA (Ed25519) is accepted'),
  typ: v.literal('JWT'),
  ucv: v.pipe(v.string(), v.regex(/^0\.8\.\d{1,3}$/, 'only UCAN 0.8 is accepted')),
})

/** A capability of the library has these two fields. One with caveats (`nb`) says more than we understand. */
export const Capability = v.strictObject({ with: Text(2_048), can: Text(128) })
export type Capability = v.InferOutput<typeof Capability>

const AnyObject = v.record(v.string(), v.unknown())

export const Payload = v.strictObject({
  iss: DidText,
  aud: DidText,
  exp: Count,
  nbf: v.exactOptional(Count),
  nnc: v.exactOptional(Text(256)),
  att: v.pipe(
    List(Capability, BRIDGE.capabilities),
    v.minLength(1, 'it gives nothing'),
    v.check((att) => isEachOnce(att), 'it says one thing twice'),
  ),
  fct: v.exactOptional(List(AnyObject, 8)),
  prf: List(Text(BRIDGE.maxChars), BRIDGE.proofs),
})
export type Payload = v.InferOutput<typeof Payload>

/** Ways through a chain multiply by what is said twice. */
function isEachOnce(att: readonly Capability[]): boolean {
  return new Set(att.map((one) => `${one.can} ${one.with}`)).size === att.length
}
