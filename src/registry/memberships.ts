/**
 * Who is a member. Of each device two records are kept: the newest that an owner signed, and the newest of somebody with an owner's leave.
 * Which of them counts follows from both and from the removals alone, so all devices that heard the same agree, in whatever order they heard it. Pure.
 */
import type { Membership } from '../../protocols/member/messages.ts'
import type { OwnersView } from './owners.ts'

export interface HeldMembership {
  readonly id: string
  readonly bytes: Uint8Array
  readonly value: Membership
  readonly by: string
}

export type SignedBy = 'owner' | 'leave'

/** When a device was removed, milliseconds since the epoch; undefined when it never was. */
export type RemovedAt = (did: string) => number | undefined

export type Kind = Membership['kind']

export class Memberships {
  /** By the old key: the record by which another one goes on for it. */
  readonly #successions = new Map<string, HeldMembership & { readonly signedBy: SignedBy }>()
  readonly #held = { owner: new Map<string, HeldMembership>(), leave: new Map<string, HeldMembership>() } as const

  /** @param now milliseconds since the epoch: a guest's membership ends. */
  constructor(
    private readonly removedAt: RemovedAt,
    private readonly owners: Pick<OwnersView, 'counts'>,
    private readonly now: () => number,
  ) {}

  /** One that a removal outdoes is kept for its name, and is no news to anybody. */
  keep(next: HeldMembership, by: SignedBy): 'new' | 'known' {
    const { device } = next.value
    if (!this.#takesOver(next, by)) return 'known'
    const held = this.#held[by].get(device)
    if (held !== undefined && this.#isSigned(held, by) && !isNewer(next, held)) return 'known'
    this.#held[by].set(device, next)
    return this.#counts(next, by) ? 'new' : 'known'
  }

  /** Which key goes on for this one. */
  successorOf(did: string): string | undefined {
    return this.#successions.get(did)?.value.device
  }

  /** The keys that a device had before, the last one first. */
  before(did: string): string[] {
    const keys: string[] = []
    for (let at = this.#cameFrom(did); at !== undefined && !keys.includes(at); at = this.#cameFrom(at)) keys.push(at)
    return keys
  }

  #cameFrom(did: string): string | undefined {
    return this.#held.owner.get(did)?.value.succeeds ?? this.#held.leave.get(did)?.value.succeeds
  }

  /** Old keys, each with the one that goes on for it. */
  successions(): (readonly [before: string, after: string])[] {
    return [...this.#successions].map(([before, { value }]) => [before, value.device] as const)
  }

  /** A key has one successor: an owner's word before its own, and of its own the one that was known first. Whoever stole it could sign another one. */
  #takesOver(next: HeldMembership, signedBy: SignedBy): boolean {
    const { succeeds, device } = next.value
    if (succeeds === undefined) return true
    const known = this.#successions.get(succeeds)
    const isBetter = known === undefined || known.value.device === device || (signedBy === 'owner' && (known.signedBy !== 'owner' || isNewer(next, known)))
    if (isBetter) this.#successions.set(succeeds, { ...next, signedBy })
    return isBetter
  }

  /** The record by which a device is in the mesh, as what it says. */
  get(did: string): HeldMembership | undefined {
    const held = this.#newest(did)
    return held === undefined || this.#isOver(held) ? undefined : held
  }

  /** The newest that counts, also of a guest whose time is over: nothing older takes its place then. */
  #newest(did: string): HeldMembership | undefined {
    const [one, other] = this.counting(did)
    return one !== undefined && other !== undefined && isNewer(other, one) ? other : one
  }

  /** Those that count, at most two. */
  counting(did: string): HeldMembership[] {
    return (['owner', 'leave'] as const).flatMap((by) => {
      const held = this.#held[by].get(did)
      return held !== undefined && this.#counts(held, by) ? [held] : []
    })
  }

  /** The last that is known of a device, whether it is still a member or not. */
  last(did: string): HeldMembership | undefined {
    return this.#newest(did) ?? this.#held.owner.get(did) ?? this.#held.leave.get(did)
  }

  /** It was in the mesh, and an owner removed it. */
  isRemoved(did: string): boolean {
    return this.#goneAt(did) !== undefined && this.#newest(did) === undefined
  }

  /** Of a guest whose time is over: when that was. */
  overSince(did: string): number | undefined {
    const held = this.#newest(did)
    return held !== undefined && this.#isOver(held) ? held.value.until : undefined
  }

  /** Guests whose time is over. */
  over(): Membership[] {
    return this.#devices().flatMap((did) => (this.overSince(did) === undefined ? [] : (this.#newest(did)?.value ?? [])))
  }

  /** Of members and guests. */
  all(): HeldMembership[] {
    return this.#devices().flatMap((did) => this.get(did) ?? [])
  }

  /** Every record that counts: what is handed on. */
  records(): HeldMembership[] {
    return this.#devices().flatMap((did) => this.counting(did))
  }

  removed(): HeldMembership[] {
    return this.#devices().flatMap((did) => (this.isRemoved(did) ? (this.last(did) ?? []) : []))
  }

  #devices(): string[] {
    return [...new Set([...this.#held.owner.keys(), ...this.#held.leave.keys()])]
  }

  #isOver({ value: { until } }: HeldMembership): boolean {
    return until !== undefined && until <= this.now()
  }

  /** Removal wins: against it stands only an owner's own word that was given later. */
  #counts(held: HeldMembership, by: SignedBy): boolean {
    const { value } = held
    const goneAt = this.#goneAt(value.device)
    if (!this.#isSigned(held, by) || !this.#mayGoOn(held, by)) return false
    return goneAt === undefined || (by === 'owner' && value.at > goneAt)
  }

  /** Removed by an owner, or gone on under another key. */
  #goneAt(did: string): number | undefined {
    const times = [this.removedAt(did), this.#successions.get(did)?.value.at].filter((at) => at !== undefined)
    return times.length === 0 ? undefined : Math.max(...times)
  }

  /** A removal of any key that the device had before wins over its going on, whichever was said first; an owner's later word stands. */
  #mayGoOn({ value }: HeldMembership, by: SignedBy): boolean {
    const { succeeds, device, at } = value
    if (succeeds === undefined) return true
    if (this.successorOf(succeeds) !== device) return false
    return [succeeds, ...this.before(succeeds)].every((key) => {
      const removedAt = this.removedAt(key)
      return removedAt === undefined || (by === 'owner' && at > removedAt)
    })
  }

  /** Who signed it may have been taken out since. */
  #isSigned({ by: signer, bytes }: HeldMembership, by: SignedBy): boolean {
    return by === 'leave' || this.owners.counts(signer, bytes)
  }
}

/** The later one; of two equally late the lesser id, so that every device keeps the same one. */
function isNewer(a: HeldMembership, b: HeldMembership): boolean {
  return a.value.at > b.value.at || (a.value.at === b.value.at && a.id < b.id)
}
