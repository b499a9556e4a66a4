/** The commands, their words and options: the contract as a table. Each command's code is loaded only when it runs. */

import type { CommanderError } from 'commander'
import { Command, Option } from 'commander'
import type { Shared } from './context.ts'
import { Context } from './context.ts'
import { UsageError, usageError, usageOf } from './usage.ts'
import { addresses, count, duration, list, pairs, time, uuid } from './values.ts'
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
const GROUPS: readonly (readonly [names: readonly string[], add: (program: Command, does: Does, argv: readonly string[]) => void])[] = [
  [['up', 'down', 'status', 'config', 'version'], (program, does) => addNode(program, does)],
  [['devices', 'invite', 'join'], (program, does) => addMembers(program, does)],
  [['run', 'ps', 'task', 'logs', 'attach', 'cancel', 'pause', 'resume'], (program, does, argv) => addWork(program, does, argv)],
  [['grant', 'grants', 'revoke'], (program, does) => addRights(program, does)],
  [['audit'], (program, does) => addAudit(program, does)],
]

/** Describing all commands takes longer than parsing one, so only the group of the first word is described; for anything else (help, a typo) all are. */
function groupsFor(argv: readonly string[]): typeof GROUPS {
  const at = argv.findIndex((word, i) => !word.startsWith('-') && argv[i - 1] !== '--home')
  const named = GROUPS.filter(([names]) => names.includes(argv[at] ?? ''))
  return named.length > 0 ? named : GROUPS
}

/** Ties a command to its code: `act` gets the words and options that commander parsed, and returns the exit code. */
type Does = <Given extends unknown[]>(command: Command, load: Load<Given>) => void
type Load<Given extends unknown[]> = () => Promise<(context: Context, ...given: Given) => Promise<number>>

function strict(command: Command): void {
  command.exitOverride((error: CommanderError) => {
    throw error.exitCode === 0 || error.code === 'commander.help' ? error : usageError(command, error)
  })
}

/** A command without words or options of its own. */
function plain(parent: Command, name: string): Command {
  return parent.command(name).usage('[--json]')
}

function addNode(program: Command, does: Does): void {
  const up = program
    .command('up')
    .usage('[--name N] [--listen MULTIADDR]… [--bootstrap MULTIADDR]… [--label K=V]… [--preset local|lan|internet] [--api HOST:PORT] [--detach]')
    .description('start the node of this home')
    .option('--name <name>', 'what this device is called')
    .option('--listen <multiaddr>', 'an address to listen on, like /ip4/0.0.0.0/tcp/4701 (repeatable)', addresses)
    .option('--bootstrap <multiaddr>', 'an address to find the mesh by (repeatable)', addresses)
    .option('--label <k=v>', 'something to choose this device by (repeatable)', pairs)
    .addOption(new Option('--preset <preset>', 'whom to be reachable for').choices(['local', 'lan', 'internet']))
    .option('--api <host:port>', 'serve the HTTP API on TCP as well, like 127.0.0.1:8080')
    .option('--detach', 'return once the node is ready; it goes on in the background')
    .addOption(new Option('--await-join', 'wait for an invitation instead of founding a mesh').hideHelp())
  does(up, async () => (await import('./commands/node.ts')).up)
  const down = program.command('down').usage('[--drain DURATION]').description('stop the node')
  down.option('--drain <duration>', 'take no new work and wait that long for what runs', duration)
  does(down, async () => (await import('./commands/down.ts')).down)
  does(plain(program, 'status').description('how the node is'), async () => (await import('./commands/show.ts')).status)
  const config = program.command('config').usage('list | get KEY | set KEY VALUE').description('the settings of this home')
  strict(config)
  does(plain(config, 'list').description('every setting, its value and where that comes from'), async () => (await import('./commands/config.ts')).list)
  does(config.command('get').argument('<key>').description('one setting'), async () => (await import('./commands/config.ts')).get)
  does(
    config.command('set').argument('<key>').argument('<value>').description('change one setting; null goes back to the default'),
    async () => (await import('./commands/config.ts')).set,
  )
  does(
    plain(program, 'version').description('the version of this program, and of the node that runs'),
    async () => (await import('./commands/version.ts')).version,
  )
}

function addMembers(program: Command, does: Does): void {
  does(
    plain(program, 'devices').description('all devices of the mesh: who is online, how reached, how fast'),
    async () => (await import('./commands/show.ts')).devices,
  )
  const invite = program
    .command('invite')
    .usage('[--name N] [--mine | --ask RIGHT…] [--role R | --give RIGHT…] [--for DURATION] [--expires DURATION]')
    .description('make a code that admits one device')
    .option('--name <name>', 'what the new device will be called')
    .addOption(new Option('--mine', 'it is my own device: its rights go to the owners (the default)').conflicts('ask'))
    .option('--ask <right>', "what the new device gives, like 'exec: git, npm test' (repeatable)", list)
    .addOption(new Option('--role <role>', 'what the new device may do: a role').conflicts('give'))
    .option('--give <right>', 'what the new device may do: single rights (repeatable)', list)
    .option('--for <duration>', 'how long those rights last', duration)
    .option('--expires <duration>', 'how long the code can be used (default: 10m)', duration)
    .option('--long', 'a code that carries addresses, for devices on other networks (every code does so far)')
  does(invite, async () => (await import('./commands/invite.ts')).invite)
  const join = program
    .command('join')
    .argument('[code]', 'asked for when absent')
    .usage('[CODE] [--via MULTIADDR] [--yes]')
    .description('join the mesh that a code is for')
  join.option('--via <multiaddr>', 'where to reach the inviting device (repeatable)', addresses).option('--yes', 'agree to what is shown')
  does(join, async () => (await import('./commands/join.ts')).join)
}

