/**
 * The verifier: may this peer have this done on this device, now? Fails closed, cheap checks first, says why.
 * The order is part of the security argument (protocols/authority/README.md); a later check may rely on the earlier ones.
 */
import { BINDING, QUESTION_META, TOKEN_LIMITS } from '../../protocols/authority/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import type { Did } from '../identity/identity.ts'
import { type ChainCode, type ChainRefusal, expiryOf, type Rules, refuseChain, refusePolicies } from './chain.ts'
import { checkArgs } from './commands.ts'
import { explain } from './explain.ts'
import { refuseOther } from './mandate.ts'
import type { RevocationView } from './revocations.ts'
import type { SeenNonces } from './seen.ts'
import { type Delegation, type Invocation, parseDelegation, parseInvocation, type TokenCode, TokenError } from './token.ts'

export type RefusalCode =
  | TokenCode
  | ChainCode
  | 'WRONG_SUBJECT'
  | 'WRONG_AUDIENCE'
  | 'WRONG_ISSUER'
  | 'QUESTION'
  | 'EXPIRED'
  | 'TOO_EARLY'
  | 'TTL_TOO_LONG'
  | 'WRONG_CHALLENGE'
  | 'REPLAYED'
  | 'TOO_MANY'
  | 'TOO_MANY_PROOFS'
  | 'MISSING_PROOF'
  | 'UNASKED_PROOF'
  | 'REVOKED'
  | 'POLICY'
  | 'OTHER_TASK'
  | 'UNKNOWN_COMMAND'
  | 'BAD_ARGS'

export interface VerifyContext {
  /** This device: the subject of the invocation and its audience. */
  readonly self: Did
  /** The peer that the Noise handshake proved. */
  readonly peer: Did
  /** The 16 bytes this device gave the connection at hello. */
  readonly challenge: Uint8Array
  /** Seconds since the epoch, never running backwards. */
  readonly now: number
  readonly revocations: RevocationView
  readonly seen: SeenNonces
  /** True: a question is expected, and an order refused. Otherwise the other way round. */
  readonly isQuestion?: boolean
  /** It was asked for and let in before: what waited is about to start. */
  readonly isWork?: boolean
  /** Delegations already at hand, so that a proof need not be sent again. */
  readonly known?: (cid: string) => Delegation | undefined
}

export interface Refusal {
  readonly ok: false
  readonly code: RefusalCode
  /** In plain words, with the actual values. */
  readonly detail: string
  /** The grant that refused, and when it expires (seconds; null: never). */
  readonly grant?: string
  readonly expiresAt?: number | null
  /** As far as the invocation could be read: for the log of denials. Its signature may not have been checked. */
  readonly invocation?: Invocation
}

export interface Admission {
  readonly ok: true
  readonly invocation: Invocation
  /** Root first; empty when the device asks itself. */
  readonly chain: readonly Delegation[]
  /** When the chain dies, seconds; null: never. What runs on it must not run longer unchecked. */
  readonly expiresAt: number | null
}

export type Verified = Admission | Refusal

/** Verifies an invocation that arrived on a connection. Never throws for what a peer can send. */
export function verifyInvocation(bytes: Uint8Array, proofs: readonly Uint8Array[], context: VerifyContext): Verified {
  return guarded((read) => {
    const { invocation, checkSignature } = parseInvocation(bytes) // 1. size, strict form
    read(invocation)
    addressed(invocation, context) //                                2. for us, from the peer on this wire
    timely(invocation, context.now) //                               3. now
    checkSignature() //                                              4. the first thing that costs; below here the peer has really said it
    fresh(invocation, context) //                                    5. on this connection, once; after 4, or strangers could use up nonces
    const { chain, checkSignatures } = chainOf(invocation, proofs, context.known) // 6. every link well-formed, in one line from here to the peer,
    linked(invocation, chain, context, 'profile')
    checkSignatures() //                                                and only then signed: a made-up chain costs no signature
    const dead = context.revocations.kills(chain) //                 7. nobody up the chain took it back
    if (dead !== undefined) throw refuse('REVOKED', dead.words, dead.link)
    bounded(invocation, chain) //                                    8. the declared arguments are within every link's policy,
    mandated(invocation, chain) //                                      and those of a mandate its very own
    const checked = checkArgs(invocation.cmd, invocation.args) //    9. and nothing is missing or undeclared
    if (!checked.ok) throw refuse(checked.code, checked.detail)
    return { ok: true, invocation, chain, expiresAt: expiryOf(chain) }
  })
}

/** UCAN 1.0 as the specification has it: any command, any subject, no connection, no closed schemas. For conformance; never on the way to an exec. */
export function verifyBySpec(bytes: Uint8Array, proofs: readonly Uint8Array[], { now }: { readonly now: number }): Verified {
  return guarded((read) => {
    const { invocation, checkSignature } = parseInvocation(bytes)
    read(invocation)
    if (invocation.exp !== null && now >= invocation.exp) throw refuse('EXPIRED', `the invocation expired ${now - invocation.exp} s ago`)
    checkSignature()
    const { chain, checkSignatures } = chainOf(invocation, proofs, undefined)
    checkSignatures()
    linked(invocation, chain, { now }, 'spec')
    bounded(invocation, chain)
    return { ok: true, invocation, chain, expiresAt: expiryOf(chain) }
  })
}

class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.detail)
  }
}

function refuse(code: RefusalCode, detail: string, link?: Delegation): Refused {
  return new Refused({ ok: false, code, detail, ...(link === undefined ? {} : { grant: link.cid, expiresAt: link.exp }) })
}

