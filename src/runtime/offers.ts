/** What an invite offers: the request of the inviting user, checked and compiled into rights. */
import * as v from 'valibot'
import { type Offer, type OfferedRight, Offer as OfferSchema } from '../../protocols/join/messages.ts'
import type { InviteRequest } from '../../protocols/local/messages.ts'
import { DeviceName } from '../../protocols/member/messages.ts'
import { shapeOf } from '../../protocols/wire.ts'
import { rightMeta } from '../authority/approval.ts'
import { parsePolicy } from '../authority/policy.ts'
import { parseRight } from '../authority/rights.ts'
import type { DelegationFields } from '../authority/token.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { refuseGuestRequest } from './guest-request.ts'
import type { Roles } from './roles.ts'

const CODE_LIFE_MS = 10 * 60_000
const MAX_RIGHTS = 16
const RIGHT_LIFE_MS = 8 * 3_600_000

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
  readonly roles: Pick<Roles, 'named' | 'bundle' | 'lifeOf'>
  /** The devices on which a guest is given something. @throws UNKNOWN_DEVICE */
  readonly guestOn: (names: readonly string[] | undefined) => { readonly device: string; readonly name: string }[]
}

/** The offer without its proof. @throws BAD_INVITE, BAD_ROLE, BAD_NAME, BAD_RIGHT */
export function makeOffer(request: InviteRequest, from: OfferFrom): Offer {
  refuseRequest(request)
  const at = (ms: number): number => Math.ceil((from.nowMs + ms) / 1_000)
  const right = (text: string): OfferedRight => {
    const { pol, ...right } = parseRight(text)
    return { ...right, pol: [...pol], exp: at(request.forMs ?? RIGHT_LIFE_MS) }
  }
  const isGuest = request.guest === true
  const role = roleIn(request, from)
  return shapeOf(OfferSchema, {
    v: 1,
    ...{ meshName: from.meshName, inviterName: from.inviterName, invite: from.invite, owner: from.owner, addrs: from.addrs.slice(0, 8) },
    proof: '',
    name: request.name ?? null,
    kind: isGuest ? 'guest' : 'member',
    mine: request.ask === undefined && !isGuest,
    asks: (request.ask ?? []).map(right),
    admin: role !== undefined && from.roles.bundle(role).invites,
    ...(role === undefined ? {} : { role }),
    ...(isGuest ? { on: request.give === undefined ? [] : from.guestOn(request.on) } : {}),
    gives: [...(role === undefined ? [] : rightsOfRole(role, request.forMs, from)), ...(request.give ?? []).map(right)],
    expiresAt: at(request.expiresMs ?? CODE_LIFE_MS),
  })
}

/** A guest has none, not even the one that others get where nothing is said. */
function roleIn({ role, give, guest }: InviteRequest, { defaultRoles, roles }: OfferFrom): string | undefined {
  const [first] = role !== undefined ? [role] : give === undefined && guest !== true ? defaultRoles : []
  return first === undefined ? undefined : roles.named(first)
}

/** @throws ROLE_TOO_LONG */
function rightsOfRole(role: string, forMs: number | undefined, { roles, nowMs }: OfferFrom): OfferedRight[] {
  const exp = Math.ceil((nowMs + roles.lifeOf(role, forMs)) / 1_000)
  const { rights } = roles.bundle(role)
  if (rights.length > MAX_RIGHTS)
    throw new ErrandError('BAD_INVITE', `the role ${role} has ${rights.length} rights, and an invite carries ${MAX_RIGHTS} at most`, {
      hint: `invite without it, then: errand role assign ${role} DEVICE`,
    })
  return rights.map(({ pol, ...right }) => ({ ...right, pol: [...pol], exp }))
}

/** The fields of a delegation that an offered right stands for. @throws BadPolicy */
export function rightFields({ cmd, pol, exp, ...beside }: OfferedRight): Pick<DelegationFields, 'cmd' | 'pol' | 'exp' | 'meta'> {
  const meta = rightMeta(beside)
  return { cmd, pol: parsePolicy(pol), exp, ...(meta === undefined ? {} : { meta }) }
}

function refuseRequest(request: InviteRequest): void {
  const { mine, ask, name } = request
  refuseGuestRequest(request)
  if (mine === true && ask !== undefined) throw new ErrandError('BAD_INVITE', '--mine asks for everything, --ask for some rights: choose one')
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
