/**
 * RFC 6962 hashing and the frontier: the few subtree hashes from which the root of a growing log follows.
 * Pure. Proofs are not made here.
 */
import { createHash } from 'node:crypto'
import { HASH_BYTES } from '../../protocols/audit/messages.ts'

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)

export function leafHash(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(LEAF).update(bytes).digest())
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(NODE).update(left).update(right).digest())
}

/** The roots of the full subtrees that `n` leaves make, largest first: one for each bit set in `n`. Immutable. */
export class Frontier {
  static readonly EMPTY = new Frontier(0, [])
  #root: Uint8Array | undefined

  private constructor(
    readonly n: number,
    readonly peaks: readonly Uint8Array[],
  ) {}

  push(leaf: Uint8Array): Frontier {
    const peaks = [...this.peaks]
    let top = leaf
    for (let rest = this.n; rest % 2 === 1; rest = (rest - 1) / 2) {
      const left = peaks.pop()
      if (left === undefined) throw new RangeError('a frontier with too few peaks')
      top = nodeHash(left, top)
    }
    peaks.push(top)
    return new Frontier(this.n + 1, peaks)
  }

  /** The Merkle tree hash; of no leaves the hash of nothing, as RFC 6962 says. */
  root(): Uint8Array {
    this.#root ??= this.#hashed()
    return this.#root
  }

  #hashed(): Uint8Array {
    const [newest, ...left] = [...this.peaks].reverse()
    if (newest === undefined) return new Uint8Array(createHash('sha256').digest())
    return left.reduce((right, peak) => nodeHash(peak, right), newest)
  }

  toBytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.peaks))
  }

  /** Rebuilds a stored frontier; undefined when the bytes cannot be one of `n` leaves. The root still has to be compared with a signed one. */
  static fromBytes(n: number, bytes: Uint8Array): Frontier | undefined {
    let bits = 0
    for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2
    if (bytes.length !== bits * HASH_BYTES) return undefined
    return new Frontier(
      n,
      Array.from({ length: bits }, (_, i) => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
    )
  }
}
