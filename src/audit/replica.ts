/**
 * Replication without a network: which heads to believe, what to ask for, what to store, what to serve.
 * Nothing of another log is stored before its chain and the signed head at its end have been checked.
 * The own log is pulled back the same way when peers know more of it than this device does.
 */
import { AUDIT, type AuditAnswer, type AuditRequest, type Page } from '../../protocols/audit/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import { type Did, isDid } from '../identity/identity.ts'
import { checkSegment, extend, headFits, readHead, type SignedHead } from './chain.ts'
import { grow, type Held, loadHeld, NOTHING_HELD } from './held.ts'
import type { AuditLog } from './log.ts'
import { cutPage, rootAt } from './pages.ts'
import type { LogStore, StoredHead, WitnessShelf } from './ports.ts'
import { Witnesses } from './witness.ts'

/**
 * `known`: nothing new. `behind`: entries are missing here, see `wants`. `fork`: it contradicts what is held or was seen; the proof is kept.
 * `refused`: no valid head of a log this device replicates.
 */
export type Offer = 'known' | 'behind' | 'fork' | 'refused'

/** Entries `from <= n < to` of a log are missing here. */
export interface Want {
  readonly log: Did
  readonly from: number
  readonly to: number
}

/** `stored` counts entries. `liar` says whether the peer that sent the page must have known better. */
export type Accepted =
  | { readonly t: 'stored'; readonly stored: number; readonly n: number }
  | { readonly t: 'refused'; readonly why: string; readonly liar: boolean }

export interface ReplicaParts {
  readonly store: LogStore
  readonly shelf: WitnessShelf
  readonly mesh: Uint8Array
  readonly own: AuditLog
  /** Whether heads and entries of this device's log are kept here: members only, or a stranger could fill the disk. */
  readonly keeps?: (log: Did) => boolean
}

const MAX_VERIFIED = 4_096

export class Replica {
  readonly #on: ReplicaParts
  readonly #held = new Map<Did, Held>()
  readonly #turns = new Map<Did, Promise<unknown>>()
  /** Heads whose signature was checked already, and those found to be part of what is held: peers repeat the same heads all the time. */
  readonly #verified = new Map<string, SignedHead>()
  readonly #known = new WeakSet<SignedHead>()

  private constructor(
    on: ReplicaParts,
    readonly witnesses: Witnesses,
  ) {
    this.#on = on
  }

  static async open(on: ReplicaParts): Promise<Replica> {
    const replica = new Replica(on, await Witnesses.load(on.shelf, on.mesh))
    for (const log of await on.store.logs()) {
      if (log !== on.own.device) replica.#held.set(log, (await loadHeld(on.store, on.mesh, log)).held)
    }
    replica.#holdOwn()
    return replica
  }

