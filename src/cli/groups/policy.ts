/** What the policies of this device say. */
import type { Command } from 'commander'
import { type Does, strict } from './group.ts'

export function addPolicy(program: Command, does: Does): void {
  const policy = program
    .command('policy')
    .usage('check [FILE] | test [FILE] | show [--cwd DIR] | set FILE --mesh | unset --mesh')
    .description('what narrows the rights on this device')
  strict(policy)
  const named = (name: string, description: string): Command =>
    policy
      .command(name)
      .argument('[file]', "a policy.yaml, or a workspace's .errand/security.yaml; else the home's own")
      .usage('[FILE] [--json]')
      .description(description)
  does(named('check', 'what is wrong with a policy, line by line'), async () => (await import('../commands/policy.ts')).check)
  does(named('test', 'try the examples that a policy names itself'), async () => (await import('../commands/policy.ts')).test)
  const set = policy.command('set').argument('<file>').usage('FILE --mesh').description('give every device of the mesh this policy; for owners')
  does(
    set.requiredOption('--mesh', "for all devices; this device's own is the file policy.yaml in its home"),
    async () => (await import('../commands/policy.ts')).set,
  )
  const unset = policy.command('unset').usage('--mesh').description('take the policy of the mesh away; for owners')
  does(unset.requiredOption('--mesh', 'of all devices'), async () => (await import('../commands/policy.ts')).unset)
  const show = policy.command('show').usage('[--cwd DIR] [--json]').description('what holds, and where each rule comes from')
  does(show.option('--cwd <dir>', 'for a command that runs in this directory'), async () => (await import('../commands/policy.ts')).show)
}
