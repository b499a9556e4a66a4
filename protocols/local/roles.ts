/** Roles and groups, as the local API says them. */
import * as v from 'valibot'
import { ROLE, ShortName } from '../member/orders.ts'
import { List, Text } from '../wire.ts'
import { Duration } from './messages.ts'
import { GrantView, RevokeView } from './views.ts'

const Rights = List(Text(4_096), ROLE.rights)
const Names = v.array(v.string())
const When = v.nullable(v.string())

export const RoleRequest = v.strictObject({
  role: ShortName,
  /** Its own rights, like those of a grant. */
  can: v.optional(Rights),
  inherits: v.optional(List(ShortName, ROLE.inherits)),
  /** For how long at most it is given to somebody. */
  maxMs: v.optional(v.pipe(Duration, v.minValue(1_000))),
})
export type RoleRequest = v.InferOutput<typeof RoleRequest>

/** What is not named stays. */
export const RoleChange = v.strictObject({
  role: ShortName,
  /** Rights to add. */
  can: v.optional(Rights),
  /** Rights to take away: its own ones. */
  cannot: v.optional(Rights),
  /** In place of what it inherited. */
  inherits: v.optional(List(ShortName, ROLE.inherits)),
  /** Null: no bound of its own. */
  maxMs: v.optional(v.nullable(v.pipe(Duration, v.minValue(1_000)))),
})
export type RoleChange = v.InferOutput<typeof RoleChange>

export const RoleName = v.strictObject({ role: ShortName })
export type RoleName = v.InferOutput<typeof RoleName>

export const AssignRequest = v.strictObject({
  role: ShortName,
  /** A device, or a group of somebody's devices. */
  who: Text(128),
  /** A device or a group. Absent: every device of the owner, also those that come later. */
  on: v.optional(Text(128)),
  forMs: v.optional(Duration),
  /** Not before this time; milliseconds since the epoch. */
  fromMs: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  passOn: v.optional(v.boolean()),
})
export type AssignRequest = v.InferOutput<typeof AssignRequest>

export const UnassignRequest = v.strictObject({ role: ShortName, who: Text(128), on: v.optional(Text(128)) })
export type UnassignRequest = v.InferOutput<typeof UnassignRequest>

/** Somebody who has a role. */
const Member = v.object({ who: v.string(), on: v.nullable(v.string()), expiresAt: When })

export const RoleView = v.object({
  role: v.string(),
  builtIn: v.boolean(),
  /** Of the key between the owner and whoever has the role; null: it was never given to anybody. */
  did: v.nullable(v.string()),
  /** All that it comes to, with what it inherits. */
  can: Names,
  own: Names,
  inherits: Names,
  maxMs: v.nullable(v.number()),
  members: v.array(Member),
})
export type RoleView = v.InferOutput<typeof RoleView>

const Heard = { stopped: Names, acknowledged: Names, unreachable: Names }

/** A role that was made, changed or removed: what that did to the grants that hang on it. */
export const RoleChanged = v.object({ role: RoleView, issued: Names, revoked: Names, ...Heard })
export type RoleChanged = v.InferOutput<typeof RoleChanged>

export const Assigned = v.object({ role: v.string(), words: v.string(), grants: v.array(GrantView) })
export type Assigned = v.InferOutput<typeof Assigned>

export const Unassigned = v.object({ role: v.string(), ...RevokeView.entries })
export type Unassigned = v.InferOutput<typeof Unassigned>

/** Devices that come into a group and that leave it. */
export const GroupRequest = v.strictObject({ group: ShortName, add: v.optional(List(Text(128), 512)), remove: v.optional(List(Text(128), 512)) })
export type GroupRequest = v.InferOutput<typeof GroupRequest>

export const GroupView = v.object({ group: v.string(), devices: Names })
export type GroupView = v.InferOutput<typeof GroupView>

export const GroupChanged = v.object({ ...GroupView.entries, issued: Names, revoked: Names, ...Heard })
export type GroupChanged = v.InferOutput<typeof GroupChanged>
