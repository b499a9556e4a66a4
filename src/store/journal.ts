/**
 * One commit unit for everything that must be durable: all who wait while a sync is under way share the next one.
 * Fails closed: after a failed write nothing more is written until the database is opened again.
 */
import { asErrand, type ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import type { Disk } from './disk.ts'

/** Bounds the memory of one batch; a single larger commit still goes alone and whole. */
const MAX_GROUP_OPS = 4_096

interface Waiting {
  readonly ops: readonly Op[]
  readonly resolve: () => void
  readonly reject: (error: ErrandError) => void
}

export class Journal {
  #queue: Waiting[] = []
  #writing: Promise<void> | undefined
  #failure: ErrandError | undefined

  constructor(private readonly disk: Pick<Disk, 'write'>) {}

  /** Writes all of `ops` or nothing. Resolves only after the sync; commits take effect in the order of the calls. */
  commit(ops: readonly Op[]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (ops.length === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#queue.push({ ops, resolve, reject })
      this.#writing ??= Promise.resolve().then(() => this.#write())
    })
  }

  /** Resolves when nothing is waiting any more, whether it was written or refused. */
  async idle(): Promise<void> {
    await this.#writing
  }

  async #write(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#nextGroup()
      try {
        await this.disk.write(
          group.flatMap((waiting) => waiting.ops),
          { sync: true },
        )
        for (const waiting of group) waiting.resolve()
      } catch (cause) {
        this.#failure = asErrand(cause, 'DB_UNAVAILABLE')
        for (const waiting of [...group, ...this.#queue.splice(0)]) waiting.reject(this.#failure)
      }
    }
    this.#writing = undefined
  }

  #nextGroup(): readonly Waiting[] {
    let ops = 0
    let size = 0
    for (const waiting of this.#queue) {
      ops += waiting.ops.length
      if (size > 0 && ops > MAX_GROUP_OPS) break
      size += 1
    }
    return this.#queue.splice(0, size)
  }
}
