/** What the audit room needs from outside. The store implements these over LevelDB; tests and the simulation over memory. */
import type { Op } from '../base/op.ts'
import type { Did } from '../identity/identity.ts'

export interface StoredEntry {
  readonly n: number
  readonly bytes: Uint8Array
}

/** A signed head as kept: `n` is the key it stands under, `frontier` derived data that is believed only when it gives the signed root. */
export interface StoredHead {
  readonly n: number
  readonly bytes: Uint8Array
  readonly frontier: Uint8Array
}

export interface LogBatch {
  /** Number of the first entry. */
  readonly from: number
  readonly entries: readonly Uint8Array[]
  readonly head: StoredHead
  /** An older head that this one replaces. */
  readonly dropHead: number | undefined
  /** Writes of other rooms that belong to these entries: all of it is durable, or nothing. */
  readonly along?: readonly Op[]
}

/** Heads with `above < n <= atMost`. */
export interface HeadRange {
  readonly above?: number
  readonly atMost?: number
  readonly limit: number
  readonly newestFirst?: boolean
}

export interface LogStore {
  /** Entries and head in one atomic batch. Resolves only when all of it would survive a power cut. */
  append(log: Did, batch: LogBatch): Promise<void>
  /** Entries with `from <= n < to`, in the order of n; missing ones are simply not there. */
  read(log: Did, from: number, to: number): Promise<readonly StoredEntry[]>
  heads(log: Did, range: HeadRange): Promise<readonly StoredHead[]>
  logs(): Promise<readonly Did[]>
}

/** A small sorted table of synced values; a `Shelf` of the store fits. */
export interface WitnessShelf {
  put(key: string, value: Uint8Array): Promise<void>
  entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>
}
