/** What the groups of commands are made with. */
import type { Command, CommanderError } from 'commander'
import type { Context } from '../context.ts'
import { usageError } from '../usage.ts'

/** Describes the commands of one group. `argv` is what follows the program's name, unparsed. */
export type Group = (program: Command, does: Does, argv: readonly string[]) => void

/** Ties a command to its code: `act` gets the words and options that commander parsed, and returns the exit code. */
export type Does = <Given extends unknown[]>(command: Command, load: Load<Given>) => void
export type Load<Given extends unknown[]> = () => Promise<(context: Context, ...given: Given) => Promise<number>>

export function strict(command: Command): void {
  command.exitOverride((error: CommanderError) => {
    throw error.exitCode === 0 || error.code === 'commander.help' ? error : usageError(command, error)
  })
}

/** A command without words or options of its own. */
export function plain(parent: Command, name: string): Command {
  return parent.command(name).usage('[--json]')
}

/** A command that can be asked to act in a session, and its code, which then does. */
export function inSession<Given extends unknown[]>(command: Command, load: Load<Given>): [Command, Load<Given>] {
  command.option('--session <session>', 'act in this session (else in $ERRAND_SESSION): its id, its name or its token')
  const inside: Load<Given> = async () => {
    const act = await load()
    return (context, ...given) => {
      context.session = command.opts<{ session?: string }>().session ?? context.session
      return act(context, ...given)
    }
  }
  return [command, inside]
}
