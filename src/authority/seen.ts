/** Remembers (issuer, nonce) until the invocation has expired, so that none is taken twice. Bounded; when it is full of living ones it refuses, it never forgets. */
import type { Did } from '../identity/identity.ts'

export const SEEN_LIMITS = { perIssuer: 65_536, issuers: 4_096 } as const

/** What a verifier asks of the memory. Call only with what is signed: an unsigned nonce must not poison a later honest one. */
export interface SeenNonces {
  /** Records the nonce. @param until seconds since the epoch. @returns false when it was there already or there is no room. */
  take(by: Did, nonce: Uint8Array, until: number, now: number): boolean
}

export class NonceMemory implements SeenNonces {
  readonly #byIssuer = new Map<Did, Map<string, number>>()

  take(by: Did, nonce: Uint8Array, until: number, now: number): boolean {
    const nonces = this.#byIssuer.get(by) ?? new Map<string, number>()
    const key = Buffer.from(nonce).toString('base64')
    if (nonces.has(key)) return false
    if (nonces.size >= SEEN_LIMITS.perIssuer) forget(nonces, now)
    if (!this.#byIssuer.has(by) && this.#byIssuer.size >= SEEN_LIMITS.issuers) this.#sweep(now)
    if (nonces.size >= SEEN_LIMITS.perIssuer || (!this.#byIssuer.has(by) && this.#byIssuer.size >= SEEN_LIMITS.issuers)) return false
    nonces.set(key, until)
    this.#byIssuer.set(by, nonces)
    return true
  }

  #sweep(now: number): void {
    for (const [by, nonces] of this.#byIssuer) {
      forget(nonces, now)
      if (nonces.size === 0) this.#byIssuer.delete(by)
    }
  }
}

function forget(nonces: Map<string, number>, now: number): void {
  for (const [key, until] of nonces) if (until < now) nonces.delete(key)
}
