/**
 * Remembers (issuer, nonce) until the invocation has expired, so that none is taken twice. In memory: a nonce begins with the challenge of its
 * connection, and no challenge outlives the process that gave it. Bounded: when it is full of living nonces it refuses, it never forgets one.
 */
import type { Did } from '../identity/identity.ts'

/** 262,144: 800 invocations a second of the longest life allowed; about 30 MB if one issuer really does that. */
export const SEEN_LIMITS = { perIssuer: 262_144, issuers: 4_096 } as const

/** What a verifier asks of the memory. Call only with what is signed: an unsigned nonce must not poison a later honest one. */
export interface SeenNonces {
  /** Records the nonce until then (seconds since the epoch). `full`: not recorded, so it must be refused. */
  take(by: Did, nonce: Uint8Array, until: number, now: number): 'new' | 'known' | 'full'
}

export class NonceMemory implements SeenNonces {
  readonly #byIssuer = new Map<Did, Map<string, number>>()

  take(by: Did, nonce: Uint8Array, until: number, now: number): 'new' | 'known' | 'full' {
    const nonces = this.#byIssuer.get(by) ?? new Map<string, number>()
    const key = Buffer.from(nonce).toString('latin1')
    if (nonces.has(key)) return 'known'
    forgetOldest(nonces, now)
    if (nonces.size >= SEEN_LIMITS.perIssuer || !this.#hasRoomFor(by, now)) return 'full'
    nonces.set(key, until)
    this.#byIssuer.set(by, nonces)
    return 'new'
  }

  #hasRoomFor(by: Did, now: number): boolean {
    if (this.#byIssuer.has(by) || this.#byIssuer.size < SEEN_LIMITS.issuers) return true
    for (const [other, nonces] of this.#byIssuer) {
      forgetOldest(nonces, now)
      if (nonces.size === 0) this.#byIssuer.delete(other)
    }
    return this.#byIssuer.size < SEEN_LIMITS.issuers
  }
}

/** Drops expired nonces from the front. One with a long life holds up those behind it, at most for that life; a full scan each time would cost a flood. */
function forgetOldest(nonces: Map<string, number>, now: number): void {
  for (const [key, until] of nonces) {
    if (until >= now) return
    nonces.delete(key)
  }
}
