/** Joining from this side: whether this home may, the asking itself, and what came back. */
import type { JoinRequest, JoinView } from '../../protocols/local/messages.ts'
import type { Membership } from '../../protocols/member/messages.ts'
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { type Identity, peerIdOf } from '../identity/identity.ts'
import { askToJoin } from '../mesh/join.ts'
import { getsOf, givesOf, type ReadCode } from '../runtime/invite-code.ts'
import { checkWelcome, type KnownMesh, makeAsk } from '../runtime/joining.ts'
import type { NodeParts } from './parts.ts'

/** The mesh of this home, and how many others are in it. */
export interface Here {
  readonly mesh: KnownMesh
  readonly others: number
  /** It is no member: an owner took it out, or it is or was a guest. It may come back as something else, or go elsewhere. */
  readonly mayComeBack: boolean
}

/** @throws INVITE_EXPIRED, ALREADY_MEMBER, OTHER_MESH. A mesh of one that was never shared may be left. */
export function refuseJoin({ offer, meshId }: ReadCode, here: Here | undefined): void {
  if (offer.expiresAt * 1_000 < clock.now()) {
    throw new ErrandError('INVITE_EXPIRED', `this code expired at ${new Date(offer.expiresAt * 1_000).toISOString()}`, {
      hint: 'ask for a new one: errand invite',
    })
  }
  if (here === undefined || here.mayComeBack) return
  if (Buffer.compare(here.mesh.id, meshId) === 0) {
    throw new ErrandError('ALREADY_MEMBER', `this device is a member of mesh "${offer.meshName}" already`, { hint: 'errand devices shows it' })
  }
  refuseLeaving(here, `; the code is for mesh "${offer.meshName}"`)
}

/** @throws OTHER_MESH when somebody else is in the mesh of this home. */
export function refuseLeaving(here: Here | undefined, more = ''): void {
  if (here === undefined || here.others === 0) return
  const { mesh, others } = here
  const devices = `${others} other ${others === 1 ? 'device' : 'devices'}`
  throw new ErrandError('OTHER_MESH', `this home belongs to mesh "${mesh.genesis.name}" with ${devices}${more}`, {
    hint: 'one home, one mesh: join with another home: errand join --home DIR',
  })
}

export interface Joined {
  readonly mesh: KnownMesh
  readonly membership: Membership
  /** What a node of the new mesh is started with. */
  readonly start: Pick<NodeParts, 'mesh' | 'membership' | 'brought' | 'met' | 'isNewHere'>
}

/** Asks the inviting device. @throws NO_ROUTE, its refusal, BAD_WELCOME */
export async function askInviter(code: ReadCode, request: JoinRequest, o: { device: Identity; name: string; version: string }): Promise<Joined> {
  const { device, name, version } = o
  const inviterPeerId = peerIdOf(code.inviter)
  const met = (request.via ?? code.offer.addrs).map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${inviterPeerId}`))
  const welcome = await askToJoin({
    ...{ identity: device, meshId: code.meshId, inviterPeerId, addresses: met, version },
    makeAsk: (challenge) => makeAsk(code, { device, clock, random, version, name, challenge }),
  })
  const { mesh, membership } = checkWelcome(welcome, code, device.did)
  const sets = ['orders', 'members', 'addresses', 'revocations', 'delegations'] as const
  const brought = sets.flatMap((set) => (welcome[set] ?? []).map((bytes) => [set, bytes] as const))
  return { mesh, membership, start: { mesh, membership: welcome.membership, brought, met, isNewHere: true } }
}

export function joinView({ offer }: ReadCode, { mesh, membership }: Joined): JoinView {
  const { device, name, kind } = membership
  const id = Buffer.from(mesh.id).toString('hex')
  return { mesh: { id, name: mesh.genesis.name }, did: device, name, membership: kind, gave: givesOf(offer, name), got: getsOf(offer) }
}
