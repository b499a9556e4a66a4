/**
 * This device's own log: append-only, one writer, signed once per commit group.
 * An append is acknowledged, and a head shown to anybody, only after the sync: a head published too early would
 * make an honest device that lost power look like a forker.
 */

import { type Entry, MAX_ENTRY_BYTES, WrittenEntry } from '../../protocols/audit/messages.ts'
import { DOMAIN, encode, shapeOf } from '../../protocols/wire.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import { seal } from '../identity/envelope.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { SignedHead, Tip } from './chain.ts'
import { type AuditRecord, entryOf, type Fact, recordOf } from './facts.ts'
import { grow, type Held, loadHeld } from './held.ts'
import { leafHash } from './merkle.ts'
import type { LogStore } from './ports.ts'

/** Entries per signed head. 64 of at most 8 KiB stay well below a page, and one signature per 64 costs nothing. */
export const MAX_GROUP = 64

export interface AuditLogParts {
  readonly store: LogStore
  readonly identity: Identity
  /** The 32 bytes of the mesh id. */
  readonly mesh: Uint8Array
  readonly clock: Clock
}

interface Waiting {
  readonly fact: Fact
  readonly along: readonly Op[]
  readonly time: number
  readonly resolve: (record: AuditRecord) => void
  readonly reject: (error: ErrandError) => void
}

type HeadListener = (head: SignedHead) => void

export class AuditLog {
  readonly #on: AuditLogParts
  #held: Held
  #queue: Waiting[] = []
  #flushing: Promise<void> | undefined
  #refusal: ErrandError | undefined
  #failed = false
  #listening: Promise<void> | undefined
  #heard = (): void => {}
  readonly #listeners = new Set<HeadListener>()

  private constructor(on: AuditLogParts, held: Held) {
    this.#on = on
    this.#held = held
  }

  /** @throws LOG_UNAVAILABLE when the newest head of this log is damaged: continuing from an older one could fork it. */
  static async open(on: AuditLogParts): Promise<AuditLog> {
    const { held, damagedHeads } = await loadHeld(on.store, on.mesh, on.identity.did)
    const [damaged] = damagedHeads
    // A damaged newest entry says no time; its head was signed no earlier.
    const time = Math.max(held.tip.time, held.tip.time === 0 ? (held.head?.time ?? 0) : 0)
    if (damaged === undefined) return new AuditLog(on, { ...held, tip: { ...held.tip, time } })
    throw unavailable(`the newest head of this device's log (${damaged.n} entries) is damaged: ${damaged.words}`, {
      hint: 'stop errand, move the db directory away and run errand up: the log is pulled back from the other devices of the mesh',
    })
  }

  get device(): Did {
    return this.#on.identity.did
  }

  /** The newest synced head; undefined while the log is empty. */
  head(): SignedHead | undefined {
    return this.#held.head
  }

  /** What stands here, for replication. */
  held(): Held {
    return this.#held
  }

  /** Calls `fn` with each new head, after its sync. The returned function stops that. */
  onHead(fn: HeadListener): () => void {
    this.#listeners.add(fn)
    return () => this.#listeners.delete(fn)
  }

  /** Why appends are refused at the moment; undefined when they are not. */
  refusal(): ErrandError | undefined {
    return this.#refusal
  }

