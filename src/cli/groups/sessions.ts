/** Sessions: rights of their own on some devices, for a while, for whoever gets the token. */
import type { Command } from 'commander'
import { UsageError, usageOf } from '../usage.ts'
import { duration, list, pairs } from '../values.ts'
import { type Does, inSession, plain } from './group.ts'

export function addSessions(program: Command, does: Does): void {
  const session = program
    .command('session')
    .usage('open | list | show | close')
    .description('rights of their own, for a while: a view, an environment and a trail apart')
  const open = session
    .command('open')
    .usage('--on DEVICE… (--can RIGHT… | --role R) [--for DURATION] [--idle DURATION] [--env K=V]… [--name N]')
    .description('open a session on this device, and print its token once')
    .requiredOption('--on <device>', 'on which device it may do something (repeatable)', list)
    .option('--can <right>', "what, like 'exec: git, npm test' (repeatable)", list)
    .option('--role <role>', 'what, by the name of a role')
    .option('--for <duration>', 'for how long; 24h at most (security.sessionFor)', duration)
    .option('--idle <duration>', 'it ends when nobody uses it for so long (security.sessionIdle)', duration)
    .option('--env <k=v>', 'what its commands get where their right permits the name (repeatable)', pairs)
    .option('--name <name>', 'what to call it by')
  open.hook('preAction', () => {
    const { can, role } = open.opts<{ can?: string[]; role?: string }>()
    if (can === undefined && role === undefined) throw new UsageError('say what it may do: --can RIGHT, or --role R', usageOf(open))
  })
  does(open, async () => (await import('../commands/session.ts')).open)
  does(
    ...inSession(
      plain(session, 'list').description('those that are open, and the last ones that ended'),
      async () => (await import('../commands/session.ts')).list,
    ),
  )
  const show = session.command('show').argument('<session>', ID).usage('SESSION').description('what one may do, and until when')
  does(show, async () => (await import('../commands/session.ts')).show)
  const close = session.command('close').argument('<session>', ID).usage('SESSION').description('end one, and all that runs in it')
  does(close, async () => (await import('../commands/session.ts')).close)
}

const ID = "its name, its id, or 6 characters of the id's beginning or end"
