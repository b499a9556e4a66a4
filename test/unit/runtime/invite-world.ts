/** The shipped inviting side of one device of a small mesh, over a shelf in memory and a log that is a list. */
import type { Fact } from '../../../src/audit/facts.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { InviteHold } from '../../../src/runtime/invite-hold.ts'
import { InviteProgress } from '../../../src/runtime/invite-progress.ts'
import { Invites } from '../../../src/runtime/invites.ts'
import { Keyring } from '../../../src/runtime/keyring.ts'
import { Pairings } from '../../../src/runtime/pairings.ts'
import type { MemoryShelf, MeshWorld, Rooms } from './mesh-world.ts'

export const CHALLENGE = new Uint8Array(16).fill(0xc4)

interface InvitesOf {
  readonly world: MeshWorld
  readonly rooms: Rooms
  readonly shelf: MemoryShelf
  readonly facts: Fact[]
  readonly device: Identity
  /** The owner’s key, where it lies on the device. */
  readonly holder?: Identity | undefined
  readonly defaultRoles?: readonly string[]
}

export function invitesOn({ world, rooms, shelf, facts, device, holder, defaultRoles = [] }: InvitesOf): { invites: Invites; hold: InviteHold } {
  const { mesh, clock, random } = world
  const audit = { append: (fact: Fact) => Promise.resolve(facts.push(fact)) }
  const on = { self: device.did, progress: new InviteProgress(clock), audit }
  const hold = new InviteHold(on)
  const invites = new Invites({
    ...{ hold, pairings: new Pairings({ ...on, clock, random }), audit },
    mayAdmit: () => undefined,
    removedAt: (did) => rooms.orders.atOf('remove', did),
    keyring: new Keyring({ device, ...(holder === undefined ? {} : { owner: holder }), wallet: rooms.wallet, revocations: rooms.revocations, clock, random }),
    ...{ ...rooms, clock, random, shelf },
    mesh: { id: mesh.id, name: mesh.genesis.name, owners: () => mesh.genesis.owners, genesis: mesh.bytes },
    addresses: () => ['/ip4/127.0.0.1/tcp/4701'],
    defaultRoles,
    announce: () => Promise.resolve(),
  })
  return { invites, hold }
}
