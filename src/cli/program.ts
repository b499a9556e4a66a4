/** The commands, their words and options: the contract as a table. Each command's code is loaded only when it runs. */

import { Command } from 'commander'
import { Context, type Shared } from './context.ts'
import { addApprovals } from './groups/approvals.ts'
import { addAudit } from './groups/audit.ts'
import { addBatch } from './groups/batch.ts'
import { addDevice, addLockdown } from './groups/device.ts'
import { type Does, type Group, type Load, strict } from './groups/group.ts'
import { addMembers } from './groups/members.ts'
import { addNet } from './groups/net.ts'
import { addNode } from './groups/node.ts'
import { addOwners } from './groups/owner.ts'
import { addPolicy } from './groups/policy.ts'
import { addRecovery } from './groups/recovery.ts'
import { addRights } from './groups/rights.ts'
import { addRoles } from './groups/role.ts'
import { addSessions } from './groups/sessions.ts'
import { addWhy } from './groups/why.ts'
import { addWork } from './groups/work.ts'
import { VERSION } from './version.ts'

export interface Parsed {
  readonly program: Command
  /** Set by the action that ran. */
  exitCode: number
}

/** @param argv what follows the program's name, unparsed: `run` has to know where `--` was. */
export function makeProgram(argv: readonly string[]): Parsed {
  const program = new Command('errand')
  const parsed: Parsed = { program, exitCode: 0 }
  program
    .description('Run commands on your own devices: a peer-to-peer mesh with rights that are proven, not configured.')
    .usage('COMMAND …')
    .option('--home <dir>', 'the home directory (else $ERRAND_HOME, else ~/.errand)')
    .option('--json', 'one JSON document, or JSON lines for streams')
    .version(`errand ${VERSION}`)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined })
    .helpCommand('help [command]', 'how a command is written')
  strict(program)
  const does: Does = <Given extends unknown[]>(command: Command, load: Load<Given>) => {
    strict(command)
    command.action(async (...given: Given) => {
      const act = await load()
      parsed.exitCode = await act(new Context(program.opts<Shared>()), ...given)
    })
  }
  for (const [, add] of groupsFor(argv)) add(program, does, argv)
  return parsed
}

/** The commands, in the order of the help. */
const GROUPS: readonly (readonly [names: readonly string[], add: Group])[] = [
  [['up', 'down', 'status', 'doctor', 'config', 'version'], addNode],
  [['devices', 'invite', 'join'], addMembers],
  [['run', 'shell', 'ps', 'task', 'logs', 'attach', 'cancel', 'pause', 'resume'], addWork],
  [['forward', 'proxy'], addNet],
  [['batch'], addBatch],
  [['grant', 'grants', 'revoke'], addRights],
  [['why'], addWhy],
  [['policy'], addPolicy],
  [['session'], addSessions],
  [['request', 'requests', 'approve', 'deny'], addApprovals],
  [['audit'], addAudit],
  [['device'], addDevice],
  [['lockdown'], addLockdown],
  [['owner'], addOwners],
  [['recovery'], addRecovery],
  [['role', 'group'], addRoles],
]

/** Describing all commands takes longer than parsing one, so only the group of the first word is described; for anything else (help, a typo) all are. */
function groupsFor(argv: readonly string[]): typeof GROUPS {
  const at = argv.findIndex((word, i) => !word.startsWith('-') && argv[i - 1] !== '--home')
  const named = GROUPS.filter(([names]) => names.includes(argv[at] ?? ''))
  return named.length > 0 ? named : GROUPS
}
