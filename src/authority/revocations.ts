/**
 * The grow-only set of revocations. A revocation is a `/ucan/revoke` invocation (UCAN Revocation 1.0) by its revoker on itself, without expiry.
 * Anybody may put anything here; it counts only against chains in which its signer issued the revoked link or one nearer the root.
 */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as v from 'valibot'
import { QUESTION_META, TOKEN_LIMITS } from '../../protocols/authority/messages.ts'
import { type Random, systemRandom } from '../base/clock.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { diesWith } from './chain.ts'
import { RevokeArgs } from './commands.ts'
import { type Delegation, decodeInvocation, type Invocation, linkTo, signInvocation, TokenError } from './token.ts'

export const REVOKE = '/ucan/revoke'

export interface Revocation {
  /** CID of the revocation itself. */
  readonly cid: string
  readonly bytes: Uint8Array
  readonly by: Did
  /** CID of the delegation that is revoked. */
  readonly of: string
}

/** Why a chain is dead. */
export interface Killed {
  readonly link: Delegation
  readonly words: string
  /** Absent where nobody revoked the link: somebody it passes through does not count any more. */
  readonly revocation?: Revocation
}

/** What a verifier asks of the set. */
export interface RevocationView {
  /** The first link of a chain (root first) that is dead. */
  kills(chain: readonly Delegation[]): Killed | undefined
}

/** Signs a revocation. Whether it counts depends on the chains the CID appears in. */
export function revoke(identity: Identity, cid: string, random: Random = systemRandom): Revocation {
  const args = { ucan: linkTo(cid) }
  return revocationOf(signInvocation(identity, { sub: identity.did, cmd: REVOKE, args, prf: [], nonce: random(TOKEN_LIMITS.nonceBytes.min), exp: null }))
}

/** @throws TokenError when the bytes are no revocation. */
export function decodeRevocation(bytes: Uint8Array): Revocation {
  return revocationOf(decodeInvocation(bytes))
}

export class Revocations implements RevocationView {
  readonly #byCid = new Map<string, Revocation>()
  readonly #byTarget = new Map<string, Map<Did, Revocation>>()
  #isBarred: (did: Did) => boolean = () => false
  #isVoid: (link: Delegation, above: Delegation | undefined) => boolean = () => false

  /** Whatever passes through these is dead, whoever signed it: devices that were removed. */
  bar(isBarred: (did: Did) => boolean): void {
    this.#isBarred = isBarred
  }

  /** Links that do not count whatever they hang on: signed by an owner who was taken out, or for a role of such a one. */
  voids(isVoid: (link: Delegation, above: Delegation | undefined) => boolean): void {
    this.#isVoid = isVoid
  }

  get size(): number {
    return this.#byCid.size
  }

  /** Adds a verified revocation. @returns it, and whether it was new: only the first revocation of a link by one signer is kept. @throws TokenError */
  add(bytes: Uint8Array): { readonly revocation: Revocation; readonly isNew: boolean } {
    const revocation = decodeRevocation(bytes)
    const bySigner = this.#byTarget.get(revocation.of) ?? new Map<Did, Revocation>()
    const known = bySigner.get(revocation.by)
    if (known !== undefined && known.cid <= revocation.cid) return { revocation: known, isNew: false }
    // Two devices may hold two revocations of one link by one signer: the lesser CID wins, so that their sets and digests still meet.
    if (known !== undefined) this.#byCid.delete(known.cid)
    this.#byCid.set(revocation.cid, revocation)
    this.#byTarget.set(revocation.of, bySigner.set(revocation.by, revocation))
    return { revocation, isNew: true }
  }

  has(cid: string): boolean {
    return this.#byCid.has(cid)
  }

  get(cid: string): Revocation | undefined {
    return this.#byCid.get(cid)
  }

  /** All revocations, by CID. */
  list(): readonly Revocation[] {
    return [...this.#byCid.values()].sort((a, b) => (a.cid < b.cid ? -1 : 1))
  }

  /** SHA-256 over the sorted CIDs: equal digests, equal sets. */
  digest(): Uint8Array {
    const hash = createHash('sha256')
    for (const cid of [...this.#byCid.keys()].sort()) hash.update(cid)
    return new Uint8Array(hash.digest())
  }

  /** Whether one of these signers has revoked this token. */
  revokedBy(cid: string, signers: ReadonlySet<Did>): Revocation | undefined {
    for (const [signer, revocation] of this.#byTarget.get(cid) ?? []) if (signers.has(signer)) return revocation
    return undefined
  }

  kills(chain: readonly Delegation[]): Killed | undefined {
    return this.revokes(chain) ?? this.#bars(chain) ?? this.#unsays(chain)
  }

  /** Whether somebody up the chain took a link back; who is barred does not matter here: somebody who joins again comes with a chain to itself. */
  revokes(chain: readonly Delegation[]): Killed | undefined {
    const upstream = new Set<Did>()
    for (const link of chain) {
      upstream.add(link.iss)
      const anchor = diesWith(link)
      const revocation = this.revokedBy(link.cid, upstream) ?? (anchor === undefined ? undefined : this.revokedBy(anchor, upstream))
      if (revocation !== undefined) return { link, revocation, words: `the grant was revoked by ${revocation.by}` }
    }
    return undefined
  }

  #unsays(chain: readonly Delegation[]): Killed | undefined {
    const link = chain.find((one, at) => this.#isVoid(one, chain[at - 1]))
    return link && { link, words: `the grant was signed by ${link.iss}, which is no owner of this mesh any more` }
  }

  #bars(chain: readonly Delegation[]): Killed | undefined {
    for (const link of chain) {
      const barred = [link.iss, link.aud].find((did) => this.#isBarred(did))
      if (barred !== undefined) return { link, words: `the grant passes through ${barred}, which was removed from the mesh` }
    }
    return undefined
  }
}

function revocationOf(token: Invocation): Revocation {
  const { iss, sub, aud, cmd, args, prf, exp, meta } = token
  const isWhole = cmd === REVOKE && sub === iss && (aud === undefined || aud === iss) && prf.length === 0 && exp === null
  if (!isWhole || meta?.[QUESTION_META] !== undefined) {
    throw new TokenError('BAD_REVOCATION', `a revocation is ${REVOKE} by its signer on itself, without proofs and without expiry`)
  }
  const seen = v.safeParse(RevokeArgs, args)
  const ucan = seen.success ? CID.asCID(seen.output.ucan) : null
  if (ucan === null) throw new TokenError('BAD_REVOCATION', 'a revocation names one token by its link')
  return { cid: token.cid, bytes: token.bytes, by: iss, of: ucan.toString() }
}
