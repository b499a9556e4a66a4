/** The inviting side: makes codes, and admits who comes with one. One-time, expiring; every yes and no is in the log. */

import * as v from 'valibot'
import { type Ask, type Offer, Offer as OfferSchema, type Welcome } from '../../protocols/join/messages.ts'
import type { InviteRequest, InviteView } from '../../protocols/local/messages.ts'
import { Bytes, DOMAIN, decodeAs, encode } from '../../protocols/wire.ts'
import { NonceMemory } from '../authority/seen.ts'
import { type Delegation, decodeDelegation, signDelegation } from '../authority/token.ts'
import { verifyInvocation } from '../authority/verify.ts'
import { ErrandError } from '../base/errors.ts'
import { open, seal } from '../identity/envelope.ts'
import { type Did, Identity } from '../identity/identity.ts'
import { Admitting, type AdmittingOn } from './admitting.ts'
import { refuseUngivable } from './guest-offer.ts'
import { giftsFit, JoinRefusals } from './invite-checks.ts'
import { getsOf, givesOf, writeCode } from './invite-code.ts'
import type { InviteHold } from './invite-hold.ts'
import { NONCE_BYTES } from './keyring.ts'
import { deviceName, makeOffer, notesOn } from './offers.ts'
import type { Pairings } from './pairings.ts'
import type { Roles } from './roles.ts'

export interface InviteShelf {
  put(key: string, value: Uint8Array): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
}

export interface InvitesOn extends AdmittingOn {
  readonly shelf: InviteShelf
  /** Where this device can be dialled, best first. */
  readonly addresses: () => string[]
  /** What an invite gives that names neither a role nor rights. */
  readonly defaultRoles: readonly string[]
  readonly hold: InviteHold
  readonly pairings: Pick<Pairings, 'open'>
  /** Throws while nobody may join. */
  readonly mayAdmit: () => void
  readonly roles: Pick<Roles, 'named' | 'bundle' | 'lifeOf'>
}

/** An invite as it is kept: the signed offer, the delegation behind it, and who used it when. */
const Kept = v.object({
  offer: Bytes(16_384),
  proof: Bytes(8_192),
  usedBy: v.nullable(v.string()),
  usedAt: v.number(),
  approve: v.optional(v.boolean()),
  madeAt: v.optional(v.number()),
})
type Kept = v.InferOutput<typeof Kept>

export class Invites {
  readonly #seen = new NonceMemory()
  readonly #refusals: JoinRefusals
  /** Codes that are being used right now: two joiners with one code must not both get in. */
  readonly #inUse = new Set<string>()

  readonly #admitting: Admitting

  constructor(private readonly on: InvitesOn) {
    this.#refusals = new JoinRefusals(on)
    this.#admitting = new Admitting(on)
  }

  /** @throws NOT_AN_OWNER, BAD_RIGHT, BAD_ROLE, BAD_NAME */
  async create(request: InviteRequest): Promise<InviteView> {
    const { mesh, random, keyring, shelf, audit } = this.on
    this.on.mayAdmit()
    this.#admitting.admitter()
    const seed = random(32)
    const inviteKey = new Identity(seed)
    const offer = this.#offer(request, inviteKey.did)
    const proof = this.#proof(inviteKey.did, offer.expiresAt)
    await this.#readyRole(offer)
    const sealed = seal(keyring.device, DOMAIN.offer, mesh.id, { ...offer, proof: proof.cid })
    await shelf.put(
      inviteKey.did,
      encode({ offer: sealed, proof: proof.bytes, usedBy: null, usedAt: 0, approve: request.approve === true, madeAt: this.on.clock.now() } satisfies Kept),
    )
    const gives = getsOf(offer)
    const asks = givesOf(offer, offer.name ?? 'the joining device')
    await audit.append({
      actor: keyring.device.did,
      action: 'device.invite',
      result: 'ok',
      subject: inviteKey.did,
      grant: proof.cid,
      details: {
        words: [...asks, ...gives].map((right) => right.words).join('; '),
        expiresAt: offer.expiresAt * 1_000,
        ...(offer.name === null ? {} : { name: offer.name }),
      },
    })
    const prize = { id: inviteKey.did, code: writeCode(mesh.id, seed, sealed), expiresAtMs: offer.expiresAt * 1_000 }
    this.on.hold.begin(prize)
    return {
      id: prize.id,
      code: prize.code,
      shortCode: request.short === true ? await this.on.pairings.open(prize) : null,
      expiresAt: new Date(offer.expiresAt * 1_000).toISOString(),
      membership: offer.kind,
      asks,
      gives,
      notes: notesOn(offer),
    }
  }

