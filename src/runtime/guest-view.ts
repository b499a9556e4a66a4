/**
 * What a guest gets to see, and what of its words counts: itself, its host, the devices that its grants name, and the tokens that those grants
 * are made of. Everything else of the mesh does not exist for it. Pure; docs/security.md justifies each line.
 */
import type { SetName } from '../../protocols/sync/messages.ts'
import { decodeAs, Envelope, MAX_ENVELOPE_BYTES } from '../../protocols/wire.ts'
import { diesWith } from '../authority/chain.ts'
import { decodeRevocation, type Revocations } from '../authority/revocations.ts'
import { type Delegation, decodeDelegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Orders } from '../registry/orders.ts'
import type { OwnersView } from '../registry/owners.ts'
import { recordId } from '../registry/records.ts'

export interface GuestViewOn {
  readonly orders: Orders
  readonly directory: Directory
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly clock: Clock
  readonly owners: Pick<OwnersView, 'list'>
}

/** What a guest reads in the place of a key that it does not know. */
const STRANGER = 'somebody of this mesh'

type Seen = readonly (readonly [id: string, bytes: Uint8Array])[]

export class GuestView {
  constructor(private readonly on: GuestViewOn) {}

  isGuest(did: string): boolean {
    return this.on.directory.isGuest(did)
  }

  /** The devices that living grants of this guest name. */
  granted(guest: Did): Did[] {
    const subjects = this.#given(guest).filter((link) => this.#chainOf(link, guest) !== undefined)
    return [...new Set(subjects.flatMap(({ sub }) => sub ?? []))].filter((did) => this.on.directory.isMember(did))
  }

  /** Whether this guest and that device may speak with each other: it came in by it, or a living grant of it names it. */
  mayMeet(guest: Did, device: Did): boolean {
    if (this.on.directory.member(guest)?.host === device) return true
    return this.#given(guest).some((link) => link.sub === device && this.#chainOf(link, guest) !== undefined)
  }

  /** Whether that device, or that owner's key, is known to a guest. */
  knows(guest: Did, did: string): boolean {
    return this.#circle(guest).has(did)
  }

  /** What is handed to a guest of a set; nothing to who is none. */
  visible(set: SetName, guest: Did): Seen {
    if (!this.isGuest(guest)) return []
    const tables: Readonly<Record<SetName, () => Seen>> = {
      orders: () => this.#orders(guest),
      members: () => this.#records('members', guest),
      addresses: () => this.#records('addresses', guest),
      announcements: () => [],
      revocations: () => this.#revocations(guest),
      delegations: () => this.#delegations(guest).map((link) => [recordId(link.bytes), link.bytes] as const),
    }
    return tables[set]()
  }

  /** A guest speaks for itself alone: where it is, what it gives on its own device, and what it takes back of that. */
  isOwnWord(set: SetName, bytes: Uint8Array, guest: Did): boolean {
    try {
      if (set === 'addresses') return decodeAs(Envelope, bytes, MAX_ENVELOPE_BYTES)[2] === guest
      if (set === 'revocations') return decodeRevocation(bytes).by === guest
      if (set !== 'delegations') return false
      const { iss, sub } = decodeDelegation(bytes)
      return iss === guest && sub === guest
    } catch {
      return false
    }
  }

  /** A sentence for a reader: a guest reads the names of what it knows, and of the rest not even that they have one. */
  named(text: string, reader: Did): string {
    if (this.on.directory.isMember(reader)) return this.on.directory.named(text)
    const known = this.#circle(reader)
    return text.replace(/did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}/g, (did) => (known.has(did) ? this.on.directory.named(did) : STRANGER))
  }

  #circle(guest: Did): ReadonlySet<string> {
    const host = this.on.directory.member(guest)?.host
    return new Set<string>([guest, ...(host === undefined ? [] : [host]), ...this.granted(guest), ...this.on.owners.list()])
  }

  #records(set: 'members' | 'addresses', guest: Did): Seen {
    return this.on.directory.recordsOf(set, this.#circle(guest))
  }

  /** Who owns the mesh, for by that it knows who admitted whom; and that a device of its circle is out, which it must not trust any more. */
  #orders(guest: Did): Seen {
    const circle = [...this.#circle(guest), ...this.#given(guest).flatMap(({ sub }) => sub ?? [])]
    const removals = [...new Set(circle)].flatMap((did) => this.on.orders.bytesOf('remove', did) ?? [])
    const owners = this.on.orders.bytesOf('owners', '')
    const orders = owners === undefined ? removals : [owners, ...removals]
    return orders.map((bytes) => [recordId(bytes), bytes] as const)
  }

  /** What it was given and the chain of each that lives, and what it gave. */
  #delegations(guest: Did): Delegation[] {
    const given = this.#given(guest)
    const own = this.on.wallet.list().filter(({ iss, sub }) => iss === guest && sub === guest)
    return [...new Set([...given, ...given.flatMap((link) => this.#chainOf(link, guest) ?? []), ...own])]
  }

  /** Of what it holds; and, where it gave something, of what others may pass on of it: it has to know when a right on itself has ended. */
  #revocations(guest: Did): Seen {
    const { wallet, revocations } = this.on
    const held = this.#delegations(guest)
    const onItself = held.some(({ sub }) => sub === guest) ? wallet.list().filter(({ sub }) => sub === guest || sub === null) : []
    const tokens = new Set([...held, ...onItself].flatMap((link) => [link.cid, diesWith(link) ?? link.cid]))
    return revocations.list().flatMap(({ of, bytes }) => (tokens.has(of) ? [[recordId(bytes), bytes] as const] : []))
  }

  #given(guest: Did): readonly Delegation[] {
    return this.on.wallet.list().filter(({ aud, sub }) => aud === guest && sub !== null && sub !== guest)
  }

  /** The links that a grant rests on, itself among them, where all of them live. */
  #chainOf(link: Delegation, guest: Did): readonly Delegation[] | undefined {
    const { wallet, revocations, clock } = this.on
    if (link.sub === null) return undefined
    const wanted = { issuer: guest, subject: link.sub, command: link.cmd, now: Math.floor(clock.now() / 1_000), revocations }
    return wallet.paths(wanted).find(({ chain, problem }) => problem === undefined && chain.at(-1)?.cid === link.cid)?.chain
  }
}

/** Who meets whom, as the lines to other devices ask it. */
export interface CompanyView {
  isGuestHere(): boolean
  isGuest(did: string): boolean
  mayMeet(did: Did): boolean
}

export function companyOf(self: Did, directory: Pick<Directory, 'isGuest' | 'isMember'>, view: Pick<GuestView, 'mayMeet'>): CompanyView {
  return {
    isGuestHere: () => directory.isGuest(self),
    isGuest: (did) => directory.isGuest(did),
    mayMeet: (did) => {
      if (directory.isGuest(self)) return directory.isMember(did) && view.mayMeet(self, did)
      return directory.isGuest(did) ? view.mayMeet(did, self) : directory.isMember(did)
    },
  }
}
