/**
 * UCAN 1.0 delegations and invocations: sign, decode strictly, verify the signature over the bytes as received.
 * Says nothing about time, chains or rights; `verify.ts` does. Layout: protocols/authority/README.md.
 */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import * as v from 'valibot'
import { AnyMap, DelegationPayload, InvocationPayload, TOKEN_LIMITS, TOKEN_TAG, type TokenKind, VARSIG_HEADER } from '../../protocols/authority/messages.ts'
import { BadBytes, decodeStrict, encode, sameBytes } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import { asDid, type Did, type Identity, isDid, verifySignature } from '../identity/identity.ts'
import { BadPolicy, type Policy, parsePolicy } from './policy.ts'

export type TokenCode =
  | 'TOO_LARGE'
  | 'NOT_CBOR'
  | 'NOT_CANONICAL'
  | 'BAD_TOKEN'
  | 'WRONG_KIND'
  | 'BAD_ALGORITHM'
  | 'BAD_DID'
  | 'BAD_VALUE'
  | 'BAD_NONCE'
  | 'BAD_POLICY'
  | 'BAD_SIGNATURE'
  | 'BAD_REVOCATION'

/** Why bytes are not a token. */
export class TokenError extends ErrandError {
  constructor(
    override readonly code: TokenCode,
    message: string,
    cause?: unknown,
  ) {
    super(code, message, { cause })
  }
}

export type AnyRecord = Readonly<Record<string, unknown>>

export interface Delegation {
  /** CIDv1 of the whole token, base32. */
  readonly cid: string
  readonly bytes: Uint8Array
  readonly iss: Did
  readonly aud: Did
  /** null: a powerline, whatever subject the link above has. */
  readonly sub: Did | null
  readonly cmd: string
  readonly pol: Policy
  /** Seconds since the epoch; null is for ever. */
  readonly exp: number | null
  readonly nbf?: number
  readonly nonce: Uint8Array
  readonly meta?: AnyRecord
}

export interface Invocation {
  readonly cid: string
  readonly bytes: Uint8Array
  readonly iss: Did
  readonly sub: Did
  /** Absent: the subject. */
  readonly aud?: Did
  readonly cmd: string
  readonly args: AnyRecord
  /** CIDs of the chain, root first. */
  readonly prf: readonly string[]
  readonly nonce: Uint8Array
  readonly exp: number | null
  readonly iat?: number
  readonly meta?: AnyRecord
  readonly cause?: string
}

export type DelegationFields = Omit<Delegation, 'cid' | 'bytes' | 'iss'>
export type InvocationFields = Omit<Invocation, 'cid' | 'bytes' | 'iss'>

/** Signs whatever well-formed fields it is given; whether the issuer has that right to give is `Wallet.canDelegate`. @throws TokenError as decoding would. */
export function signDelegation(identity: Identity, fields: DelegationFields): Delegation {
  return decodeDelegation(sealToken('delegation', identity, present({ ...fields })))
}

/** @throws TokenError as decoding would. */
export function signInvocation(identity: Identity, fields: InvocationFields): Invocation {
  return parseInvocation(sealInvocation(identity, fields)).invocation
}

/** The bytes alone, for whoever sends them away at once: whether they are an invocation is for the receiver to say, who decodes them in any case. */
export function sealInvocation(identity: Identity, fields: InvocationFields): Uint8Array {
  const { prf, cause, ...rest } = fields
  return sealToken('invocation', identity, present({ ...rest, prf: prf.map(linkTo), cause: cause === undefined ? undefined : linkTo(cause) }))
}

const MAX_VERIFIED = 2_048
/** Delegations whose signature has been verified, by CID: a chain is sent again with every invocation. */
const verified = new Map<string, Delegation>()

/** @throws TokenError. The result shares nothing with the bytes given. */
export function decodeDelegation(bytes: Uint8Array): Delegation {
  const parsed = parseDelegation(bytes)
  parsed.checkSignature()
  return parsed.delegation
}

/** The form alone, so that a verifier can refuse a chain cheaply before it pays for its signatures. @throws TokenError */
export function parseDelegation(bytes: Uint8Array): { readonly delegation: Delegation; checkSignature(): void } {
  if (bytes.length > TOKEN_LIMITS.delegationBytes) throw tooLarge(bytes.length, TOKEN_LIMITS.delegationBytes)
  const cid = cidOf(bytes)
  const known = verified.get(cid)
  if (known !== undefined) return { delegation: known, checkSignature: () => undefined }
  const token = openToken('delegation', bytes)
  const { sub, aud, pol, nbf, meta, ...rest } = shape(DelegationPayload, token.payload)
  const delegation: Delegation = {
    ...rest,
    ...present({ nbf, meta }),
    cid,
    bytes: token.bytes,
    iss: did(rest.iss),
    aud: did(aud),
    sub: sub === null ? null : did(sub),
    pol: policy(pol),
  }
  const check = (): void => {
    checkSignature(delegation.iss, token)
    if (verified.size >= MAX_VERIFIED) verified.delete(verified.keys().next().value ?? '')
    verified.set(cid, delegation)
  }
  return { delegation, checkSignature: check }
}

/** @throws TokenError. The result shares nothing with the bytes given. */
export function decodeInvocation(bytes: Uint8Array): Invocation {
  const parsed = parseInvocation(bytes)
  parsed.checkSignature()
  return parsed.invocation
}

