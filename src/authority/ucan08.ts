/**
 * UCAN 0.8 JWTs, strictly: read with every cap before every cost, written from a grant that they can hold. The bridge only: nothing that admits
 * a command reads these. Believed is a token only when this file and the library `ucans` (ucan08-judge.ts) agree. Spec: protocols/bridge/README.md.
 */
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { BRIDGE, type Capability, GRANT_FACT, Header, Payload } from '../../protocols/bridge/messages.ts'
import { ErrandError } from '../base/errors.ts'
import { asDid, type Did, type Identity, isDid, verifySignature } from '../identity/identity.ts'

export type OldTokenCode =
  | 'TOO_LARGE'
  | 'NOT_A_TOKEN'
  | 'TOO_DEEP'
  | 'TOO_MANY_TOKENS'
  | 'BAD_TOKEN'
  | 'BAD_SIGNATURE'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_TOO_EARLY'
  | 'WRONG_AUDIENCE'
  | 'UNKNOWN_CAPABILITY'
  | 'NOT_PROVEN'
  | 'TOOK_TOO_LONG'

/** Why a 0.8 token is not taken. */
export class OldTokenError extends ErrandError {
  constructor(
    override readonly code: OldTokenCode,
    message: string,
    hint?: string,
  ) {
    super(code, message, hint === undefined ? {} : { hint })
  }
}

export interface OldToken {
  readonly iss: Did
  readonly aud: Did
  /** Seconds since the epoch. */
  readonly exp: number
  readonly nbf?: number
  readonly att: readonly Capability[]
  /** Grants of ours that it says it was written for. */
  readonly grants: readonly string[]
  readonly proofs: readonly OldToken[]
}

/** Reads a token and all it holds, and checks every signature. Says nothing of time, audience or rights. @throws OldTokenError */
export function readOldToken(text: string): OldToken {
  return readAt(text, 1, { left: BRIDGE.tokens })
}

/** The least expiry and the greatest not-before of a token and all it holds: what is re-issued lives within both. */
export function boundsOf(token: OldToken): { readonly exp: number; readonly nbf: number } {
  return token.proofs.map(boundsOf).reduce((all, one) => ({ exp: Math.min(all.exp, one.exp), nbf: Math.max(all.nbf, one.nbf) }), {
    exp: token.exp,
    nbf: token.nbf ?? 0,
  })
}

/** A token and all it holds. */
export function everyToken(token: OldToken): readonly OldToken[] {
  return [token, ...token.proofs.flatMap(everyToken)]
}

/** The path, outermost first, by which `root` gave this capability to the token's issuer: each step signed by whom the next one was given to. */
export function pathTo(root: Did, token: OldToken, wanted: Capability): readonly OldToken[] | undefined {
  if (token.iss === root) return [token]
  for (const proof of token.proofs) {
    if (proof.aud !== token.iss) continue
    for (const held of proof.att.filter((one) => holds(one, wanted))) {
      const rest = pathTo(root, proof, held)
      if (rest !== undefined) return [token, ...rest]
    }
  }
  return undefined
}

/** Whether one capability is all of another: the same resource, or one without words above one with words; the same ability, or `*`. */
function holds(parent: Capability, child: Capability): boolean {
  return holdsResource(parent.with, child.with) && (parent.can === '*' || parent.can === child.can)
}

/** @param parent and @param child whole, or both without their scheme. */
export function holdsResource(parent: string, child: string): boolean {
  return parent === child || (!parent.includes('/') && child.startsWith(`${parent}/`))
}

export interface OldFields {
  readonly aud: Did
  readonly exp: number
  readonly att: readonly Capability[]
  /** CID of the grant that it says over. */
  readonly grant: string
}

