/** Who may do what. */
import { type Command, Option } from 'commander'
import { UsageError, usageOf } from '../usage.ts'
import { duration, list, start } from '../values.ts'
import { type Does, plain } from './group.ts'

export function addRights(program: Command, does: Does): void {
  const grant = program
    .command('grant')
    .argument('<who>', 'a device, a person or a group')
    .usage(
      'WHO --on DEVICE (--can RIGHT… | --role ROLE) --for DURATION [--from TIME] [--max-staleness DURATION] [--no-pass-on] [--yes] | import FILE | export GRANT --format jwt',
    )
    .description('let somebody do something on a device, for a while')
    .option('--on <device>', 'where: a device or a group')
    .option('--can <right>', "what, like 'exec: git, npm test' (repeatable)", list)
    .option('--role <role>', 'all that a role may; without --on everywhere')
    .option('--for <duration>', 'for how long', duration)
    .option('--from <time>', 'not before, like 2026-01-31T12:00:00Z, or in 2h', start)
    .option('--max-staleness <duration>', 'how long the device may have heard of no revocations (exec 1h; terminals, config 5m)', duration)
    .option('--no-pass-on', 'they may not hand it on')
    .option('--yes', 'sign what is shown without asking; without a terminal nothing is asked')
  grant.hook('preAction', (_, acting) => {
    if (acting === grant) demandAll(grant)
  })
  does(grant, async () => (await import('../commands/grant.ts')).grant)
  addBridge(grant, does)
  does(plain(program, 'grants').description('who may do what, where and until when'), async () => (await import('../commands/show.ts')).grants)
  const revoke = program
    .command('revoke')
    .argument('[grant]', 'the CID of a grant')
    .usage('GRANT | --on DEVICE [--can RIGHT] [--to WHO] [--what-if]')
    .description('take rights back; what rests on them is stopped')
    .option('--on <device>', 'all that is granted on this device, or on those of this group …')
    .option('--can <right>', '… of this right')
    .option('--to <who>', '… to these')
    .option('--what-if', 'change nothing; say what would die')
  revoke.hook('preAction', () => {
    const { on, can, to } = revoke.opts<{ on?: string; can?: string; to?: string }>()
    const filtered = on !== undefined || can !== undefined || to !== undefined
    if ((revoke.args.length === 1) === filtered || (filtered && on === undefined))
      throw new UsageError('name either one grant, or a device with --on', usageOf(revoke))
  })
  does(revoke, async () => (await import('../commands/grant.ts')).revoke)
}

/** To and from the older format of UCAN; a device that is called `import` or `export` is granted to by its DID. */
function addBridge(grant: Command, does: Does): void {
  const taken = grant
    .command('import')
    .argument('<file>', 'a file with one UCAN 0.8 JWT; - reads it from stdin')
    .usage('FILE|- [--yes]')
    .description('take a UCAN 0.8 token: its holder gets what it proves, as a grant')
    .option('--yes', 'agree to what is shown')
  does(taken, async () => {
    const { importGrant } = await import('../commands/bridge.ts')
    // A --yes anywhere behind `grant` is taken by `grant` itself, which has one too.
    return (context, file: string) => importGrant(context, file, { yes: grant.opts<{ yes?: boolean }>().yes === true })
  })
  const written = grant
    .command('export')
    .argument('<grant>', 'the CID of a grant')
    .usage('GRANT --format jwt')
    .description('write a grant as a UCAN 0.8 token, for programs that use ucans')
    .addOption(new Option('--format <format>', 'the form').choices(['jwt']).makeOptionMandatory())
  does(written, async () => (await import('../commands/bridge.ts')).exportGrant)
}

/** Not commander's own required options: those would be demanded of `grant import` as well. */
function demandAll(grant: Command): void {
  const { role, can } = grant.opts<{ role?: string; can?: string[] }>()
  if (role !== undefined && can !== undefined) throw new UsageError('name rights with --can or a role with --role, not both', usageOf(grant))
  const demanded = role === undefined ? ['--on', '--can', '--for'] : ['--for']
  const missing = grant.options.find(({ long }) => demanded.includes(long ?? '') && grant.opts()[(long ?? '').slice(2)] === undefined)
  if (missing !== undefined) throw new UsageError(`required option '${missing.flags}' not specified`, usageOf(grant))
}
