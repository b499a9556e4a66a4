/** What waits for somebody's yes. */
import type { Command } from 'commander'
import { duration, list } from '../values.ts'
import type { Does } from './group.ts'

const REQUEST = 'an id, or 6 characters of its beginning or end'

export function addApprovals(program: Command, does: Does): void {
  const request = program
    .command('request')
    .argument('<device>', 'where')
    .usage('DEVICE --can RIGHT… --reason TEXT [--for DURATION]')
    .description('ask those who can grant it for a right')
    .requiredOption('--can <right>', "what, like 'exec: make' (repeatable)", list)
    .requiredOption('--reason <text>', 'what for')
    .option('--for <duration>', 'for how long (default: 8h)', duration)
  does(request, async () => (await import('../commands/approvals.ts')).request)
  const requests = program.command('requests').usage('[--mine]').description('what waits for a yes of yours: commands, and rights that are asked for')
  requests.option('--mine', 'the rights that this device has asked for, and what became of them')
  does(requests, async () => (await import('../commands/approvals.ts')).requests)
  const approve = program
    .command('approve')
    .argument('<request>', REQUEST)
    .usage('REQUEST [--yes] [--for DURATION] [--can RIGHT…]')
    .description('let exactly this command run once, or grant the right that is asked for')
    .option('--yes', 'agree to what is shown')
    .option('--for <duration>', 'a right: for that long instead', duration)
    .option('--can <right>', 'a right: these instead (repeatable)', list)
  does(approve, async () => (await import('../commands/approvals.ts')).approve)
  const deny = program.command('deny').argument('<request>', REQUEST).usage('REQUEST [--reason TEXT]').description('say no')
  deny.option('--reason <text>', 'whoever asks is told')
  does(deny, async () => (await import('../commands/approvals.ts')).deny)
}