/** Signs a token without proofs: its issuer is where the right begins. The same fields make the same bytes. */
export function sealOldToken(by: Identity, { aud, exp, att, grant }: OldFields): string {
  const header = { alg: 'EdDSA', typ: 'JWT', ucv: '0.8.1' }
  const nnc = createHash('sha256').update(`${by.did} ${grant} ${exp}`).digest('base64url').slice(0, 22)
  const payload = { iss: by.did, aud, att, exp, fct: [{ [GRANT_FACT]: grant }], nnc, prf: [] }
  const signed = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(payload))}`
  return `${signed}.${Buffer.from(by.sign(Buffer.from(signed))).toString('base64url')}`
}

function readAt(text: string, depth: number, count: { left: number }): OldToken {
  // 1. Size, depth and number, before a byte is decoded.
  if (text.length > BRIDGE.maxChars) throw new OldTokenError('TOO_LARGE', `a token of ${text.length} characters where at most ${BRIDGE.maxChars} are allowed`)
  if (depth > BRIDGE.depth) throw new OldTokenError('TOO_DEEP', `tokens inside tokens more than ${BRIDGE.depth} deep`)
  if (count.left-- === 0) throw new OldTokenError('TOO_MANY_TOKENS', `more than ${BRIDGE.tokens} tokens in one`)
  const parts = text.split('.')
  if (parts.length !== 3) {
    throw new OldTokenError('NOT_A_TOKEN', 'this is not a JWT: three parts between dots are expected', 'give the one line that ucans.encode made')
  }
  const [header = '', payload = '', signature = ''] = parts
  // 2. Form. The algorithm first: whatever else is signed, or is not, we never look at.
  shaped(Header, jsonOf(header, 'header'), 'header')
  const { iss, aud, exp, nbf, att, fct, prf } = shaped(Payload, jsonOf(payload, 'payload'), 'payload')
  const issuer = didOf(iss)
  // 3. The signature, over the text as it came.
  const bytes = decoded(signature, 'signature')
  if (!verifySignature(issuer, Buffer.from(`${header}.${payload}`), bytes)) {
    throw new OldTokenError('BAD_SIGNATURE', `the signature is not that of ${iss}`)
  }
  return {
    ...{ iss: issuer, aud: didOf(aud), exp, att },
    ...(nbf === undefined ? {} : { nbf }),
    grants: (fct ?? []).flatMap((fact) => (typeof fact[GRANT_FACT] === 'string' ? [fact[GRANT_FACT]] : [])),
    proofs: prf.map((proof) => readAt(proof, depth + 1, count)),
  }
}

function jsonOf(part: string, what: string): unknown {
  const text = decoded(part, what).toString('utf8')
  if (nestingOf(text) > BRIDGE.nesting) throw new OldTokenError('TOO_DEEP', `the ${what} is nested more than ${BRIDGE.nesting} deep`)
  try {
    return JSON.parse(text)
  } catch {
    throw new OldTokenError('NOT_A_TOKEN', `the ${what} of the token is not JSON`)
  }
}

/** Base64url in its one form: other spellings of the same bytes would be other tokens with the same content. */
function decoded(part: string, what: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  if (part === '' || base64url(bytes) !== part) throw new OldTokenError('NOT_A_TOKEN', `the ${what} of the token is not base64url`)
  return bytes
}

function base64url(content: string | Uint8Array): string {
  return Buffer.from(content).toString('base64url')
}

/** How deep brackets stand in brackets, without parsing: what is in strings does not count. */
function nestingOf(json: string): number {
  let [deep, deepest] = [0, 0]
  for (const [mark] of json.matchAll(/"(?:[^"\\]|\\.)*"?|[[\]{}]/gs)) {
    if (mark === '[' || mark === '{') deepest = Math.max(deepest, ++deep)
    else if (mark === ']' || mark === '}') deep--
  }
  return deepest
}

function shaped<S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const seen = v.safeParse(schema, value)
  if (seen.success) return seen.output
  const [issue] = seen.issues
  throw new OldTokenError('BAD_TOKEN', `${what} ${v.getDotPath(issue) ?? 'of the token'}: ${issue.message.slice(0, 200)}`)
}

function didOf(text: string): Did {
  if (!isDid(text)) throw new OldTokenError('BAD_TOKEN', `not an Ed25519 did:key: ${text.slice(0, 80)}`)
  return asDid(text)
}
