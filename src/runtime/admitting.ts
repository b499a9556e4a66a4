/** Signs a device in that has shown a code: its membership, what it is given, and the welcome that tells it what it may know. */
import type { Offer, Welcome } from '../../protocols/join/messages.ts'
import { DOMAIN } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import type { Revocations } from '../authority/revocations.ts'
import type { Delegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock, Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { seal } from '../identity/envelope.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { RemovedAt } from '../registry/memberships.ts'
import { giftsOf, type RoleGiver } from './gifts.ts'
import { guestGifts, guestName, guestUntil } from './guest-offer.ts'
import { getsOf, givesOf } from './invite-code.ts'
import type { Keyring } from './keyring.ts'
import type { MeshRecords } from './records.ts'

export interface AdmittingOn {
  readonly keyring: Keyring
  readonly mesh: { readonly id: Uint8Array; readonly name: string; readonly owners: () => readonly string[]; readonly genesis: Uint8Array }
  readonly directory: Directory
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly records: MeshRecords
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly random: Random
  /** When a device was removed, if it ever was: only an owner admits it again, with a later word. */
  readonly removedAt: RemovedAt
  /** Signs roles, where the owner's key lies: links that hang on the role. Absent: its rights are handed on one by one. */
  readonly roleGiver?: RoleGiver
  /** Tells the mesh of who has come, the owner's devices of what it gave, and those it was given something on of that; resolves when those that are there know. */
  readonly announce: (membership: Uint8Array, links: Uint8Array[], on: readonly Did[]) => Promise<void>
}

export interface Joining {
  readonly offer: Offer
  readonly given: readonly Delegation[]
  readonly from: { readonly did: Did; readonly address: string }
  /** What it would like to be called. */
  readonly name: string
}

export class Admitting {
  constructor(private readonly on: AdmittingOn) {}

  async welcome({ offer, given, from, name: wished }: Joining): Promise<Welcome> {
    const { records, directory, audit, keyring } = this.on
    const isGuest = offer.kind === 'guest'
    const name = directory.freeName(offer.name ?? (isGuest ? guestName(from.did) : wished), from.did)
    const membership = this.#membership(offer, from.did, name)
    await audit.append({
      actor: from.did,
      action: 'device.join',
      result: 'ok',
      subject: from.did,
      details: {
        ...{ name, from: from.address, requestedBy: keyring.device.did },
        words: [...(isGuest ? ['as a guest'] : []), ...[...givesOf(offer, name), ...getsOf(offer)].map((right) => right.words)].join('; '),
      },
    })
    await records.admit('members', membership)
    const gifts = isGuest ? guestGifts(offer, from.did, this.on) : giftsOf(offer, from.did, { signer: this.admitter().signer, ...this.on })
    for (const link of [...given, ...gifts]) await records.admit('delegations', link.bytes)
    const concerned = (offer.on ?? []).map(({ device }) => device as Did)
    const told = this.on.announce(membership, isGuest ? this.#shown('delegations', from.did) : given.map((link) => link.bytes), concerned)
    if (isGuest) await told // it goes to those devices next, and they refuse whom they have not heard of
    return this.#answer(membership, from.did)
  }

  /** Who signs memberships here: the owner, or this device with an owner's leave. @throws NOT_AN_OWNER, GUEST */
  admitter(): { signer: Identity; proofs: Uint8Array[] } {
    const { keyring, wallet, revocations, mesh, directory } = this.on
    if (keyring.owner !== undefined) return { signer: keyring.owner, proofs: [] }
    if (directory.isGuest(keyring.device.did)) {
      throw new ErrandError('GUEST', 'a guest invites nobody into the mesh', { hint: 'ask whoever invited this device' })
    }
    for (const owner of mesh.owners() as readonly Did[]) {
      const found = wallet.find({ issuer: keyring.device.did, subject: owner, command: '/mesh/join', now: keyring.nowSeconds(), revocations })
      if (found.ok) return { signer: keyring.device, proofs: found.chain.map((link) => link.bytes) }
    }
    throw keyring.noOwner(
      'only an owner, or who was invited with --role admin, invites others into the mesh',
      'run errand invite on a device that holds an owner’s key',
    )
  }

  #membership(offer: Offer, device: Did, name: string): Uint8Array {
    const { mesh, clock, removedAt, keyring } = this.on
    const { signer, proofs } = this.admitter()
    const at = Math.max(clock.now(), (removedAt(device) ?? 0) + 1)
    const ends = offer.kind === 'guest' ? { until: guestUntil(offer), host: keyring.device.did } : {}
    return seal(signer, DOMAIN.membership, mesh.id, { v: 1, device, name, kind: offer.kind, own: offer.mine, at, proofs, ...ends })
  }

  #shown(set: 'members' | 'addresses' | 'revocations' | 'delegations' | 'orders', reader: Did): Uint8Array[] {
    return [...this.on.records.visible(set, reader)].map(([, bytes]) => bytes)
  }

  #answer(membership: Uint8Array, to: Did): Welcome {
    const { mesh, directory } = this.on
    return {
      t: 'welcome',
      genesis: mesh.genesis,
      membership,
      members: directory.everyone().length > 512 ? [membership] : this.#shown('members', to),
      addresses: this.#shown('addresses', to).slice(0, 512),
      delegations: this.#shown('delegations', to).slice(0, 512),
      revocations: this.#shown('revocations', to).slice(0, 4_096),
      orders: this.#shown('orders', to).slice(0, 512),
    }
  }
}
