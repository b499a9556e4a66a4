/** Everything about inviting on one node: codes, who may come in with them, and who may try the short ones. */
import { systemClock as clock, pause, systemRandom as random } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import type { MeshNode } from '../mesh/mesh.ts'
import { InviteHold } from '../runtime/invite-hold.ts'
import { InviteProgress } from '../runtime/invite-progress.ts'
import { Invites } from '../runtime/invites.ts'
import { Pairings } from '../runtime/pairings.ts'
import { dialable } from './addresses.ts'
import type { NodeParts } from './parts.ts'
import type { RoleRooms } from './role-rooms.ts'
import type { Cellar, Rooms } from './rooms.ts'

/** A device that does not answer holds up no guest: it hears of it when it comes back. */
const TOLD_WITHIN_MS = 2_000

export interface Inviting {
  readonly invites: Invites
  readonly hold: InviteHold
  readonly pairings: Pairings
}

/** Invites name this device's addresses and tell the mesh of members; the mesh serves joins through invites. So one of them gets the other late. */
export function openInvites(
  p: NodeParts,
  { store, audit }: Cellar,
  rooms: Rooms,
  { mesh, desks, mayAdmit }: { mesh: () => MeshNode; desks: () => Pick<RoleRooms, 'roles'>; mayAdmit: () => void },
): Inviting {
  const { directory, wallet, revocations, records, keyring } = rooms
  const self = p.device.did
  const progress = new InviteProgress(clock)
  const hold = new InviteHold({ self, progress, audit })
  const pairings = new Pairings({ self, progress, audit, clock, random })
  const invites = new Invites({
    ...{ hold, pairings, mayAdmit },
    removedAt: (did) => rooms.orders.atOf('remove', did),
    ...{ keyring, directory, wallet, revocations, records, audit, clock, random },
    mesh: { id: p.mesh.id, name: p.mesh.genesis.name, owners: () => rooms.owners.ever(), genesis: p.mesh.bytes },
    shelf: store.shelf('invites'),
    defaultRoles: p.config.security.defaultRoles,
    roles: rooms.roles,
    roleGiver: { ready: (role, exp) => desks().roles.ready(role, exp), linksFor: (role, to) => desks().roles.linksFor(role, to) },
    addresses: () => dialable(mesh().addresses()),
    announce: async (membership, links, on) => {
      const owned = directory
        .members()
        .filter((member) => member.own)
        .map((member) => member.device as Did)
      const told = mesh()
        .push('members', [membership])
        .then(() => mesh().push('delegations', links, [...new Set([...owned, ...on])])) // a grant counts only for who is in the mesh
      await Promise.race([told, pause(clock, TOLD_WITHIN_MS)])
    },
  })
  return { invites, hold, pairings }
}
