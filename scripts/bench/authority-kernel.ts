/**
 * The kernel alone, for bench:authority: verifies what it is sent over its IPC channel and says what each took. A process of its own, since whoever
 * signs a delegation has it in the cache of those that are known; here nothing is known that was not judged here before.
 */
import { Revocations, revoke } from '../../src/authority/revocations.ts'
import { NonceMemory } from '../../src/authority/seen.ts'
import { cidOf } from '../../src/authority/token.ts'
import { verifyInvocation } from '../../src/authority/verify.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { type Did, Identity } from '../../src/identity/identity.ts'

/** One request, as it comes off the wire. */
export interface Request {
  readonly self: Did
  readonly peer: Did
  readonly challenge: Uint8Array
  readonly invocation: Uint8Array
  readonly proofs: readonly Uint8Array[]
}
/** `known`: are judged first, and not timed. */
export interface KernelAsked {
  readonly known: readonly Request[]
  readonly timed: readonly Request[]
}
export type KernelTold = { readonly t: 'ready' } | { readonly t: 'took'; readonly ms: readonly number[] } | { readonly t: 'failed'; readonly why: string }

/** As many as a mesh gathers in its first years. */
const REVOKED = 200

const revocations = new Revocations()
const someone = new Identity(systemRandom(32))
for (let n = 0; n < REVOKED; n++) revocations.add(revoke(someone, cidOf(systemRandom(64))).bytes)
const seen = new NonceMemory()

function judged({ self, peer, challenge, invocation, proofs }: Request): number {
  const before = performance.now()
  const now = Math.floor(systemClock.now() / 1_000)
  const verdict = verifyInvocation(invocation, proofs, { self, peer, challenge, now, revocations, seen })
  const ms = performance.now() - before
  if (!verdict.ok) throw new Error(`the kernel says no: ${verdict.code}: ${verdict.detail}`)
  return ms
}

function answer({ known, timed }: KernelAsked): KernelTold {
  try {
    for (const request of known) judged(request)
    return { t: 'took', ms: timed.map(judged) }
  } catch (thrown) {
    return { t: 'failed', why: String(thrown) }
  }
}

process.on('message', (asked: KernelAsked) => void process.send?.(answer(asked)))
process.once('disconnect', () => process.exit(0))
process.send?.({ t: 'ready' })
