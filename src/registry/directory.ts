/**
 * Everyone this mesh knows: who is a member, where they were last reachable, what they say of themselves.
 * Pure: no dialling, no clock of its own, no store. Every record is verified before it counts.
 */

import { type Announcement, Announcement as AnnouncementSchema } from '../../protocols/announce/messages.ts'
import { type AddressRecord, AddressRecord as AddressSchema, type Membership, Membership as MembershipSchema } from '../../protocols/member/messages.ts'
import { DOMAIN } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import { open } from '../identity/envelope.ts'
import { type Did, didOfPeerId, isDid, peerIdOf } from '../identity/identity.ts'
import { type HeldMembership, type Kind, Memberships, type RemovedAt } from './memberships.ts'
import type { Owners } from './owners.ts'
import { digestOf, type RecordSet, recordId } from './records.ts'
import { isAccepted, isSameDevice, MAX_SUCCESSIONS, predecessorOf } from './succession.ts'

/** Answers whether `signer`, who is no owner, was allowed to admit devices at that time. */
export type AdmissionCheck = (signer: Did, proofs: readonly Uint8Array[], atMs: number) => boolean

export type Verdict = 'new' | 'known' | 'refused'

interface Held<T> {
  readonly id: string
  readonly bytes: Uint8Array
  readonly value: T
}

export class Directory {
  readonly #members: Memberships
  readonly #addresses = new Map<string, Held<AddressRecord>>()
  readonly #announcements = new Map<string, Held<Announcement> & { readonly heardAt: number }>()

  #alsoCalled: (did: string) => string | undefined = () => undefined

  constructor(
    private readonly owners: Owners,
    private readonly mayAdmit: AdmissionCheck,
    removedAt: RemovedAt,
    now: () => number,
  ) {
    this.#members = new Memberships(removedAt, owners, now)
  }

