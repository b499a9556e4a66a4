/** Usage errors: what was wrong, the nearest right word, and how the command is written. Exit code 2, before anything else happens. */
import type { Command, CommanderError } from 'commander'
import { ErrandError } from '../base/errors.ts'

export class UsageError extends ErrandError {
  constructor(
    message: string,
    readonly usage: string,
  ) {
    super('USAGE', message, { hint: `usage: ${usage}`, fields: { usage } })
  }
}

/** What commander says, without its prefix; its suggestion ("Did you mean …") stays on the same line. */
export function usageError(command: Command, error: CommanderError): UsageError {
  return new UsageError(error.message.replace(/^error: /, '').replaceAll('\n', ' '), usageOf(command))
}

export function usageOf(command: Command): string {
  const names = []
  for (let at: Command | null = command; at !== null; at = at.parent) names.unshift(at.name())
  return `${names.join(' ')} ${command.usage()}`.trim()
}