/** Turns what a check throws into a refusal. Anything unforeseen is a defect of ours and goes on as a throw: it does not admit. */
function guarded(check: (read: (invocation: Invocation) => void) => Admission): Verified {
  let invocation: Invocation | undefined
  const facts = (): { invocation?: Invocation } => (invocation === undefined ? {} : { invocation })
  try {
    return check((read) => {
      invocation = read
    })
  } catch (thrown) {
    if (thrown instanceof Refused) return { ...thrown.refusal, ...facts() }
    if (thrown instanceof TokenError) return { ok: false, code: thrown.code, detail: thrown.message, ...facts() }
    throw thrown
  }
}

function addressed({ sub, aud, iss, meta }: Invocation, { self, peer, isQuestion = false }: VerifyContext): void {
  if (sub !== self) throw refuse('WRONG_SUBJECT', `the invocation is about ${sub}, this device is ${self}`)
  if (aud !== undefined && aud !== self) throw refuse('WRONG_AUDIENCE', `the invocation is for ${aud}, this device is ${self}`)
  if (iss !== peer) throw refuse('WRONG_ISSUER', `the invocation is signed by ${iss}, the connection is that of ${peer}`)
  if ((meta?.[QUESTION_META] === true) !== isQuestion) {
    throw refuse(
      'QUESTION',
      isQuestion ? 'the invocation is an order, and a question was expected' : 'the invocation was signed as a question, not as an order',
    )
  }
}

function timely({ exp, iat }: Invocation, now: number): void {
  const { skewSeconds, ttlSeconds } = BINDING
  if (exp === null) throw refuse('TTL_TOO_LONG', `an invocation expires within ${ttlSeconds} s`)
  if (now >= exp + skewSeconds) throw refuse('EXPIRED', `the invocation expired ${now - exp} s ago`)
  if (iat !== undefined && iat > now + skewSeconds) throw refuse('TOO_EARLY', `the invocation was made ${iat - now} s in the future`)
  if (exp - now > ttlSeconds + skewSeconds || (iat !== undefined && exp - iat > ttlSeconds)) {
    throw refuse('TTL_TOO_LONG', `an invocation lives ${ttlSeconds} s at most, this one ${exp - (iat ?? now)} s`)
  }
}

function fresh({ iss, nonce, exp }: Invocation, { challenge, seen, now }: VerifyContext): void {
  const { challengeBytes, randomBytes, ttlSeconds, skewSeconds } = BINDING
  if (challenge.length !== challengeBytes) throw new TypeError(`a challenge has ${challengeBytes} bytes`)
  if (nonce.length < challengeBytes + randomBytes)
    throw refuse('BAD_NONCE', `the nonce has ${nonce.length} bytes where the challenge and ${randomBytes} more are needed`)
  if (!sameBytes(nonce.subarray(0, challengeBytes), challenge)) throw refuse('WRONG_CHALLENGE', 'the invocation was made for another connection')
  const taken = seen.take(iss, nonce, (exp ?? now + ttlSeconds) + skewSeconds, now)
  if (taken === 'known') throw refuse('REPLAYED', 'this invocation was used before')
  if (taken === 'full') throw refuse('TOO_MANY', `this device remembers no more invocations of ${iss} for now`)
}

interface Unsigned {
  readonly chain: readonly Delegation[]
  /** Root first: who can sign the first links has a right here, and the rest is as dear as their own. @throws TokenError */
  checkSignatures(): void
}

function chainOf(invocation: Invocation, proofs: readonly Uint8Array[], known: VerifyContext['known']): Unsigned {
  const { prf } = invocation
  const most = TOKEN_LIMITS.chainLinks
  if (prf.length > most) throw refuse('CHAIN_TOO_LONG', `a chain has at most ${most} links, not ${prf.length}`)
  if (proofs.length > most) throw refuse('TOO_MANY_PROOFS', `at most ${most} proofs may be sent, not ${proofs.length}`)
  if (new Set(prf).size < prf.length) throw refuse('CHAIN_CYCLE', 'a proof is listed twice')
  const sent = new Map(proofs.map((bytes) => parseDelegation(bytes)).map((parsed) => [parsed.delegation.cid, parsed]))
  const unasked = [...sent.keys()].find((cid) => !prf.includes(cid))
  if (unasked !== undefined) throw refuse('UNASKED_PROOF', `the proof ${unasked} was sent but is not listed`)
  const chain = prf.map((cid) => {
    const link = sent.get(cid)?.delegation ?? known?.(cid)
    if (link === undefined) throw refuse('MISSING_PROOF', `the proof ${cid} is listed but was not sent`)
    return link
  })
  const checkSignatures = (): void => {
    for (const cid of prf) sent.get(cid)?.checkSignature()
  }
  return { chain, checkSignatures }
}

/** Who asks itself needs no proof; if it lists some, they count like anybody's: a mandate is run on its own bounds. */
function linked(
  { iss, sub, cmd, prf }: Invocation,
  chain: readonly Delegation[],
  { now, isWork = false }: Pick<VerifyContext, 'now' | 'isWork'>,
  rules: Rules,
): void {
  if (iss === sub && prf.length === 0) return
  const refusal: ChainRefusal | undefined = refuseChain(chain, { subject: sub, invoker: iss, command: cmd, now, isWork }, rules)
  if (refusal !== undefined) throw refuse(refusal.code, refusal.detail, refusal.link)
}

function mandated({ sub, cmd, args }: Invocation, chain: readonly Delegation[]): void {
  const other = refuseOther(chain, { subject: sub, command: cmd, args })
  if (other !== undefined) throw refuse('OTHER_TASK', other.detail, other.link)
}

function bounded({ args }: Invocation, chain: readonly Delegation[]): void {
  const refusal = refusePolicies(chain, args)
  if (refusal !== undefined) throw refuse('POLICY', explain(refusal.statement, args), refusal.link)
}
