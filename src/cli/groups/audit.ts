/** What happened. */
import type { Command } from 'commander'
import { UsageError, usageOf } from '../usage.ts'
import { count, time } from '../values.ts'
import { type Does, plain, strict } from './group.ts'

export function addAudit(program: Command, does: Does): void {
  const audit = program
    .command('audit')
    .usage('[list] [filters] | verify')
    .description('what happened, on every device')
    .addHelpText('after', '\nThe filters: errand audit list --help')
  strict(audit)
  const all = audit
    .command('list', { isDefault: true })
    .usage('[--device D] [--actor DID] [--action A] [--task T] [--session S] [--since T] [--until T] [--limit N] [--follow]')
    .description('the log, as one')
    .option('--device <device>', 'whose log')
    .option('--actor <did>', 'who did it')
    .option('--action <action>', 'what was done, like exec.denied')
    .option('--task <task>', 'about which task')
    .option('--session <session>', 'in which session')
    .option('--since <time>', 'from then on: a time, or how long ago, like 2h', time)
    .option('--until <time>', 'until then', time)
    .option('--limit <n>', 'at most so many', count)
    .option('--follow', 'go on as it grows')
    .allowExcessArguments()
  all.hook('preAction', () => {
    if (all.args.length > 0) throw new UsageError(`audit has list and verify, not '${all.args.join(' ')}'`, usageOf(audit))
  })
  does(all, async () => (await import('../commands/audit.ts')).list)
  does(plain(audit, 'verify').description('prove the chains of all logs'), async () => (await import('../commands/audit.ts')).verify)
}
