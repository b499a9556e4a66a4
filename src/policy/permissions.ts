/** The classic names of permissions, each as the command of this mesh that it stands for. */
import { coversPath, isCommandPath } from '../authority/commands.ts'

const COMMANDS: Readonly<Record<string, string>> = {
  'task:submit': '/task/submit',
  'task:read': '/task/read',
  'task:view': '/task/read',
  'task:cancel': '/task/cancel',
  'agent:list': '/agent/list',
  'agent:invoke': '/agent/invoke',
  'agent:execute': '/agent/invoke',
  'agent:configure': '/config/write',
  'skill:list': '/skill/list',
  'skill:execute': '/skill/execute',
  'skill:install': '/skill/install',
  'config:read': '/config/read',
  'config:write': '/config/write',
  'project:read': '/file/read',
  'project:write': '/file/write',
  'project:delete': '/file/write',
  'admin:users': '/ucan',
  'admin:system': '/config',
  'admin:all': '/',
}

export function isPermission(text: string): boolean {
  return Object.hasOwn(COMMANDS, text) || isCommandPath(text)
}

/** Whether every link of a chain covers what a permission stands for. */
export function holds(chain: readonly { readonly cmd: string }[], permission: string): boolean {
  const command = Object.hasOwn(COMMANDS, permission) ? COMMANDS[permission] : permission
  return command !== undefined && chain.length > 0 && chain.every(({ cmd }) => coversPath(cmd, command))
}