/** The form alone, so that a verifier can refuse cheaply before it pays for the signature. @throws TokenError */
export function parseInvocation(bytes: Uint8Array): { readonly invocation: Invocation; checkSignature(): void } {
  if (bytes.length > TOKEN_LIMITS.invocationBytes) throw tooLarge(bytes.length, TOKEN_LIMITS.invocationBytes)
  const token = openToken('invocation', bytes)
  const { iss, sub, aud, prf, iat, meta, cause, ...rest } = shape(InvocationPayload, token.payload)
  const invocation: Invocation = {
    ...rest,
    ...present({ iat, meta, aud: aud === undefined ? undefined : did(aud), cause: cause?.toString() }),
    cid: cidOf(token.bytes),
    bytes: token.bytes,
    iss: did(iss),
    sub: did(sub),
    prf: prf.map(String),
  }
  return { invocation, checkSignature: () => checkSignature(invocation.iss, token) }
}

/** The CID of token bytes, as text. */
export function cidOf(bytes: Uint8Array): string {
  return CID.createV1(0x71, digestOf(0x12, createHash('sha256').update(bytes).digest())).toString()
}

/** A CID text as the link that goes into a token. @throws TokenError */
export function linkTo(cid: string): CID {
  try {
    return CID.parse(cid)
  } catch (cause) {
    throw new TokenError('BAD_TOKEN', `not a CID: ${cid.slice(0, 80)}`, cause)
  }
}

interface OpenToken {
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
  readonly signed: Uint8Array
  readonly payload: unknown
}

/** The head of a list of two: DAG-CBOR puts its items behind it as they are. */
const PAIR = Uint8Array.of(0x82)

// Not v.record: it drops the keys `constructor` and `__proto__` instead of refusing them.
const Outer = v.strictTuple([v.instance(Uint8Array), AnyMap])

function sealToken(kind: TokenKind, identity: Identity, payload: object): Uint8Array {
  const signed = encode({ h: VARSIG_HEADER, [TOKEN_TAG[kind]]: { ...payload, iss: identity.did } })
  return new Uint8Array(Buffer.concat([PAIR, encode(identity.sign(signed)), signed]))
}

function openToken(kind: TokenKind, received: Uint8Array): OpenToken {
  const bytes = new Uint8Array(received)
  const [signature, body] = shape(Outer, decode(bytes))
  checkValues(body, 0)
  const { h, ...tagged } = body
  const [tag, ...more] = Object.keys(tagged)
  if (tag === undefined || more.length > 0) throw new TokenError('BAD_TOKEN', 'a token holds a header and one payload')
  if (tag !== TOKEN_TAG[kind]) throw new TokenError('WRONG_KIND', `expected ${TOKEN_TAG[kind]}, not ${JSON.stringify(tag.slice(0, 40))}`)
  if (!(h instanceof Uint8Array) || !sameBytes(h, VARSIG_HEADER)) throw new TokenError('BAD_ALGORITHM', 'only Ed25519 over DAG-CBOR is accepted')
  // What was signed is the second item of the pair, as it arrived: behind the head of the list and the signature's own encoding.
  return { bytes, signature, signed: bytes.subarray(1 + encode(signature).length), payload: tagged[tag] }
}

function decode(bytes: Uint8Array): unknown {
  try {
    return decodeStrict(bytes, bytes.length)
  } catch (cause) {
    if (cause instanceof BadBytes && cause.code !== 'BAD_SHAPE') throw new TokenError(cause.code, cause.message, cause)
    throw cause
  }
}

/** Only what two implementations cannot read differently: no fractions, no integers beyond 53 bits, no bottomless nesting. */
function checkValues(value: unknown, depth: number): void {
  if (depth > TOKEN_LIMITS.depth) throw new TokenError('BAD_VALUE', `nested more than ${TOKEN_LIMITS.depth} deep`)
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isSafeInteger(value))) {
    throw new TokenError('BAD_VALUE', 'numbers in tokens are integers of at most 53 bits')
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || CID.asCID(value) !== null) return
  for (const inner of Object.values(value)) checkValues(inner, depth + 1)
}

function shape<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const seen = v.safeParse(schema, value)
  if (seen.success) return seen.output
  const [issue] = seen.issues
  const path = v.getDotPath(issue) ?? 'token'
  const code = path === 'nonce' ? 'BAD_NONCE' : ['iss', 'aud', 'sub'].includes(path) ? 'BAD_DID' : 'BAD_TOKEN'
  throw new TokenError(code, `${path}: ${issue.message}`)
}

function did(text: string): Did {
  if (!isDid(text)) throw new TokenError('BAD_DID', `not an Ed25519 did:key: ${text}`)
  return asDid(text)
}

function policy(value: unknown): Policy {
  try {
    return parsePolicy(value)
  } catch (cause) {
    if (cause instanceof BadPolicy) throw new TokenError('BAD_POLICY', cause.message, cause)
    throw cause
  }
}

function checkSignature(by: Did, { signed, signature }: OpenToken): void {
  if (!verifySignature(by, signed, signature)) throw new TokenError('BAD_SIGNATURE', `the signature is not that of ${by}`)
}

function tooLarge(size: number, max: number): TokenError {
  return new TokenError('TOO_LARGE', `a token of ${size} bytes where at most ${max} are allowed`)
}

/** The entries that are there; a field that is absent is not encoded. */
function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {}
  for (const key in fields) {
    const value = fields[key]
    if (isPresent(value)) kept[key] = value
  }
  return kept
}

function isPresent<T>(value: T): value is Exclude<T, undefined> {
  return value !== undefined
}
