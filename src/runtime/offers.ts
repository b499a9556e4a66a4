/** What an invite offers: the request of the inviting user, checked and compiled into rights. */
import * as v from 'valibot'
import { type Offer, type OfferedRight, Offer as OfferSchema } from '../../protocols/join/messages.ts'
import type { InviteRequest } from '../../protocols/local/messages.ts'
import { DeviceName } from '../../protocols/member/messages.ts'
import { shapeOf } from '../../protocols/wire.ts'
import { parseRight } from '../authority/rights.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'

const CODE_LIFE_MS = 10 * 60_000
const RIGHT_LIFE_MS = 8 * 3_600_000
/** A role is for people who stay; it is renewed, not eternal. */
const ROLE_LIFE_MS = 365 * 86_400_000

export interface OfferFrom {
  /** DID of the ephemeral invite key. */
  readonly invite: Did
  readonly owner: string
  readonly meshName: string
  readonly inviterName: string
  readonly addrs: readonly string[]
  readonly nowMs: number
  /** What an invite gives that names neither a role nor rights. */
  readonly defaultRoles: readonly string[]
}

/** The offer without its proof. @throws BAD_INVITE, BAD_ROLE, BAD_NAME, BAD_RIGHT */
export function makeOffer(request: InviteRequest, from: OfferFrom): Offer {
  refuseRequest(request)
  const at = (ms: number): number => Math.ceil((from.nowMs + ms) / 1_000)
  const right = (text: string): OfferedRight => {
    const { cmd, pol } = parseRight(text)
    return { cmd, pol: [...pol], exp: at(request.forMs ?? RIGHT_LIFE_MS) }
  }
  const roles = request.role !== undefined ? [request.role] : request.give === undefined ? from.defaultRoles : []
  const admin = roles.includes('admin')
  const role: OfferedRight[] = admin ? [{ cmd: '/', pol: [], exp: at(request.forMs ?? ROLE_LIFE_MS) }] : []
  return shapeOf(OfferSchema, {
    v: 1,
    ...{ meshName: from.meshName, inviterName: from.inviterName, invite: from.invite, owner: from.owner, addrs: from.addrs.slice(0, 8) },
    proof: '',
    name: request.name ?? null,
    kind: 'member',
    mine: request.ask === undefined,
    asks: (request.ask ?? []).map(right),
    admin,
    gives: [...role, ...(request.give ?? []).map(right)],
    expiresAt: at(request.expiresMs ?? CODE_LIFE_MS),
  })
}

function refuseRequest({ mine, ask, role, name }: InviteRequest): void {
  if (mine === true && ask !== undefined) throw new ErrandError('BAD_INVITE', '--mine asks for everything, --ask for some rights: choose one')
  if (role !== undefined && role !== 'admin')
    throw new ErrandError('BAD_ROLE', `no role "${role}"`, { hint: 'the role that exists is admin; or name rights with --give' })
  if (name === undefined || v.is(DeviceName, name)) return
  throw new ErrandError('BAD_NAME', `"${name}" is no device name`, { hint: 'a name has 1–63 letters a–z, digits and inner dashes' })
}

export function notesOn(offer: Offer): string[] {
  return offer.addrs.every((address) => /^\/ip4\/127\.|^\/ip6\/::1\//.test(address))
    ? ['this code works on this machine only: nothing listens on the network yet (errand up --preset lan)']
    : []
}

/** Any text as a device name: what is not allowed becomes a dash. */
export function deviceName(text: string): string {
  const plain = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '')
  return plain === '' ? 'device' : plain
}
