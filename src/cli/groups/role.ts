/** Roles, and groups of devices. */
import { type Command, Option } from 'commander'
import { duration, list, start } from '../values.ts'
import { type Does, plain, strict } from './group.ts'

export function addRoles(program: Command, does: Does): void {
  const role = program
    .command('role')
    .usage('list | show R | add R | change R | remove R | assign R WHO | unassign R WHO')
    .description('named bundles of rights, and who has them')
  strict(role)
  does(plain(role, 'list').description('all roles: what each may, and who has it'), async () => (await import('../commands/role.ts')).roles)
  does(named(role, 'show', '').description('one role'), async () => (await import('../commands/role.ts')).show)
  addRules(role, does)
  const assign = named(role, 'assign', 'WHO [--on DEVICE|GROUP] --for DURATION [--from TIME] [--no-pass-on]')
    .argument('<who>', 'a device, or a group of somebody’s devices')
    .description('give somebody a role, for a while')
    .option('--on <device>', 'a device or a group (default: every device of the owner, also later ones)')
    .requiredOption('--for <duration>', 'for how long', duration)
    .option('--from <time>', 'not before, like 2026-01-31T12:00:00Z, or in 2h', start)
    .option('--no-pass-on', 'they may not hand it on')
  does(assign, async () => (await import('../commands/role.ts')).assign)
  const unassign = named(role, 'unassign', 'WHO [--on DEVICE|GROUP]')
    .argument('<who>', 'a device or a group')
    .description('take a role back from somebody; what runs on it is stopped')
    .option('--on <device>', 'there only')
  does(unassign, async () => (await import('../commands/role.ts')).unassign)
  addGroups(program, does)
}

function addRules(role: Command, does: Does): void {
  const can = ['--can <right>', "what whoever has it may, like 'exec: git' or task:read (repeatable)"] as const
  const inherits = ['--inherits <role>', 'all that another role may (repeatable)'] as const
  const max = ['--max <duration>', 'for how long at most it is given to somebody'] as const
  const add = named(role, 'add', '[--inherits R]… [--can RIGHT]… [--max DURATION]')
    .description('make a role')
    .option(...can, list)
    .option(...inherits, list)
    .option(...max, duration)
  does(add, async () => (await import('../commands/role.ts')).add)
  const change = named(role, 'change', '[--can RIGHT]… [--cannot RIGHT]… [--inherits R]… [--max DURATION | --no-max]')
    .description('change what a role may; that counts for what runs already')
    .option(...can, list)
    .option('--cannot <right>', 'a right to take away (repeatable)', list)
    .option(...inherits, list)
    .option('--no-inherits', 'it inherits nothing any more')
    .addOption(new Option(...max).argParser(duration))
    .option('--no-max', 'no bound of its own any more')
  does(change, async () => (await import('../commands/role.ts')).change)
  does(
    named(role, 'remove', '').description('there is no such role any more; it is taken back from everybody'),
    async () => (await import('../commands/role.ts')).remove,
  )
}

function addGroups(program: Command, does: Does): void {
  const group = program.command('group').usage('list | add NAME DEVICE… | remove NAME DEVICE…').description('devices under one name')
  strict(group)
  does(plain(group, 'list').description('all groups'), async () => (await import('../commands/role.ts')).groups)
  const one = (name: string, description: string): Command =>
    group.command(name).argument('<group>').argument('<device...>', 'a name, a DID or a PeerId').usage('NAME DEVICE…').description(description)
  does(one('add', 'bring devices into a group; what was given for the group holds for them too'), async () => (await import('../commands/role.ts')).join)
  does(one('remove', 'take devices out; what they had by the group alone is taken back'), async () => (await import('../commands/role.ts')).leave)
}

function named(role: Command, name: string, usage: string): Command {
  return role.command(name).argument('<role>').usage(`ROLE ${usage}`.trim())
}
