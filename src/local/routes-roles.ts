/** Routes for roles, and for groups of devices. */
import * as v from 'valibot'
import {
  Assigned,
  AssignRequest,
  GroupChanged,
  GroupRequest,
  GroupView,
  RoleChange,
  RoleChanged,
  RoleName,
  RoleRequest,
  RoleView,
  Unassigned,
  UnassignRequest,
} from '../../protocols/local/roles.ts'
import { get, json, post, type Route, route } from './route.ts'

export const ROLE_ROUTES: readonly Route[] = [
  route(get('/api/runtime/roles', 'All roles: what each comes to, and who has it.', json(v.array(RoleView))), {}, ({ runtime }) => runtime.roles.list()),
  route(post('/api/runtime/roles', 'Makes a role.', json(RoleChanged)), { body: RoleRequest }, ({ runtime, body }) => runtime.roles.add(body)),
  route(
    post('/api/runtime/roles/change', 'Changes a role; what runs on a right that is gone is stopped.', json(RoleChanged)),
    { body: RoleChange },
    ({ runtime, body }) => runtime.roles.change(body),
  ),
  route(post('/api/runtime/roles/remove', 'Removes a role, and takes it back from everybody.', json(RoleChanged)), { body: RoleName }, ({ runtime, body }) =>
    runtime.roles.remove(body),
  ),
  route(post('/api/runtime/roles/assign', 'Gives somebody a role, for a while.', json(Assigned)), { body: AssignRequest }, ({ runtime, body }) =>
    runtime.roles.assign(body),
  ),
  route(post('/api/runtime/roles/unassign', 'Takes a role back from somebody.', json(Unassigned)), { body: UnassignRequest }, ({ runtime, body }) =>
    runtime.roles.unassign(body),
  ),
  route(get('/api/runtime/groups', 'Groups of devices.', json(v.array(GroupView))), {}, ({ runtime }) => runtime.groups.list()),
  route(
    post('/api/runtime/groups', 'Changes a group; what was given on its account follows.', json(GroupChanged)),
    { body: GroupRequest },
    ({ runtime, body }) => runtime.groups.change(body),
  ),
]
