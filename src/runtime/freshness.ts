/**
 * Whether this device has heard of revocations lately enough for a grant to count. Knowledge is when it last compared the whole set with a
 * member that is not the one who asks: who may have lost a right is not whom to ask about it.
 */
import * as v from 'valibot'
import { Count, DidText, decodeAs, encode, List } from '../../protocols/wire.ts'
import { boundOf, needsNews } from '../authority/freshness.ts'
import type { Clock } from '../base/clock.ts'
import { sayDuration } from '../base/duration.ts'
import type { Did } from '../identity/identity.ts'
import type { Asked, Check, Verdict } from './checks.ts'

/** The last two are enough: one of them is not the caller. */
const KEPT = 2
/** Comparing happens every few seconds; so much of it may be forgotten in a crash. */
const SAVE_EVERY_MS = 60_000
const KEY = 'heard'
const Heard = v.strictObject({ v: v.literal(1), heard: List(v.strictObject({ from: DidText, at: Count }), KEPT) })

export interface NewsShelf {
  put(key: string, value: Uint8Array): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
}

export class RevocationNews {
  #heard: readonly { readonly from: string; readonly at: number }[] = []
  #savedAt = Number.NEGATIVE_INFINITY

  constructor(private readonly on: { readonly shelf: NewsShelf; readonly clock: Clock }) {}

  /** What was known before a restart. Unreadable is as good as nothing: then the device has to hear anew. */
  async load(): Promise<void> {
    const bytes = await this.on.shelf.get(KEY)
    try {
      if (bytes !== undefined) this.#heard = decodeAs(Heard, bytes, 1_024).heard
    } catch {
      this.#heard = []
    }
  }

  /** The whole set was compared with this member just now. Never runs backwards. */
  compared(from: Did): void {
    const { clock, shelf } = this.on
    const at = Math.max(clock.now(), ...this.#heard.filter((one) => one.from === from).map((one) => one.at))
    this.#heard = [{ from, at }, ...this.#heard.filter((one) => one.from !== from)].slice(0, KEPT)
    if (clock.monotonic() - this.#savedAt < SAVE_EVERY_MS) return
    this.#savedAt = clock.monotonic()
    void shelf.put(KEY, encode({ v: 1, heard: [...this.#heard] })).catch(() => undefined)
  }

  /** Since the last comparison with anybody but this one; Infinity when there never was one. */
  ageMs(except: Did): number {
    const at = Math.max(Number.NEGATIVE_INFINITY, ...this.#heard.filter((one) => one.from !== except).map((one) => one.at))
    return Math.max(0, this.on.clock.now() - at)
  }
}

export interface FreshnessOn {
  readonly self: Did
  readonly isOwner: (did: string) => boolean
  /** Keys whose revocations are made on this device. */
  readonly isOurs: (signer: string) => boolean
  /** Of this mesh, this device included. */
  readonly members: () => readonly string[]
  readonly news: Pick<RevocationNews, 'ageMs'>
  /** Compares with a member that is not this one, if one can be reached; bounded. */
  readonly freshen: (except: Did) => Promise<void>
  readonly clock: Clock
}

export class FreshnessCheck implements Check {
  readonly step = 'freshness'

  constructor(private readonly on: FreshnessOn) {}

  async judge({ caller, command, args, admission }: Asked): Promise<Verdict> {
    const { self, isOwner, isOurs, members, news, freshen, clock } = this.on
    if (caller === self) return { ok: true, detail: 'the device asks itself' }
    const mayLoosen = (signer: string): boolean => signer === self || isOwner(signer)
    const bound = boundOf(admission.chain, { command, args }, { mayLoosen })
    if (bound === undefined) return { ok: true, detail: 'no freshness is demanded for this' }
    const now = Math.floor(clock.now() / 1_000)
    if (!needsNews(admission.chain, bound, { now, isOurs })) return { ok: true, detail: 'the grants are young, or were given here' }
    if (!members().some((did) => did !== self && did !== caller)) return { ok: true, detail: 'there is no third device that could know more' }
    if (news.ageMs(caller) > bound * 1_000) await freshen(caller)
    return this.#verdict(news.ageMs(caller), bound)
  }

  #verdict(ageMs: number, bound: number): Verdict {
    const allowed = `${bound === 0 ? 'none' : sayDuration(bound * 1_000)} allowed`
    const age = Number.isFinite(ageMs) ? `for ${sayDuration(ageMs)}` : 'yet'
    if (ageMs <= bound * 1_000) return { ok: true, detail: `knew all revocations ${sayDuration(ageMs)} ago, ${allowed}` }
    return {
      ...{ ok: false, code: 'STALE', detail: `this device has compared revocations with no other member ${age}, ${allowed}` },
      hint: 'bring another member of the mesh online, or ask for a grant with a longer --max-staleness',
      fields: { ageSeconds: Number.isFinite(ageMs) ? Math.round(ageMs / 1_000) : null, maxStalenessSeconds: bound },
    }
  }
}
