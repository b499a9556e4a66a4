/** Commands on devices, and the tasks they are. */
import type { Command } from 'commander'
import type { ManyOptions } from '../commands/many.ts'
import type { RunOptions } from '../commands/run.ts'
import type { Context } from '../context.ts'
import { UsageError, usageOf } from '../usage.ts'
import { count, duration, pairs, size, uuid } from '../values.ts'
import { type Does, inSession } from './group.ts'
import { addLimits, gathered, LIMITS_USAGE, type LimitOptions } from './limits.ts'
import { addMany, isChosen, manyFault, runChosen } from './many.ts'

export function addWork(program: Command, does: Does, argv: readonly string[]): void {
  const run = inPlace(program.command('run'))
    .argument('[device]', 'a name, a DID or a PeerId; or --on, --all')
    .argument('[command...]', 'what to run there, without a shell')
    .usage(
      `DEVICE | --on EXPR [--count N | --all] [--detach] [-i] [-t] [--cwd D] [--env K=V]… [--user U] [--timeout DURATION] [--max-output SIZE] ${LIMITS_USAGE} [--id UUID] [--meta K=V]… [--session S] -- COMMAND [ARG…]`,
    )
    .description("run one command on a device; output, input and exit code are the command's own")
    .option('-i, --interactive', 'forward stdin')
    .option('-t, --tty', 'on a terminal of the device; every key goes there, ~? at the beginning of a line says what else')
    .option('--max-output <size>', 'end it after it printed that much, like 10MiB', size)
    .option('--detach', 'hand it over and print its task: it goes on without this program')
    .option('--id <uuid>', "the task's id; with --detach, the same id again is the same task", uuid)
    .option('--idempotent', 'it may be run again when nobody knows how far it came')
    .option('--description <text>', 'what it is for; comes back with the task')
    .option('--meta <k=v>', 'kept with the task (repeatable)', pairs)
    .addHelpText('after', EXIT_CODES)
  addMany(run)
  addLimits(run).hook('preAction', () => demandDashes(run, argv))
  does(...inSession(run, async () => runSomewhere))
  addShell(program, does)
  addTasks(program, does)
}

/** Without a device the first word of the command stands where it would. */
async function runSomewhere(context: Context, device: string, command: string[], given: ManyOptions & LimitOptions): Promise<number> {
  const options = gathered(given)
  return isChosen(options) ? await runChosen(runOrTerminal, context, [device, ...command], options) : await runOrTerminal(context, device, command, options)
}

async function runOrTerminal(context: Context, device: string, command: string[], options: RunOptions): Promise<number> {
  if (options.tty === true) return (await import('../commands/terminal.ts')).onTerminal(context, device, command, options)
  return (await import('../commands/run.ts')).run(context, device, command, options)
}

function addShell(program: Command, does: Does): void {
  const shell = inPlace(program.command('shell'))
    .argument('<device>', 'a name, a DID or a PeerId')
    .usage('DEVICE [--cwd D] [--env K=V]… [--user U] [--timeout DURATION] [--session S]')
    .description('a shell on a terminal of the device: bash there, else sh; ~. at the beginning of a line hangs up')
    .addHelpText('after', EXIT_CODES)
  does(...inSession(shell, async () => (await import('../commands/terminal.ts')).shell))
}

/** Where and how a command is run there, with or without a terminal. */
function inPlace(command: Command): Command {
  return command
    .option('--cwd <dir>', 'working directory there')
    .option('--env <k=v>', 'an environment variable (repeatable)', pairs)
    .option('--user <user>', 'as which user there')
    .option('--timeout <duration>', 'end it after that long', duration)
}

const TASK = 'an id, or 6 characters of its beginning or end'

function addTasks(program: Command, does: Does): void {
  const ps = program.command('ps').usage('[--all] [--watch] [--session S]').description('what runs and ran')
  ps.option('--all', 'further back: up to a thousand tasks').option('--watch', 'go on with every change')
  does(...inSession(ps, async () => (await import('../commands/tasks.ts')).ps))
  const named = (name: string, usage: string, description: string): Command =>
    program.command(name).argument('<task>', TASK).usage(usage).description(description)
  const one = named('task', 'TASK [--events]', 'how one task stands').option('--events', 'and all that happened to it')
  does(...inSession(one, async () => (await import('../commands/tasks.ts')).task))
  const from = ['--from <offset>', 'begin at this byte of the output (stdout and stderr count together)', count] as const
  const logs = named('logs', 'TASK [--follow] [--from N]', 'what a task has printed')
    .option(...from)
    .option('--follow', 'go on until it ends')
  does(...inSession(logs, async () => (await import('../commands/tasks.ts')).logs))
  const attach = named('attach', 'TASK [--from N]', "a task's output from the beginning, until it ends with its exit code").option(...from)
  does(...inSession(attach, async () => (await import('../commands/tasks.ts')).attach))
  does(...inSession(named('cancel', 'TASK', 'end a task and every process of it'), async () => (await import('../commands/tasks.ts')).cancel))
  does(...inSession(named('pause', 'TASK', 'stop a task where it is'), async () => (await import('../commands/tasks.ts')).pause))
  does(...inSession(named('resume', 'TASK', 'let a paused task go on'), async () => (await import('../commands/tasks.ts')).resume))
}

const EXIT_CODES = `
Exit codes: the command's own; 124 timed out; 125 errand itself failed; 126 denied or not executable; 127 no such command
on the device; 128+N killed by signal N; 130 after Ctrl-C.`

/** Everything behind `--` is the command's, also what looks like an option of ours; so it has to be there. */
function demandDashes(run: Command, argv: readonly string[]): void {
  const at = argv.indexOf('--')
  const behind = at < 0 ? 0 : argv.length - at - 1
  const before = run.args.length - behind
  const options = run.opts<ManyOptions>()
  const fault = manyFault(options, before, behind)
  if (fault !== undefined) throw new UsageError(fault, usageOf(run))
  if (isChosen(options) || (before === 1 && behind > 0)) return
  throw new UsageError(dashesFault(at < 0 && run.args.length > 1, before, behind), usageOf(run))
}

function dashesFault(isMissing: boolean, before: number, behind: number): string {
  if (isMissing) return "put -- before the command: what follows it is the command's alone"
  if (before < 1) return 'name the device before --, the command after it'
  return behind === 0 ? 'name the command after --' : 'one device before --, the command after it'
}
