/**
 * The classic names of permissions, one to one with commands of this mesh. A name is another way to write a right: `task:read` is `/task/read`.
 * `task:submit` is the command itself: a task is a command that a device runs, and what it may not do a policy says.
 */
import { isDelegable } from './commands.ts'

/** Each permission's command. No two of these share one. */
export const PERMISSIONS = {
  'task:submit': '/exec/run',
  'task:read': '/task/read',
  'task:cancel': '/task/cancel',
  'agent:list': '/agent/list',
  'agent:invoke': '/agent/invoke',
  'agent:configure': '/agent/configure',
  'skill:list': '/skill/list',
  'skill:execute': '/skill/execute',
  'skill:install': '/skill/install',
  'config:read': '/config/read',
  'config:write': '/config/write',
  'project:read': '/file/read',
  'project:write': '/file/write',
  'project:delete': '/file/delete',
  /** Grants: who hands out what. Members, roles and trust are orders, which only owners give. */
  'admin:users': '/ucan',
  'admin:system': '/config',
  'admin:all': '/',
} as const
export type Permission = keyof typeof PERMISSIONS

/** Second names. */
export const PERMISSION_ALIASES = { 'task:view': 'task:read', 'agent:execute': 'agent:invoke' } as const satisfies Record<string, Permission>

/** @returns the command that a permission stands for, or undefined where there is no such permission. */
export function commandOfPermission(name: string): string | undefined {
  const known = Object.hasOwn(PERMISSION_ALIASES, name) ? PERMISSION_ALIASES[name as keyof typeof PERMISSION_ALIASES] : name
  return Object.hasOwn(PERMISSIONS, known) ? PERMISSIONS[known as Permission] : undefined
}

/** `area: act` for a command of two words that can be given: how people write and read rights that have no bounds of their own. */
export function commandInWords(command: string): string | undefined {
  const [, area, act] = /^\/([a-z-]+)\/([a-z-]+)$/.exec(command) ?? []
  return area === undefined || act === undefined || area === 'exec' || !isDelegable(command) ? undefined : `${area}: ${act}`
}
