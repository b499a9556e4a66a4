/** `errand role` and `errand group`: bundles of rights, and devices under one name. */
import type { Assigned, GroupChanged, GroupView, RoleChanged, RoleView, Unassigned } from '../../../protocols/local/roles.ts'
import { systemClock } from '../../base/clock.ts'
import { sayAbout, sayDuration } from '../../base/duration.ts'
import { ErrandError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { clean, plural, table } from '../render.ts'
import { present } from '../values.ts'
import { heardBy } from './device.ts'

export async function roles(context: Context): Promise<number> {
  const seen = await all(context)
  context.print(seen, () =>
    table(
      ['ROLE', 'MAY', 'INHERITS', 'AT MOST', 'WHO HAS IT'],
      seen.map(({ role, can, inherits, maxMs, members }) => [
        role,
        can.join('; '),
        inherits.join(', ') || '-',
        maxMs === null ? '-' : sayDuration(maxMs),
        whoHas(members),
      ]),
    ),
  )
  return 0
}

export async function show(context: Context, role: string): Promise<number> {
  const known = await all(context)
  const seen = known.find((one) => one.role === (role === 'viewer' ? 'readonly' : role))
  if (seen === undefined)
    throw new ErrandError('BAD_ROLE', `no role "${role}" in this mesh`, { hint: `there are ${known.map((one) => one.role).join(', ')}  (errand role list)` })
  context.print(seen, () =>
    [
      `${clean(seen.role)}${seen.builtIn ? '  (built in)' : ''}`,
      ...seen.can.map((right) => `  may ${clean(right)}`),
      ...seen.inherits.map((one) => `  inherits ${clean(one)}`),
      ...(seen.maxMs === null ? [] : [`  is given for ${sayDuration(seen.maxMs)} at most`]),
      ...(seen.members.length === 0 ? ['  nobody has it'] : seen.members.map((member) => `  ${saidMember(member)}`)),
    ].join('\n'),
  )
  return 0
}

interface Rules {
  readonly can?: string[]
  readonly cannot?: string[]
  readonly inherits?: string[] | false
  readonly max?: number | false
}

export async function add(context: Context, role: string, { can, inherits, max }: Rules): Promise<number> {
  const request = { role, ...present({ can, inherits: inherits === false ? undefined : inherits, maxMs: max === false ? undefined : max }) }
  return changed(context, 'made', await context.client.call<RoleChanged>('POST', '/api/runtime/roles', request))
}

export async function change(context: Context, role: string, { can, cannot, inherits, max }: Rules): Promise<number> {
  const request = { role, ...present({ can, cannot, inherits: inherits === false ? [] : inherits, maxMs: max === false ? null : max }) }
  return changed(context, 'changed', await context.client.call<RoleChanged>('POST', '/api/runtime/roles/change', request))
}

export async function remove(context: Context, role: string): Promise<number> {
  return changed(context, 'removed', await context.client.call<RoleChanged>('POST', '/api/runtime/roles/remove', { role }))
}

interface Assigning {
  readonly on?: string
  readonly for: number
  readonly from?: number
  readonly passOn: boolean
}

export async function assign(context: Context, role: string, who: string, { on, for: forMs, from: fromMs, passOn }: Assigning): Promise<number> {
  const request = { role, who, forMs, ...present({ on, fromMs, passOn: passOn ? undefined : false }) }
  const seen = await context.client.call<Assigned>('POST', '/api/runtime/roles/assign', request)
  context.print(seen, () => context.tick(`${seen.words} · ${plural(seen.grants.length, 'grant')}`))
  return 0
}

export async function unassign(context: Context, role: string, who: string, { on }: { readonly on?: string }): Promise<number> {
  const seen = await context.client.call<Unassigned>('POST', '/api/runtime/roles/unassign', { role, who, ...present({ on }) })
  const stopped = seen.stopped.length === 0 ? '' : ` · ${plural(seen.stopped.length, 'live task')} stopped`
  context.print(seen, () =>
    context.tick(`${who} is no longer ${seen.role}${on === undefined ? '' : ` on ${on}`} · ${plural(seen.grants.length, 'grant')} revoked${stopped}`),
  )
  return 0
}

export async function groups(context: Context): Promise<number> {
  const seen = await context.client.call<GroupView[]>('GET', '/api/runtime/groups')
  context.print(seen, () =>
    table(
      ['GROUP', 'DEVICES'],
      seen.map(({ group, devices }) => [group, devices.join(', ')]),
    ),
  )
  return 0
}

export async function join(context: Context, group: string, devices: string[]): Promise<number> {
  return await regroup(context, { group, add: devices })
}

export async function leave(context: Context, group: string, devices: string[]): Promise<number> {
  return await regroup(context, { group, remove: devices })
}

async function regroup(context: Context, request: { readonly group: string; readonly add?: string[]; readonly remove?: string[] }): Promise<number> {
  const seen = await context.client.call<GroupChanged>('POST', '/api/runtime/groups', request)
  const held = seen.devices.length === 0 ? 'has no device any more' : `is ${seen.devices.join(', ')}`
  context.print(seen, () => context.tick(`${seen.group} ${held}${effects(seen)} · ${heardBy({ kind: 'group', subject: seen.group, ...seen })}`))
  return 0
}

function changed(context: Context, what: string, seen: RoleChanged): number {
  const { role } = seen
  const may = what === 'removed' ? '' : `: ${role.can.join('; ')}`
  context.print(seen, () => context.tick(`role ${role.role} ${what}${may}${effects(seen)} · ${heardBy({ kind: 'role', subject: role.role, ...seen })}`))
  return 0
}

function effects({ issued, revoked, stopped }: Pick<RoleChanged, 'issued' | 'revoked' | 'stopped'>): string {
  const parts = [
    ...(issued.length === 0 ? [] : [`${plural(issued.length, 'grant')} signed`]),
    ...(revoked.length === 0 ? [] : [`${plural(revoked.length, 'grant')} revoked`]),
    ...(stopped.length === 0 ? [] : [`${plural(stopped.length, 'live task')} stopped`]),
  ]
  return parts.map((part) => ` · ${part}`).join('')
}

async function all(context: Context): Promise<RoleView[]> {
  return await context.client.call<RoleView[]>('GET', '/api/runtime/roles')
}

function whoHas(members: RoleView['members']): string {
  return members.length === 0 ? 'nobody' : members.map(saidMember).join('; ')
}

function saidMember({ who, on, expiresAt }: RoleView['members'][number]): string {
  const left = expiresAt === null ? '' : `, ${sayAbout(Date.parse(expiresAt) - systemClock.now())} left`
  return `${clean(who)} on ${on === null ? 'every device' : clean(on)}${left}`
}
