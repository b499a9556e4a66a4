/** The classic names of permissions, each as the command of this mesh that it stands for. */
import { coversPath, isCommandPath } from '../authority/commands.ts'
import { commandOfPermission } from '../authority/permissions.ts'

export function isPermission(text: string): boolean {
  return commandOfPermission(text) !== undefined || isCommandPath(text)
}

/** Whether every link of a chain covers what a permission stands for. */
export function holds(chain: readonly { readonly cmd: string }[], permission: string): boolean {
  const command = commandOfPermission(permission) ?? permission
  return chain.length > 0 && chain.every(({ cmd }) => coversPath(cmd, command))
}