  /**
   * Records one fact, and with it `along`: writes of another room that are durable when the entry is, or not at all.
   * Resolves only when both would survive a power cut.
   * @throws LOG_UNAVAILABLE when it cannot be made durable: then the act must not happen. BAD_FACT for a malformed one.
   */
  append(fact: Fact, along: readonly Op[] = []): Promise<AuditRecord> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal)
    return new Promise((resolve, reject) => {
      this.#queue.push({ fact, along, time: this.#on.clock.now(), resolve, reject })
      // A microtask later, so that everybody who appends in this turn shares one sync and one signature.
      this.#flushing ??= Promise.resolve().then(() => this.#flush())
    })
  }

  /**
   * Lets appends wait, without refusing them, until `release` or `hold`, and for `ms` at most. For the start: a database may have been
   * restored from a backup, and the first peer that is met says so; an entry appended before it could speak would fork the log.
   */
  listenFirst(ms: number): void {
    this.#listening = new Promise((resolve) => {
      this.#heard = resolve
      this.#on.clock.after(ms, resolve)
    })
  }

  /** Refuses appends until `release`: the mesh may know more of this log than is held here. A failed log stays failed. */
  hold(why: string): void {
    if (this.#failed) return
    this.#heard()
    this.#refusal = unavailable(why, { hint: 'errand pulls the missing entries back from the other devices; try again in a moment', retryable: true })
    this.#rejectAll(this.#refusal)
  }

  release(): void {
    this.#heard()
    if (!this.#failed) this.#refusal = undefined
  }

  /** Takes back entries of this log that a peer kept. Only while appends are refused. @returns false when this is not where the log stands. */
  async adopt(from: number, next: { readonly tip: Tip; readonly entries: readonly Uint8Array[]; readonly head: SignedHead }): Promise<boolean> {
    await this.#flushing
    if (this.#refusal === undefined || this.#failed || from !== this.#held.tip.n) return false
    this.#held = await grow(this.#on.store, this.#held, next)
    return true
  }

  async #flush(): Promise<void> {
    await this.#listening
    while (this.#queue.length > 0 && this.#refusal === undefined) {
      const group = this.#queue.splice(0, MAX_GROUP)
      try {
        await this.#commit(group)
      } catch (cause) {
        this.#fail(group, cause)
      }
    }
    this.#flushing = undefined
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    const { device } = this
    let tip = this.#held.tip
    const entries: Uint8Array[] = []
    const along: Op[] = []
    const done: (() => void)[] = []
    for (const waiting of group) {
      const made = make(waiting, tip)
      if (made instanceof ErrandError) {
        waiting.reject(made)
        continue
      }
      const leaf = leafHash(made.bytes)
      entries.push(made.bytes)
      along.push(...waiting.along)
      done.push(() => waiting.resolve(recordOf(device, made.entry, leaf)))
      tip = { n: tip.n + 1, last: leaf, time: made.entry.time, frontier: tip.frontier.push(leaf) }
    }
    if (entries.length === 0) return
    this.#held = await grow(this.#on.store, this.#held, { tip, entries, head: this.#sign(tip), along }) // 1. durable
    for (const acknowledge of done) acknowledge() // 2. acknowledged
    this.#tell() // 3. shown to the mesh
  }

  #sign(tip: Tip): SignedHead {
    const { identity, mesh } = this.#on
    const head = { log: identity.did, n: tip.n, last: tip.last, root: tip.frontier.root(), time: Math.max(tip.time, this.#on.clock.now()) }
    return { ...head, bytes: seal(identity, DOMAIN.auditHead, mesh, { v: 1, ...head }) }
  }

  #tell(): void {
    const { head } = this.#held
    if (head === undefined) return
    // In a turn of its own: a listener that throws is its own bug and must not fail the log.
    for (const listener of this.#listeners) queueMicrotask(() => listener(head))
  }

  /** Whether the failed batch is on disk is not known, so nothing may be written after it until the log is opened again. */
  #fail(group: readonly Waiting[], cause: unknown): void {
    this.#failed = true
    this.#refusal = unavailable(`the audit log could not be written: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: 'nothing runs that cannot be recorded; free disk space or repair the disk, then restart errand',
      cause,
    })
    for (const waiting of group) waiting.reject(this.#refusal)
    this.#rejectAll(this.#refusal)
  }

  #rejectAll(error: ErrandError): void {
    for (const waiting of this.#queue.splice(0)) waiting.reject(error)
  }
}

function make({ fact, time }: Waiting, tip: Tip): { readonly entry: Entry; readonly bytes: Uint8Array } | ErrandError {
  try {
    const entry = shapeOf(WrittenEntry, entryOf(fact, { n: tip.n, prev: tip.last, time: Math.max(time, tip.time) }))
    const bytes = encode(entry)
    if (bytes.length > MAX_ENTRY_BYTES) throw new RangeError(`${bytes.length} bytes`)
    return { entry, bytes }
  } catch (cause) {
    return new ErrandError('BAD_FACT', `this cannot be recorded: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

function unavailable(message: string, facts: { readonly hint: string; readonly retryable?: boolean; readonly cause?: unknown }): ErrandError {
  return new ErrandError('LOG_UNAVAILABLE', message, facts)
}