  /** @param peer who showed it, to count witnesses. */
  offerHead(bytes: Uint8Array, peer?: Did): Promise<Offer> {
    const head = this.#readHead(bytes)
    if (head === undefined || !this.#keeps(head.log)) return Promise.resolve('refused')
    if (peer !== undefined) this.witnesses.notePeer(head, peer)
    return this.#inTurn(head.log, () => this.#judge(head))
  }

  /** What to pull, the own log first. Logs with a proven fork are left as they are: there is no way to tell which branch is true. */
  wants(): readonly Want[] {
    const own = this.#on.own.device
    const logs = [own, ...this.witnesses.logs().filter((log) => log !== own)]
    return logs
      .filter((log) => this.#keeps(log) && this.witnesses.forks(log).length === 0)
      .flatMap((log) => {
        const from = this.#heldOf(log).tip.n
        const to = this.witnesses.highest(log)?.n ?? 0
        return to > from ? [{ log, from, to }] : []
      })
  }

  /** Checks a page and stores it, or says why not and stores nothing. */
  accept(log: Did, page: Page): Promise<Accepted> {
    return this.#inTurn(log, () => this.#accept(log, page))
  }

  /** Lets appends go on when no peer knows more of the own log than is held here. @returns whether they may. */
  releaseOwn(): boolean {
    const own = this.#on.own
    if (this.#ownIsBehind()) return false
    own.release()
    return own.refusal() === undefined
  }

  /** Every newest head and every fork proof known here: what a peer needs to know what it lacks. */
  heads(): readonly Uint8Array[] {
    const logs = new Set([this.#on.own.device, ...this.#held.keys(), ...this.witnesses.logs()])
    const found = [...logs].flatMap((log) => {
      const held = this.#heldOf(log).head
      const seen = this.witnesses.highest(log)
      const newest = held !== undefined && held.n >= (seen?.n ?? 0) ? held : seen
      const proofs = this.witnesses.forks(log).flatMap(({ a, b }) => [a.bytes, b.bytes])
      return [...(newest === undefined ? [] : [newest.bytes]), ...proofs]
    })
    return found.slice(0, AUDIT.maxHeads)
  }

  /**
   * Entries to serve, ending at a signed head: the last one that fits `max` and a frame, or the first after `from` when none fits `max`.
   * Undefined when nothing is held from there on.
   */
  async page(log: Did, from: number, max: number): Promise<Page | undefined> {
    // Never beyond what is known to be synced: a store may already show a batch whose sync is still under way.
    return await cutPage(this.#on.store, { log, from, max, upTo: this.#heldOf(log).tip.n })
  }

  /** Answers one frame of `/errand/audit/1`. Whether the asker may read bodies is decided before. */
  async answer(request: AuditRequest): Promise<AuditAnswer> {
    if (request.t === 'heads') return { t: 'heads', heads: this.heads() }
    const page = isDid(request.log) ? await this.page(request.log, request.from, request.max) : undefined
    return page ?? { t: 'none', log: request.log, from: request.from }
  }

  async #judge(head: SignedHead): Promise<Offer> {
    if (this.#known.has(head)) return 'known'
    const seen = this.witnesses.highest(head.log)
    const rival = [this.#heldOf(head.log).head, seen].find((other) => other?.n === head.n && !sameBytes(other.root, head.root))
    if (rival !== undefined) return await this.#accuse(rival, head)
    const held = this.#heldOf(head.log)
    if (head.n > held.tip.n) {
      await this.witnesses.see(head)
      this.#holdOwn()
      return 'behind'
    }
    const root = await rootAt(this.#on.store, (stored) => this.#believe(head.log, stored), head)
    if (held.head !== undefined && root !== undefined && !sameBytes(root, head.root)) return await this.#accuse(held.head, head)
    if (head.log === this.#on.own.device) await this.witnesses.see(head)
    if (root !== undefined) this.#known.add(head)
    return 'known'
  }

  async #accuse(a: SignedHead, b: SignedHead): Promise<Offer> {
    await this.witnesses.accuse(a, b)
    this.#holdOwn()
    return 'fork'
  }

  async #accept(log: Did, page: Page): Promise<Accepted> {
    const held = this.#heldOf(log)
    const { mesh, own } = this.#on
    if (!this.#keeps(log) || page.log !== log) return refused('a page of a log that was not asked for', true)
    if (page.from !== held.tip.n) return refused(`a page from entry ${page.from} where ${held.tip.n} is next`, false)
    const head = this.#readHead(page.head)
    if (head === undefined || head.log !== log) return refused(`not a head of this log: ${sayBadHead(readHead(mesh, page.head, log))}`, true)
    if (head.n !== page.from + page.entries.length)
      return refused(`a head of ${head.n} entries at the end of a page up to ${page.from + page.entries.length}`, true)
    const next = extend(held.tip, page.entries)
    if ('broken' in next) return await this.#refuseBroken(held, page, head, next.broken.words)
    if (!headFits(head, next.tip)) return refused(`the head of ${head.n} entries was not signed over these entries`, true)
    const grown = { tip: next.tip, entries: page.entries, head }
    if (log === own.device) {
      if (!(await own.adopt(page.from, grown))) return refused('this device writes its own log', false)
      this.releaseOwn()
    } else {
      this.#held.set(log, await grow(this.#on.store, held, grown))
      await this.witnesses.complete(head)
    }
    await this.witnesses.see(head)
    return { t: 'stored', stored: page.entries.length, n: head.n }
  }

  /**
   * A page that does not continue what is held: when its entries do lead to its signed head, the device signed two histories
   * (what is held ends at a signed head as well); else the peer that sent it made it up.
   */
  async #refuseBroken(held: Held, page: Page, head: SignedHead, words: string): Promise<Accepted> {
    const stored = page.entries.map((bytes, i) => ({ n: page.from + i, bytes }))
    const [first] = checkSegment(held.tip, head, stored).problems
    if (first?.kind === 'contradiction' && held.head !== undefined) {
      await this.#accuse(held.head, head)
      return refused(`the device signed two histories: ${words}`, false)
    }
    // Without a problem, or with one in what the device did sign, the fault is the device's own, or a newer format.
    return refused(words, first !== undefined && first.kind !== 'unreadable' && first.kind !== 'backwards')
  }

  /** A fork of the own log cannot be pulled back: this branch goes on, and every verification says so. */
  #ownIsBehind(): boolean {
    const { device } = this.#on.own
    return this.witnesses.forks(device).length === 0 && (this.witnesses.highest(device)?.n ?? 0) > this.#heldOf(device).tip.n
  }

  #holdOwn(): void {
    const { own } = this.#on
    if (!this.#ownIsBehind()) return void (this.witnesses.forks(own.device).length > 0 && own.release())
    const known = this.witnesses.highest(own.device)?.n
    own.hold(`other devices know ${known} entries of this device's log, here are only ${own.held().tip.n}: a backup was restored or the database was damaged`)
  }

  #heldOf(log: Did): Held {
    return log === this.#on.own.device ? this.#on.own.held() : (this.#held.get(log) ?? NOTHING_HELD)
  }

  #keeps(log: Did): boolean {
    return log === this.#on.own.device || this.#on.keeps?.(log) !== false
  }

  #believe(log: Did, stored: StoredHead): SignedHead | undefined {
    const head = this.#readHead(stored.bytes)
    return head?.log === log && head.n === stored.n ? head : undefined
  }

  #readHead(bytes: Uint8Array): SignedHead | undefined {
    const key = Buffer.from(bytes).toString('latin1')
    const known = this.#verified.get(key)
    if (known !== undefined) return known
    const head = readHead(this.#on.mesh, bytes)
    if (typeof head === 'string') return undefined
    if (this.#verified.size >= MAX_VERIFIED) this.#verified.clear()
    this.#verified.set(key, head)
    return head
  }

  /** One judgement of a log at a time: each reads what the one before it stored. */
  #inTurn<T>(log: Did, act: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(log) ?? Promise.resolve()
    const mine = before.then(act, act)
    const settled = mine.catch(() => undefined)
    this.#turns.set(log, settled)
    void settled.then(() => this.#turns.get(log) === settled && this.#turns.delete(log))
    return mine
  }
}

function refused(why: string, liar: boolean): Accepted {
  return { t: 'refused', why, liar }
}

function sayBadHead(head: SignedHead | string): string {
  return typeof head === 'string' ? head : 'of another log'
}