  /** A membership counts when an owner signed it, or somebody whom an owner allowed to admit and who is no guest. Of two for one device the later one counts; removal beats both, until an owner admits again. */
  admitMember(bytes: Uint8Array): Verdict {
    const seen = attempt(() => open(MembershipSchema, DOMAIN.membership, this.owners.mesh.id, bytes))
    if (seen === undefined) return 'refused'
    const { value, by } = seen
    const byOwner = this.owners.counts(by, bytes)
    if (!byOwner && this.owners.isFormer(by)) return 'known' // it may have counted when it was signed; it is forgotten
    if (value.succeeds !== undefined && !isAccepted(this.owners.mesh.id, value)) return 'refused'
    if (!byOwner && value.succeeds !== undefined) {
      if (!this.#goesOn(value, by)) return 'refused'
    } else if (!byOwner && (this.#isKind(by, 'guest') || !this.mayAdmit(by, value.proofs, value.at))) return 'refused'
    return this.#members.keep({ id: recordId(bytes), bytes, value, by }, byOwner ? 'owner' : 'leave')
  }

  /** The old key names its successor itself, with the membership that it had; what it was allowed to be is what it was last known as. */
  #goesOn(value: Membership, by: Did, depth = 0): boolean {
    const before = predecessorOf(this.owners.mesh.id, value)
    if (before === undefined || by !== value.succeeds || depth >= MAX_SUCCESSIONS || !isSameDevice(before.value, value)) return false
    const last = this.#members.last(by)?.value
    if (last !== undefined && !isSameDevice(last, value)) return false
    if (this.owners.counts(before.by, before.bytes)) return true
    if (before.value.succeeds === before.by) return isAccepted(this.owners.mesh.id, before.value) && this.#goesOn(before.value, before.by, depth + 1)
    return !this.#isKind(before.by, 'guest') && this.mayAdmit(before.by, before.value.proofs, before.value.at)
  }

  /** Which key goes on for this one; undefined while it is its device's own. */
  successorOf(did: string): string | undefined {
    return this.#members.successorOf(did)
  }

  /** The keys that a device had before, the last one first. */
  before(did: string): string[] {
    return this.#members.before(did)
  }

  successions(): (readonly [before: string, after: string])[] {
    return this.#members.successions()
  }

  admitAddress(bytes: Uint8Array): Verdict {
    const seen = attempt(() => open(AddressSchema, DOMAIN.address, this.owners.mesh.id, bytes))
    if (seen === undefined || seen.by !== seen.value.device) return 'refused'
    if (!this.isAdmitted(seen.by)) return this.isKnown(seen.by) ? 'known' : 'refused'
    return keepNewest(this.#addresses, seen.value.device, { id: recordId(bytes), bytes, value: seen.value }, (held) => held.value.seq)
  }

  /** @param heardAt when it was heard, by our own clock: staleness is never judged by the sender's. Gets the announcement's own time, for one read back from disk. */
  admitAnnouncement(bytes: Uint8Array, heardAt: (saidAt: number) => number): Verdict {
    const seen = attempt(() => open(AnnouncementSchema, DOMAIN.announce, this.owners.mesh.id, bytes))
    if (seen === undefined || seen.by !== seen.value.device) return 'refused'
    if (!this.isMember(seen.by)) return this.isKnown(seen.by) && !this.isGuest(seen.by) ? 'known' : 'refused'
    const before = this.#announcements.get(seen.by)?.heardAt ?? 0 // newer words by a slower way do not make it longer unheard
    const next = { id: recordId(bytes), bytes, value: seen.value, heardAt: Math.max(before, heardAt(seen.value.seq)) }
    return keepNewest(this.#announcements, seen.value.device, next, (held) => held.value.seq)
  }

  /** Memberships that were signed by one of these. */
  admittedBy(dids: readonly string[]): Uint8Array[] {
    return this.#members.records().flatMap(({ by, bytes }) => (dids.includes(by) ? [bytes] : []))
  }

  /** A member in full; a guest is none. */
  isMember(did: string): boolean {
    return this.#members.get(did)?.value.kind === 'member'
  }

  /** It is in the mesh as a guest: it meets the devices that its grants name, and learns of no others. */
  isGuest(did: string): boolean {
    return this.#members.get(did)?.value.kind === 'guest'
  }

  /** A member or a guest, now. */
  isAdmitted(did: string): boolean {
    return this.#members.get(did) !== undefined
  }

  /** It is or was in the mesh. */
  isKnown(did: string): boolean {
    return this.#members.last(did) !== undefined
  }

  /** When a guest's time was over, milliseconds since the epoch; undefined where it is not. */
  overSince(did: string): number | undefined {
    return this.#members.overSince(did)
  }

  #isKind(did: string, kind: Kind): boolean {
    return this.#members.last(did)?.value.kind === kind
  }

  /** It was in the mesh once, and an owner removed it. */
  isRemoved(did: string): boolean {
    return this.#members.isRemoved(did)
  }

  /** Devices that owners have removed, as they were last known. */
  removed(): Membership[] {
    return this.#members.removed().map((held) => held.value)
  }

  member(did: string): Membership | undefined {
    return this.#members.get(did)?.value
  }

  membershipBytes(did: string): Uint8Array | undefined {
    return this.#members.get(did)?.bytes
  }

  /** What this device shows in hello: also one that was removed shows what it had, and hears why it is refused. */
  lastMembershipBytes(did: string): Uint8Array | undefined {
    return this.#members.last(did)?.bytes
  }

  /** Members in full. */
  members(): Membership[] {
    return this.everyone().filter(({ kind }) => kind === 'member')
  }

  /** Members and guests. */
  everyone(): Membership[] {
    return this.#all()
      .map((held) => held.value)
      .sort((a, b) => a.name.localeCompare(b.name) || (a.device < b.device ? -1 : 1))
  }

  addressesOf(did: string): readonly string[] {
    return this.#addresses.get(did)?.value.addrs ?? []
  }

  /** When a device said where it is, by its own clock; undefined when it never did. */
  addressedAt(did: string): number | undefined {
    return this.#addresses.get(did)?.value.seq
  }

  announcementOf(did: string): { readonly said: Announcement; readonly heardAt: number } | undefined {
    const held = this.#announcements.get(did)
    return held === undefined ? undefined : { said: held.value, heardAt: held.heardAt }
  }

  /** Also of a device that was removed: it is still who it was. */
  nameOf(did: string): string | undefined {
    return this.#members.last(did)?.value.name
  }

  /** A sentence with names in the place of the DIDs that this mesh knows. */
  named(text: string): string {
    return text.replace(/did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}/g, (did) => this.#calledIn(did))
  }

  /** Keys that are no devices and have a name all the same. */
  callAlso(nameOf: (did: string) => string | undefined): void {
    this.#alsoCalled = nameOf
  }

  #calledIn(did: string): string {
    return this.nameOf(did) ?? (this.owners.has(did) ? 'the owner' : (this.#alsoCalled(did) ?? did))
  }

  /** Free names are kept; a taken one gets the next number behind it. */
  freeName(wanted: string, forDevice: string): string {
    const taken = new Set(
      this.#all()
        .filter((held) => held.value.device !== forDevice)
        .map((held) => held.value.name),
    )
    if (!taken.has(wanted)) return wanted
    for (let n = 2; ; n++) if (!taken.has(`${wanted.slice(0, 58)}-${n}`)) return `${wanted.slice(0, 58)}-${n}`
  }

  /**
   * A device by name, DID or PeerId.
   * @param self who asks: a device that was removed still finds itself.
   * @throws UNKNOWN_DEVICE, listing near names; REMOVED; AMBIGUOUS_DEVICE when two devices carry the name.
   */
  resolve(text: string, self?: Did): Did {
    const named = this.#all().filter((held) => held.value.name === text)
    const [only] = named
    if (named.length === 1 && only !== undefined) return only.value.device as Did
    if (named.length > 1) {
      throw new ErrandError('AMBIGUOUS_DEVICE', `${named.length} devices are called "${text}"`, {
        hint: `use the DID: ${named.map((held) => held.value.device).join(' or ')}`,
      })
    }
    const did = isDid(text) ? text : attempt(() => didOfPeerId(text))
    if (did !== undefined && this.isAdmitted(did)) return did
    if (self !== undefined && (did === self || this.nameOf(self) === text)) return self
    if (this.removed().some(({ name, device }) => name === text || device === did)) throw wasRemoved(text)
    if (this.#isOverBy(text, did)) throw wasGuest(text)
    const names = this.everyone().map((member) => member.name)
    throw new ErrandError('UNKNOWN_DEVICE', `no device "${text}" in this mesh`, { hint: `known devices: ${names.join(', ')}  (errand devices)` })
  }

  set(name: 'members' | 'addresses' | 'announcements'): RecordSet {
    const all = (): { readonly id: string; readonly bytes: Uint8Array }[] => {
      if (name === 'members') return this.#members.records()
      if (name === 'addresses') return [...this.#addresses].flatMap(([did, one]) => (this.isAdmitted(did) ? [one] : [])) // nothing of a removed device is handed on
      return [...this.#announcements].flatMap(([did, one]) => (this.isMember(did) ? [one] : []))
    }
    return { digest: () => digestOf(all().map((one) => one.id)), records: () => all().map((one) => [one.id, one.bytes] as const) }
  }

  /** The records of these devices alone, one each. */
  recordsOf(name: 'members' | 'addresses', dids: ReadonlySet<string>): (readonly [id: string, bytes: Uint8Array])[] {
    const held = [...dids].flatMap((did) => (this.isAdmitted(did) ? ((name === 'members' ? this.#members.get(did) : this.#addresses.get(did)) ?? []) : []))
    return held.map(({ id, bytes }) => [id, bytes] as const)
  }

  #all(): HeldMembership[] {
    return this.#members.all()
  }

  #isOverBy(text: string, did: string | undefined): boolean {
    return this.#members.over().some(({ name, device }) => name === text || device === did)
  }

  peers(self: Did): { did: Did; peerId: string; addrs: readonly string[] }[] {
    return this.#all()
      .map((held) => held.value.device)
      .filter((did) => did !== self)
      .map((did) => ({ did: did as Did, peerId: peerIdOf(did as Did), addrs: this.addressesOf(did) }))
  }
}

/** Newest wins; of two equally new the smaller id, so that every device keeps the same one. */
function keepNewest<H extends { readonly id: string }>(into: Map<string, H>, key: string, next: H, age: (held: H) => number): Verdict {
  const held = into.get(key)
  if (held !== undefined) {
    if (held.id === next.id || age(held) > age(next)) return 'known'
    if (age(held) === age(next) && held.id < next.id) return 'known'
  }
  into.set(key, next)
  return 'new'
}

function wasRemoved(name: string): ErrandError {
  return new ErrandError('REMOVED', `the device "${name}" was removed from this mesh`, { hint: 'an owner can admit it again: errand invite' })
}

function wasGuest(name: string): ErrandError {
  return new ErrandError('GUEST_ENDED', `"${name}" was a guest, and its time is over`, { hint: 'invite it again: errand invite --guest' })
}

function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn()
  } catch {
    return undefined
  }
}
