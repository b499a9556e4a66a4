/** Who may do what. */
import type { Command } from 'commander'
import { UsageError, usageOf } from '../usage.ts'
import { duration, list } from '../values.ts'
import { type Does, plain } from './group.ts'

export function addRights(program: Command, does: Does): void {
  const grant = program
    .command('grant')
    .argument('<who>', 'a device or a person')
    .usage('WHO --on DEVICE --can RIGHT… --for DURATION [--no-pass-on]')
    .description('let somebody do something on a device, for a while')
    .requiredOption('--on <device>', 'where')
    .requiredOption('--can <right>', "what, like 'exec: git, npm test' (repeatable)", list)
    .requiredOption('--for <duration>', 'for how long', duration)
    .option('--no-pass-on', 'they may not hand it on')
  does(grant, async () => (await import('../commands/grant.ts')).grant)
  does(plain(program, 'grants').description('who may do what, where and until when'), async () => (await import('../commands/show.ts')).grants)
  const revoke = program
    .command('revoke')
    .argument('[grant]', 'the CID of a grant')
    .usage('GRANT | --on DEVICE [--can RIGHT] [--to WHO]')
    .description('take rights back; what rests on them is stopped')
    .option('--on <device>', 'all that is granted on this device …')
    .option('--can <right>', '… of this right')
    .option('--to <who>', '… to these')
  revoke.hook('preAction', () => {
    const { on, can, to } = revoke.opts<{ on?: string; can?: string; to?: string }>()
    const filtered = on !== undefined || can !== undefined || to !== undefined
    if ((revoke.args.length === 1) === filtered || (filtered && on === undefined))
      throw new UsageError('name either one grant, or a device with --on', usageOf(revoke))
  })
  does(revoke, async () => (await import('../commands/grant.ts')).revoke)
}
