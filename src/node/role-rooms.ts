/** The desks of roles and groups, with what they share. */
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import { GroupDesk } from '../runtime/group-desk.ts'
import type { Groups } from '../runtime/groups.ts'
import { Lineage } from '../runtime/lineage.ts'
import type { OrderDesk } from '../runtime/order-desk.ts'
import type { RightsDesk } from '../runtime/rights-desk.ts'
import { RoleDesk } from '../runtime/role-desk.ts'
import { RoleHand } from '../runtime/role-hand.ts'
import type { Roles } from '../runtime/roles.ts'
import type { Rooms } from './rooms.ts'

export interface RoleRooms {
  readonly roles: RoleDesk
  readonly groups: GroupDesk
}

export interface RoleRoomsOn {
  readonly owners: () => readonly Did[]
  readonly roles: Roles
  readonly groups: Groups
  readonly orders: OrderDesk
  readonly rights: RightsDesk
}

export function openRoleRooms({ keyring, wallet, revocations, directory }: Rooms, on: RoleRoomsOn): RoleRooms {
  const { owners, roles, groups, orders, rights } = on
  const lineage = new Lineage({ wallet, revocations, nowSeconds: () => keyring.nowSeconds() })
  const shared = { keyring, wallet, lineage, roles, orders, rights, random }
  const hand = new RoleHand({ ...shared, revocations, owners })
  return {
    roles: new RoleDesk({ ...shared, hand, groups, directory, clock }),
    groups: new GroupDesk({ ...shared, groups, directory }),
  }
}