  /**
   * Security order: 1. the code exists, 2. the invocation is the joiner's own, on this connection, from the invite key,
   * 3. the code is unused, 4. what is given is exactly what was asked, 5. somebody has said yes, where one has to, 6. the use is durable,
   * 7. only then anything is signed.
   */
  async admit(ask: Ask, from: { readonly did: Did; readonly challenge: Uint8Array; readonly address: string }): Promise<Welcome> {
    this.on.mayAdmit()
    const { kept, offer } = await this.#find(ask, from)
    await this.#refuseRemoved(kept, from)
    if (this.#inUse.has(offer.invite)) throw await this.#refused('INVITE_USED', 'this code is being used by another device right now', from)
    this.#inUse.add(offer.invite)
    try {
      return await this.#admit({ ask, kept, offer, from })
    } finally {
      this.#inUse.delete(offer.invite)
    }
  }

  async #admit(o: { ask: Ask; kept: Kept; offer: Offer; from: { did: Did; challenge: Uint8Array; address: string } }): Promise<Welcome> {
    const { ask, kept, offer, from } = o
    const now = this.on.keyring.nowSeconds()
    const name = await this.#checkInvocation(ask, kept, from)
    if (kept.usedBy !== null) {
      const when = new Date(kept.usedAt).toISOString()
      throw await this.#refused(
        'INVITE_USED',
        `this code was used ${kept.usedBy === from.did ? 'by this device' : 'by another device'} at ${when}; a code works once`,
        from,
      )
    }
    if (offer.expiresAt <= now) throw await this.#refused('INVITE_EXPIRED', `this code expired at ${new Date(offer.expiresAt * 1_000).toISOString()}`, from)
    const given = await this.#checkGifts(ask.gives, offer, from)
    const no = await this.on.hold.look(offer, { did: from.did, name, address: from.address }, kept.approve === true)
    if (no?.isSpent !== false) await this.on.shelf.put(offer.invite, encode({ ...kept, usedBy: from.did, usedAt: this.on.clock.now() } satisfies Kept))
    if (no !== undefined) throw await this.#refused(no.code, no.message, from)
    const welcome = await this.#admitting.welcome({ offer, given, from, name })
    this.on.hold.joined(offer, { did: from.did, name: this.on.directory.nameOf(from.did) ?? name })
    return welcome
  }

  /** Now, and not while somebody joins: the links above tell others of the role, and that may take its time. */
  async #readyRole({ role, gives: [first] }: Offer): Promise<void> {
    if (role !== undefined && first !== undefined && this.on.keyring.owner !== undefined) await this.on.roleGiver?.ready(role, first.exp)
  }

  #offer(request: InviteRequest, invite: Did): Offer {
    const { mesh, directory, keyring, clock, addresses, defaultRoles } = this.on
    const owner = keyring.owner?.did ?? mesh.owners()[0] ?? ''
    const inviterName = directory.nameOf(keyring.device.did) ?? ''
    const offer = makeOffer(request, {
      invite,
      owner,
      inviterName,
      meshName: mesh.name,
      addrs: addresses(),
      nowMs: clock.now(),
      defaultRoles,
      roles: this.on.roles,
      guestOn: (names) => this.#devices(names),
    })
    refuseUngivable(offer, this.on)
    return offer
  }

  /** Where a guest is given something; here, where nobody says. @throws UNKNOWN_DEVICE */
  #devices(names: readonly string[] | undefined): { device: Did; name: string }[] {
    const { directory, keyring } = this.on
    const dids = names === undefined ? [keyring.device.did] : names.map((name) => directory.resolve(name))
    const guest = dids.find((did) => directory.isGuest(did))
    if (guest !== undefined)
      throw new ErrandError('GUEST', `"${directory.named(guest)}" is a guest itself, and guests do not meet`, { hint: 'name devices of the mesh' })
    return [...new Set(dids)].map((device) => ({ device, name: directory.nameOf(device) ?? '' }))
  }

  #proof(invite: Did, exp: number): Delegation {
    const { keyring, random } = this.on
    return signDelegation(keyring.device, { aud: invite, sub: keyring.device.did, cmd: '/mesh/join', pol: [], exp, nonce: random(NONCE_BYTES) })
  }

  async #find(ask: Ask, from: { did: Did; address: string }): Promise<{ kept: Kept; offer: Offer }> {
    const unknown = async (): Promise<ErrandError> => await this.#refused('INVITE_UNKNOWN', 'this device made no such invite, or has forgotten it', from)
    const [first] = ask.proofs
    const link = first === undefined ? undefined : attempt(() => decodeDelegation(first))
    const stored = link === undefined ? undefined : await this.on.shelf.get(link.iss)
    if (stored === undefined) throw await unknown()
    const kept = decodeAs(Kept, stored, 65_536)
    return { kept, offer: open(OfferSchema, DOMAIN.offer, this.on.mesh.id, kept.offer).value }
  }

  /** @returns the name that the joiner would like to have. */
  async #checkInvocation(ask: Ask, kept: Kept, from: { did: Did; challenge: Uint8Array; address: string }): Promise<string> {
    const proof = decodeDelegation(kept.proof)
    const context = {
      self: this.on.keyring.device.did,
      peer: from.did,
      challenge: from.challenge,
      now: this.on.keyring.nowSeconds(),
      revocations: { kills: (chain: readonly Delegation[]) => this.on.revocations.revokes(chain) },
      seen: this.#seen,
    }
    const seen = verifyInvocation(ask.invocation, ask.proofs, { ...context, known: (cid) => (cid === proof.cid ? proof : undefined) })
    if (!seen.ok && seen.code === 'GRANT_EXPIRED') throw await this.#refused('INVITE_EXPIRED', 'this code has expired', from)
    if (!seen.ok) throw await this.#refused('JOIN_DENIED', seen.detail, from)
    const { device, name } = seen.invocation.args as { device?: unknown; name?: unknown }
    if (seen.invocation.cmd !== '/mesh/join') throw await this.#refused('JOIN_DENIED', `${seen.invocation.cmd} is no ask to join`, from)
    if (device !== from.did) throw await this.#refused('JOIN_DENIED', 'the device that asks is not the one that is to join', from)
    return deviceName(typeof name === 'string' ? name : 'device')
  }

  /** Exactly what was asked, no more and no less: more would be power that nobody agreed to hold. */
  async #checkGifts(gives: readonly Uint8Array[], offer: Offer, from: { did: Did; address: string }): Promise<Delegation[]> {
    const links = gives.map((bytes) => decodeDelegation(bytes))
    if (!giftsFit(links, offer, from.did)) {
      throw await this.#refused('JOIN_DENIED', 'the device does not give what the invite asks for', from)
    }
    return links
  }

  /** Only an owner admits a removed device again, and with a code that was made for it since: one that it had already is worth nothing. */
  async #refuseRemoved({ madeAt = 0 }: Kept, from: { did: Did; address: string }): Promise<void> {
    const at = this.on.removedAt(from.did)
    if (at === undefined || (this.on.keyring.owner !== undefined && madeAt > at)) return
    throw await this.#refused('REMOVED', 'this device was removed from the mesh; only a new code of a device with an owner’s key admits it again', from)
  }

  async #refused(code: string, message: string, from: { did: Did; address: string }): Promise<ErrandError> {
    return await this.#refusals.say(code, message, from)
  }
}

function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn()
  } catch {
    return undefined
  }
}
