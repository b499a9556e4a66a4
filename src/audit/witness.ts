/**
 * What this device knows about logs beyond the entries it holds: the highest head of each that anybody showed it,
 * how much of it was once complete here, and proofs of forks. Durable, so that a log that was cut is noticed after a restart.
 */
import * as v from 'valibot'
import { MAX_HEAD_BYTES } from '../../protocols/audit/messages.ts'
import { Bytes, decodeAs, encode, sameBytes } from '../../protocols/wire.ts'
import type { Did } from '../identity/identity.ts'
import { readHead, type SignedHead } from './chain.ts'
import type { WitnessShelf } from './ports.ts'

/** Two heads of one log that cannot both be true. With the same `n` they are the whole proof; else the entries between them belong to it. */
export interface ForkProof {
  readonly a: SignedHead
  readonly b: SignedHead
}

const ProofValue = v.strictTuple([Bytes(MAX_HEAD_BYTES), Bytes(MAX_HEAD_BYTES)])
/** One proof is enough to distrust a log; a few more help to find out why. */
const MAX_FORKS_PER_LOG = 8

export class Witnesses {
  readonly #seen = new Map<Did, SignedHead>()
  readonly #held = new Map<Did, SignedHead>()
  readonly #forks = new Map<Did, readonly ForkProof[]>()
  readonly #peers = new Map<Did, Map<Did, number>>()

  private constructor(
    private readonly shelf: WitnessShelf,
    private readonly mesh: Uint8Array,
  ) {}

  /** Values that were damaged on disk are left out: they prove nothing. */
  static async load(shelf: WitnessShelf, mesh: Uint8Array): Promise<Witnesses> {
    const witnesses = new Witnesses(shelf, mesh)
    for await (const [, bytes] of shelf.entries('seen/')) witnesses.#remember(witnesses.#seen, bytes)
    for await (const [, bytes] of shelf.entries('held/')) witnesses.#remember(witnesses.#held, bytes)
    for await (const [, bytes] of shelf.entries('fork/')) witnesses.#loadFork(bytes)
    return witnesses
  }

  /** The highest head known of a log, from any peer. */
  highest(log: Did): SignedHead | undefined {
    return this.#seen.get(log)
  }

  /** The highest head up to which the log of another device was once complete here. */
  completed(log: Did): SignedHead | undefined {
    return this.#held.get(log)
  }

  forks(log: Did): readonly ForkProof[] {
    return this.#forks.get(log) ?? []
  }

  logs(): readonly Did[] {
    return [...new Set([...this.#seen.keys(), ...this.#held.keys(), ...this.#forks.keys()])]
  }

  /** How many other devices showed a head of this log since the start. */
  peers(log: Did): number {
    return this.#peers.get(log)?.size ?? 0
  }

  notePeer(head: SignedHead, peer: Did): void {
    if (peer === head.log) return
    const known = this.#peers.get(head.log) ?? new Map<Did, number>()
    known.set(peer, Math.max(head.n, known.get(peer) ?? 0))
    this.#peers.set(head.log, known)
  }

  /** Keeps a head that is higher than any seen. Resolves after the sync. */
  async see(head: SignedHead): Promise<void> {
    if ((this.#seen.get(head.log)?.n ?? 0) >= head.n) return
    this.#seen.set(head.log, head)
    await this.shelf.put(`seen/${head.log}`, head.bytes)
  }

  async complete(head: SignedHead): Promise<void> {
    if ((this.#held.get(head.log)?.n ?? 0) >= head.n) return
    this.#held.set(head.log, head)
    await this.shelf.put(`held/${head.log}`, head.bytes)
  }

  async accuse(a: SignedHead, b: SignedHead): Promise<void> {
    const known = this.forks(a.log)
    const has = (head: SignedHead): boolean => known.some((proof) => sameBytes(proof.a.root, head.root) || sameBytes(proof.b.root, head.root))
    if (known.length >= MAX_FORKS_PER_LOG || (has(a) && has(b))) return
    this.#forks.set(a.log, [...known, { a, b }])
    await this.shelf.put(`fork/${a.log}/${known.length}`, encode([a.bytes, b.bytes]))
  }

  #remember(into: Map<Did, SignedHead>, bytes: Uint8Array): void {
    const head = readHead(this.mesh, bytes)
    if (typeof head !== 'string') into.set(head.log, head)
  }

  #loadFork(bytes: Uint8Array): void {
    let pair: readonly Uint8Array[]
    try {
      pair = decodeAs(ProofValue, bytes, 2 * MAX_HEAD_BYTES + 16)
    } catch {
      return
    }
    const [a, b] = pair.map((head) => readHead(this.mesh, head))
    if (typeof a !== 'object' || typeof b !== 'object' || a.log !== b.log) return
    this.#forks.set(a.log, [...this.forks(a.log), { a, b }])
  }
}
