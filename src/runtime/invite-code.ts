/** The self-contained invite code: what it carries, how it is spelled, and how a changed one is noticed before anybody is dialled. */
import { createHash } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'
import { Code, JOIN, Offer, type OfferedRight } from '../../protocols/join/messages.ts'
import type { OfferView, RightView } from '../../protocols/local/messages.ts'
import { DOMAIN, decodeAs, encode, sameBytes } from '../../protocols/wire.ts'
import { rightMeta } from '../authority/approval.ts'
import { parsePolicy } from '../authority/policy.ts'
import { sayRight } from '../authority/rights.ts'
import { ErrandError } from '../base/errors.ts'
import { open } from '../identity/envelope.ts'
import { type Did, Identity } from '../identity/identity.ts'
import { checkWords } from './pair-channel.ts'
import { wordsOf } from './words.ts'

/** Base58 takes time with the square of its length: 30 ms for this. */
const MAX_CODE_CHARS = 6_144
const CHECK_BYTES = 4
/** The alphabet of Base58, with its own letter for the base in front: `z`. */
const BASE58 = new RegExp(`^${JOIN.codePrefix}z[1-9A-HJ-NP-Za-km-z]*$`)

export interface ReadCode {
  readonly meshId: Uint8Array
  readonly inviteKey: Identity
  readonly offer: Offer
  /** The device that signed the offer. */
  readonly inviter: Did
}

export function writeCode(meshId: Uint8Array, seed: Uint8Array, offer: Uint8Array): string {
  const body = encode([1, meshId, seed, offer])
  return JOIN.codePrefix + base58btc.encode(Buffer.concat([body, checksum(body)]))
}

/** @throws BAD_INVITE when the code is cut, mistyped, changed or of a newer form. */
export function readCode(text: string): ReadCode {
  const body = uncheck(text.replace(/\s+/g, ''))
  try {
    const [, meshId, seed, sealed] = decodeAs(Code, body, MAX_CODE_CHARS)
    const { value: offer, by } = open(Offer, DOMAIN.offer, meshId, sealed)
    const inviteKey = new Identity(seed)
    if (inviteKey.did !== offer.invite) throw new TypeError('its key belongs to another offer')
    return { meshId, inviteKey, offer, inviter: by }
  } catch (cause) {
    throw new ErrandError('BAD_INVITE', `this invite was changed or is not one of errand's: ${cause instanceof Error ? cause.message : 'unreadable'}`, {
      hint: 'copy the code again from where it was made, or make a new one: errand invite',
      cause,
    })
  }
}

/** The three parts of joining, in words, for whoever has to agree. */
export function offerView({ offer, inviter, meshId }: ReadCode, self: { name: string; did: string }): OfferView {
  const mesh = { id: Buffer.from(meshId).toString('hex'), name: offer.meshName }
  return {
    mesh,
    inviter: { name: offer.inviterName, did: inviter, words: wordsOf(inviter) },
    membership: offer.kind,
    name: offer.name,
    give: givesOf(offer, offer.name ?? self.name),
    get: getsOf(offer),
    check: checkOf({ invite: offer.invite, inviter, joiner: self.did }),
    expiresAt: new Date(offer.expiresAt * 1_000).toISOString(),
  }
}

/** What two people compare before one lets the other in who came with a long code: this invite, and these two devices. */
export function checkOf({ invite, inviter, joiner }: { readonly invite: string; readonly inviter: string; readonly joiner: string }): string {
  return checkWords(createHash('sha256').update(`errand join check v1\0${invite}\0${inviter}\0${joiner}`).digest())
}

/** What the joining device gives. */
export function givesOf(offer: Offer, device: string): RightView[] {
  if (offer.mine) return [{ can: 'everything', words: `everything on ${device}: it becomes one of your own devices`, device, expiresAt: null }]
  return offer.asks.map((right) => rightView(right, device))
}

/** What the joining device gets. */
export function getsOf(offer: Offer): RightView[] {
  const everywhere = offer.on === undefined ? 'every device of the owner' : offer.on.map(({ name }) => name).join(', ')
  if (offer.role !== undefined && offer.gives[0] !== undefined) return [roleView(offer.role, offer, everywhere)]
  return offer.gives.map((right) => rightView(right, everywhere))
}

function roleView(role: string, { gives, admin }: Offer, device: string): RightView {
  const [first] = gives
  const words = gives.map(({ cmd, pol, ...beside }) => sayRight(cmd, parsePolicy(pol), rightMeta(beside))).join('; and ')
  return {
    can: `role ${role}`,
    words: `role ${role}: ${words} on ${device}${admin ? ', and inviting others' : ''}`,
    device,
    expiresAt: timeOf(first?.exp ?? 0),
  }
}

function rightView({ cmd, pol, exp, ...beside }: OfferedRight, device: string): RightView {
  const words = sayRight(cmd, parsePolicy(pol), rightMeta(beside))
  return { can: words, words: `${words} on ${device}`, device, expiresAt: timeOf(exp) }
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString()
}

function checksum(body: Uint8Array): Uint8Array {
  return createHash('sha256').update(body).digest().subarray(0, CHECK_BYTES)
}

function uncheck(code: string): Uint8Array {
  const damaged = (why: string): ErrandError =>
    new ErrandError('BAD_INVITE', `this is not a whole invite code: ${why}`, { hint: `copy the whole line that begins with ${JOIN.codePrefix}` })
  if (code.length > MAX_CODE_CHARS) throw damaged('it is too long')
  if (!code.startsWith(JOIN.codePrefix)) throw damaged(`it does not begin with ${JOIN.codePrefix}`)
  if (!BASE58.test(code)) throw damaged('it holds characters that no code has') // seen at once; the decoder may have gone all the way before
  const bytes = base58btc.decode(code.slice(JOIN.codePrefix.length))
  const body = bytes.subarray(0, -CHECK_BYTES)
  if (!sameBytes(checksum(body), bytes.subarray(-CHECK_BYTES))) throw damaged('a part of it is missing or mistyped')
  return body
}