function addWork(program: Command, does: Does, argv: readonly string[]): void {
  const run = program
    .command('run')
    .argument('<device>', 'a name, a DID or a PeerId')
    .argument('[command...]', 'what to run there, without a shell')
    .usage('DEVICE [--detach] [-i] [--cwd D] [--env K=V]… [--user U] [--timeout DURATION] [--id UUID] [--meta K=V]… -- COMMAND [ARG…]')
    .description("run one command on a device; output, input and exit code are the command's own")
    .option('-i, --interactive', 'forward stdin')
    .option('--cwd <dir>', 'working directory there')
    .option('--env <k=v>', 'an environment variable (repeatable)', pairs)
    .option('--user <user>', 'as which user there')
    .option('--timeout <duration>', 'end it after that long', duration)
    .option('--detach', 'hand it over and print its task: it goes on without this program')
    .option('--id <uuid>', "the task's id; with --detach, the same id again is the same task", uuid)
    .option('--idempotent', 'it may be run again when nobody knows how far it came')
    .option('--description <text>', 'what it is for; comes back with the task')
    .option('--meta <k=v>', 'kept with the task (repeatable)', pairs)
    .addHelpText('after', EXIT_CODES)
  run.hook('preAction', () => demandDashes(run, argv))
  does(run, async () => (await import('./commands/run.ts')).run)
  addTasks(program, does)
}

const TASK = 'an id, or 6 characters of its beginning or end'

function addTasks(program: Command, does: Does): void {
  const ps = program.command('ps').usage('[--all] [--watch]').description('what runs and ran')
  ps.option('--all', 'further back: up to a thousand tasks').option('--watch', 'go on with every change')
  does(ps, async () => (await import('./commands/tasks.ts')).ps)
  const named = (name: string, usage: string, description: string): Command =>
    program.command(name).argument('<task>', TASK).usage(usage).description(description)
  const one = named('task', 'TASK [--events]', 'how one task stands').option('--events', 'and all that happened to it')
  does(one, async () => (await import('./commands/tasks.ts')).task)
  const from = ['--from <offset>', 'begin at this byte of the output (stdout and stderr count together)', count] as const
  const logs = named('logs', 'TASK [--follow] [--from N]', 'what a task has printed')
    .option(...from)
    .option('--follow', 'go on until it ends')
  does(logs, async () => (await import('./commands/tasks.ts')).logs)
  const attach = named('attach', 'TASK [--from N]', "a task's output from the beginning, until it ends with its exit code").option(...from)
  does(attach, async () => (await import('./commands/tasks.ts')).attach)
  does(named('cancel', 'TASK', 'end a task and every process of it'), async () => (await import('./commands/tasks.ts')).cancel)
  does(named('pause', 'TASK', 'stop a task where it is'), async () => (await import('./commands/tasks.ts')).pause)
  does(named('resume', 'TASK', 'let a paused task go on'), async () => (await import('./commands/tasks.ts')).resume)
}

const EXIT_CODES = `
Exit codes: the command's own; 124 timed out; 125 errand itself failed; 126 denied or not executable; 127 no such command
on the device; 128+N killed by signal N; 130 after Ctrl-C.`

/** Everything behind `--` is the command's, also what looks like an option of ours; so it has to be there. */
function demandDashes(run: Command, argv: readonly string[]): void {
  const at = argv.indexOf('--')
  const behind = at < 0 ? 0 : argv.length - at - 1
  const before = run.args.length - behind
  if (before === 1 && behind > 0) return
  throw new UsageError(dashesFault(at < 0 && run.args.length > 1, before, behind), usageOf(run))
}

function dashesFault(isMissing: boolean, before: number, behind: number): string {
  if (isMissing) return "put -- before the command: what follows it is the command's alone"
  if (before < 1) return 'name the device before --, the command after it'
  return behind === 0 ? 'name the command after --' : 'one device before --, the command after it'
}

function addRights(program: Command, does: Does): void {
  const grant = program
    .command('grant')
    .argument('<who>', 'a device or a person')
    .usage('WHO --on DEVICE --can RIGHT… --for DURATION [--no-pass-on]')
    .description('let somebody do something on a device, for a while')
    .requiredOption('--on <device>', 'where')
    .requiredOption('--can <right>', "what, like 'exec: git, npm test' (repeatable)", list)
    .requiredOption('--for <duration>', 'for how long', duration)
    .option('--no-pass-on', 'they may not hand it on')
  does(grant, async () => (await import('./commands/grant.ts')).grant)
  does(plain(program, 'grants').description('who may do what, where and until when'), async () => (await import('./commands/show.ts')).grants)
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
  does(revoke, async () => (await import('./commands/grant.ts')).revoke)
}

function addAudit(program: Command, does: Does): void {
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
  does(all, async () => (await import('./commands/audit.ts')).list)
  does(plain(audit, 'verify').description('prove the chains of all logs'), async () => (await import('./commands/audit.ts')).verify)
}
