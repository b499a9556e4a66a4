/**
 * Every signed record this device holds, under one roof: orders, members, addresses, announcements, revocations, delegations.
 * Verifies on the way in, persists what is new, and says who may see what.
 */

import { ANNOUNCE } from '../../protocols/announce/messages.ts'
import type { Digests } from '../../protocols/hello/messages.ts'
import { Membership } from '../../protocols/member/messages.ts'
import { Order } from '../../protocols/member/orders.ts'
import type { SetName } from '../../protocols/sync/messages.ts'
import { decodeAs, Envelope, MAX_ENVELOPE_BYTES } from '../../protocols/wire.ts'
import { decodeRevocation, type Revocations } from '../authority/revocations.ts'
import { cidOf, type Delegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import { type Orders, orderKey } from '../registry/orders.ts'
import type { OwnersView } from '../registry/owners.ts'
import { digestOf, recordId } from '../registry/records.ts'
import { GuestView } from './guest-view.ts'
import { isRoleKey } from './roles.ts'

/** Where records survive a restart. Puts are synced. */
export interface RecordShelf {
  put(key: string, value: Uint8Array): Promise<void>
  entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>
}

export interface RecordsOn {
  readonly orders: Orders
  readonly directory: Directory
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly shelf: RecordShelf
  readonly clock: Clock
  readonly owners: OwnersView
}

export interface Admitted {
  readonly verdict: 'new' | 'known' | 'refused'
  readonly stopped: string[]
}

/** Delegations kept at most: a member that sends more is not believed. One less than a pull request can name (256 KiB of 8-byte ids). */
const MAX_DELEGATIONS = 32_767
/** Delegations kept of one signer that is no owner, so that nobody fills the room that the others' grants need. */
const MAX_DELEGATIONS_BY_ONE = 2_048
/** Revocations kept of one signer that is no owner. All of them together must be named in a pull request, or nobody could catch up on any. */
const MAX_REVOCATIONS_BY_ONE = 512
const MAX_REVOCATIONS_BY_OTHERS = 16_384
const MAX_STOPPED = 1_024
const KEEP_ANNOUNCEMENT_MS = 300_000
/** The order matters: orders say who counts, and addresses and announcements count only for devices that are members already. */
const LOAD_ORDER = ['orders', 'members', 'addresses', 'announcements', 'revocations', 'delegations'] as const satisfies readonly SetName[]

export class MeshRecords {
  readonly guests: GuestView
  readonly #keptAt = new Map<string, number>()
  /** Records that count already and are not on the disk yet; one whose write failed stays here and is written when it comes again. */
  readonly #unsaved = new Map<string, Promise<void>>()
  readonly #delegationsBy = new Map<string, number>()
  #delegations = 0
  readonly #revocationsBy = new Map<Did, number>()
  /** What each of the last revocations has ended here. */
  readonly #stopped = new Map<string, string[]>()
  #onRevocation: (bytes: Uint8Array) => string[] = () => []
  readonly #onOrder: (() => string[])[] = []

  /** An announcement from our own disk or from somebody else's tells what a device was like, never that it is there now. */
  readonly #longAgo = (saidAt: number): number => Math.min(saidAt, this.on.clock.now() - ANNOUNCE.staleMs - 1)

  constructor(private readonly on: RecordsOn) {
    this.guests = new GuestView(on)
  }

  /** Reads everything back. @returns the keys of records that no longer verify: somebody changed them on disk. */
  async load(): Promise<string[]> {
    const damaged: string[] = []
    const owners = orderKey({ kind: 'owners', subject: '' })
    for await (const [key, bytes] of this.on.shelf.entries(`orders/${owners}`)) if (this.#take('orders', bytes, this.#longAgo) === 'refused') damaged.push(key)
    for (const set of LOAD_ORDER) {
      for await (const [key, bytes] of this.on.shelf.entries(`${set}/`)) {
        if (this.#take(set, bytes, this.#longAgo) === 'refused') damaged.push(key)
      }
    }
    return damaged
  }

  /** Called with every revocation that is new, after it counts; returns the tasks it ended. */
  onRevocation(fn: (bytes: Uint8Array) => string[]): void {
    this.#onRevocation = fn
  }

  /** Called after a new order counts, in the order of asking; returns the tasks that it ended. */
  onOrder(fn: () => string[]): void {
    this.#onOrder.push(fn)
  }

  /** What shows to a device that it was removed. */
  removalOf(did: Did): Uint8Array[] {
    const removal = this.on.directory.isRemoved(did) ? this.on.orders.bytesOf('remove', did) : undefined
    return removal === undefined ? [] : [removal]
  }

  /** A new record counts at once. Whatever is not refused is durable when this resolves, also when another call brought it: an acknowledged revocation is never lost. */
  async admit(set: SetName, bytes: Uint8Array, o: { readonly secondHand?: boolean } = {}): Promise<Admitted> {
    const verdict = this.#take(set, bytes, o.secondHand === true ? this.#longAgo : () => this.on.clock.now())
    if (verdict === 'new') {
      const decides = set === 'orders' || (set === 'members' && succeeds(bytes))
      const stopped = decides ? this.#ended('orders', bytes) : set === 'revocations' ? this.#ended(set, bytes) : []
      const key = this.#keyOf(set, bytes)
      if (set !== 'announcements' || this.#worthKeeping(key)) await this.#save(`${set}/${key}`, bytes)
      return { verdict, stopped }
    }
    const id = recordId(bytes)
    const saving = verdict === 'known' ? this.#unsaved.get(id) : undefined
    await saving?.catch(() => this.#save(`${set}/${this.#keyOf(set, bytes)}`, bytes))
    return { verdict, stopped: verdict === 'known' ? (this.#stopped.get(id) ?? []) : [] }
  }

  /** A revocation comes by several ways at once, and whoever gave it asks by the slowest what it has ended. */
  #ended(set: 'revocations' | 'orders', bytes: Uint8Array): string[] {
    const stopped = set === 'orders' ? this.#onOrder.flatMap((hear) => hear()) : this.#onRevocation(bytes)
    const [oldest] = this.#stopped.keys()
    if (stopped.length > 0) this.#stopped.set(recordId(bytes), stopped)
    if (this.#stopped.size > MAX_STOPPED && oldest !== undefined) this.#stopped.delete(oldest)
    return stopped
  }

  async #save(key: string, bytes: Uint8Array): Promise<void> {
    const id = recordId(bytes)
    const saving = this.on.shelf.put(key, bytes)
    this.#unsaved.set(id, saving)
    await saving
    this.#unsaved.delete(id)
  }

  /** Devices announce themselves every few seconds; one a while is enough to know an absent device by. */
  #worthKeeping(key: string): boolean {
    const now = this.on.clock.monotonic()
    if (now - (this.#keptAt.get(key) ?? Number.NEGATIVE_INFINITY) < KEEP_ANNOUNCEMENT_MS) return false
    this.#keptAt.set(key, now)
    return true
  }

  /** @param reader a guest compares what it may see, and learns nothing of the rest, not even that it changes. */
  digests(reader?: Did): Digests {
    if (reader !== undefined && this.guests.isGuest(reader)) {
      const of = (set: SetName): Uint8Array => digestOf(this.guests.visible(set, reader).map(([id]) => id))
      return { orders: of('orders'), members: of('members'), addresses: of('addresses'), revocations: of('revocations') }
    }
    return {
      orders: this.on.orders.set().digest(),
      members: this.on.directory.set('members').digest(),
      addresses: this.on.directory.set('addresses').digest(),
      revocations: digestOf(this.#revocationRecords().map(([id]) => id)),
    }
  }

  visible(set: SetName, reader: Did): Iterable<readonly [string, Uint8Array]> {
    if (!this.on.directory.isMember(reader)) return this.guests.visible(set, reader)
    if (set === 'revocations') return this.#revocationRecords()
    if (set === 'delegations') return this.#concerning(reader).map((link) => [recordId(link.bytes), link.bytes] as const)
    if (set === 'orders') return this.on.orders.set().records()
    return this.on.directory.set(set).records()
  }

  /** Those of these records that another device may see: members all that is pushed to them, a guest what concerns it, and who was removed that it was. */
  tellable(set: SetName, records: readonly Uint8Array[], to: Did): Uint8Array[] {
    if (this.on.directory.isMember(to)) return [...records]
    const seen = new Set(set === 'orders' ? this.removalOf(to).map(recordId) : [])
    for (const [id] of this.guests.visible(set, to)) seen.add(id)
    return records.filter((bytes) => seen.has(recordId(bytes)))
  }

  /** Whether a record may come from there at all. What it says is judged when it is admitted. */
  mayBring(set: SetName, bytes: Uint8Array, from: Did): boolean {
    return this.on.directory.isMember(from) || (this.guests.isGuest(from) && this.guests.isOwnWord(set, bytes, from))
  }

  #revocationRecords(): (readonly [string, Uint8Array])[] {
    return this.on.revocations.list().map((one) => [recordId(one.bytes), one.bytes] as const)
  }

  /** What a device needs to act and to decide: grants to it, about it, by it; what those rest on; and everything for the owner's own devices. */
  #concerning(reader: Did): Delegation[] {
    const { wallet, directory } = this.on
    const all = wallet.list().filter(({ iss, aud }) => !directory.isRemoved(iss) && !directory.isRemoved(aud)) // of a removed device nothing is handed on
    if (directory.member(reader)?.own === true) return all
    const concerning = new Map(all.filter((link) => link.aud === reader || link.sub === reader || link.iss === reader).map((link) => [link.cid, link]))
    for (let before = 0; before < concerning.size; ) {
      before = concerning.size
      const issuers = new Set([...concerning.values()].map((link) => link.iss))
      for (const link of all) if (issuers.has(link.aud)) concerning.set(link.cid, link)
    }
    return [...concerning.values()]
  }

  #take(set: SetName, bytes: Uint8Array, heardAt: (saidAt: number) => number): Admitted['verdict'] {
    const { directory } = this.on
    switch (set) {
      case 'orders':
        return this.on.orders.admit(bytes)
      case 'members':
        return directory.admitMember(bytes)
      case 'addresses':
        return directory.admitAddress(bytes)
      case 'announcements':
        return directory.admitAnnouncement(bytes, heardAt)
      case 'revocations':
        return attempt(() => this.#takeRevocation(bytes))
      case 'delegations':
        return attempt(() => this.#takeDelegation(bytes))
    }
  }

  #takeDelegation(bytes: Uint8Array): Admitted['verdict'] {
    const { wallet } = this.on
    if (wallet.get(cidOf(bytes)) !== undefined) return 'known'
    if (this.#delegations >= MAX_DELEGATIONS) return 'refused'
    const link = wallet.add(bytes)
    const given = this.#delegationsBy.get(link.iss) ?? 0
    const isFlood = given >= MAX_DELEGATIONS_BY_ONE && !this.on.owners.has(link.iss) && !isRoleKey(this.on.orders, link.iss)
    if (isFlood || ![link.iss, link.aud].every((did) => this.#isPrincipal(did))) {
      wallet.remove(link.cid)
      return 'refused'
    }
    this.#delegationsBy.set(link.iss, given + 1)
    this.#delegations++
    return 'new'
  }

  /** A member's flood of revocations must not fill the room that the others' need: what it says beyond its share is not believed, an owner always is. */
  #takeRevocation(bytes: Uint8Array): Admitted['verdict'] {
    const { revocations, owners } = this.on
    const { by, cid } = decodeRevocation(bytes)
    if (revocations.has(cid)) return 'known'
    const held = this.#revocationsBy.get(by) ?? 0
    if (!owners.has(by)) {
      const others = [...this.#revocationsBy].reduce((sum, [signer, count]) => sum + (owners.has(signer) ? 0 : count), 0)
      if (!this.#isPrincipal(by) || held >= MAX_REVOCATIONS_BY_ONE || others >= MAX_REVOCATIONS_BY_OTHERS) return 'refused'
    }
    if (!revocations.add(bytes).isNew) return 'known'
    this.#revocationsBy.set(by, held + 1)
    return 'new'
  }

  /** Sets with one record per device are kept under the device, so that a newer one takes the place of the older; a membership that no owner signed has a place of its own. */
  #keyOf(set: SetName, bytes: Uint8Array): string {
    if (set === 'revocations' || set === 'delegations') return recordId(bytes)
    const [, payload, signer] = decodeAs(Envelope, bytes, MAX_ENVELOPE_BYTES)
    if (set === 'orders') return orderKey(decodeAs(Order, payload, payload.length))
    if (set !== 'members') return signer
    const { device } = decodeAs(Membership, payload, payload.length)
    return this.#isOwnerly(signer) ? device : `${device}/leave`
  }

  /** Only members, guests, owners and the roles that owners made give and get rights in this mesh. What those gave and got who are out is kept, and dead. */
  #isPrincipal(did: string): boolean {
    return this.#isOwnerly(did) || this.on.directory.isKnown(did) || isRoleKey(this.on.orders, did)
  }

  /** An owner, one who was, or the words for an emergency. */
  #isOwnerly(did: string): boolean {
    const { owners } = this.on
    return owners.has(did) || owners.isFormer(did) || owners.recovery() === did
  }
}

/** A device that goes on under another key: what rests on the old one ends, as with an order. */
function succeeds(bytes: Uint8Array): boolean {
  const [, payload] = decodeAs(Envelope, bytes, MAX_ENVELOPE_BYTES)
  return decodeAs(Membership, payload, payload.length).succeeds !== undefined
}

function attempt(fn: () => Admitted['verdict']): Admitted['verdict'] {
  try {
    return fn()
  } catch {
    return 'refused'
  }
}
