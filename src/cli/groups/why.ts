/** Why something would run, or would not. */
import type { Command } from 'commander'
import { UsageError, usageOf } from '../usage.ts'
import { duration, pairs } from '../values.ts'
import { type Does, inSession } from './group.ts'
import { addLimits, gathered, LIMITS_USAGE } from './limits.ts'

export function addWhy(program: Command, does: Does, argv: readonly string[]): void {
  const why = program
    .command('why')
    .argument('<device>', 'a name, a DID or a PeerId')
    .argument('[command...]', 'the command that is meant; nothing is run')
    .usage(`DEVICE [-i] [-t] [--cwd D] [--env K=V]… [--user U] [--timeout DURATION] ${LIMITS_USAGE} [--session SESSION] [-- COMMAND [ARG…]]`)
    .description('whether a command would run on a device, and why; runs nothing')
    .option('-i, --interactive', 'with stdin')
    .option('-t, --tty', 'with a terminal')
    .option('--cwd <dir>', 'working directory there')
    .option('--env <k=v>', 'an environment variable (repeatable); only its name leaves this program', pairs)
    .option('--user <user>', 'as which user there')
    .option('--timeout <duration>', 'end it after that long', duration)
  addLimits(why).hook('preAction', () => {
    const at = argv.indexOf('--')
    const behind = at < 0 ? 0 : argv.length - at - 1
    if (why.args.length - behind !== 1) throw new UsageError("put -- before the command: what follows it is the command's alone", usageOf(why))
    if (at >= 0 && behind === 0) throw new UsageError('name the command after --', usageOf(why))
  })
  does(
    ...inSession(why, async () => {
      const { why: act } = await import('../commands/why.ts')
      return (context, device: string, command: string[], given: Parameters<typeof gathered>[0]) => act(context, device, command, gathered(given))
    }),
  )
}
