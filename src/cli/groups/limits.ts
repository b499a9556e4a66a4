/** The options that hold a command to something, for every command that runs one or asks about one. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { LIMITS, type Limits } from '../../../protocols/task/limits.ts'
import { size } from '../values.ts'

export interface LimitOptions {
  readonly cpu?: number
  readonly memory?: number
  readonly processes?: number
  readonly sandbox?: NonNullable<Limits['sandbox']>
  readonly network?: boolean
}

export const LIMITS_USAGE = '[--cpu N] [--memory SIZE] [--processes N] [--no-network] [--sandbox LEVEL]'

export function addLimits(command: Command): Command {
  return command
    .option('--cpu <n>', 'as many processors at most, like 2 or 0.5', cpus)
    .option('--memory <size>', 'as much memory at most, like 512MiB; it is ended when it needs more', memory)
    .option('--processes <n>', 'so many processes and threads at most', processes)
    .addOption(new Option('--network').hideHelp()) // without it, commander would say "network: true" of every command
    .option('--no-network', 'without any network')
    .addOption(
      new Option('--sandbox <level>', 'shut it in, as far as the device can: errand doctor there says how far').choices(['privileges', 'processes', 'files']),
    )
}

/** @returns the options with what holds the command gathered in `limits`. */
export function gathered<O extends LimitOptions>(options: O): Omit<O, keyof LimitOptions> & { readonly limits?: Limits } {
  const { cpu, memory: memoryBytes, processes: most, sandbox, network, ...rest } = options
  const limits: Limits = {
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(cpu === undefined ? {} : { cpuMillis: cpu }),
    ...(most === undefined ? {} : { processes: most }),
    ...(network === false ? { network } : {}),
    ...(sandbox === undefined ? {} : { sandbox }),
  }
  return Object.keys(limits).length === 0 ? rest : { ...rest, limits }
}

/** @returns thousandths of a processor. */
function cpus(text: string): number {
  const millis = /^\d+(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1_000) : 0
  if (millis >= LIMITS.minCpuMillis && millis <= LIMITS.maxCpuMillis) return millis
  throw new InvalidArgumentError('Write a number of processors from 0.01 to 1024, like 2 or 0.5.')
}

function memory(text: string): number {
  const bytes = size(text)
  if (bytes >= LIMITS.minMemoryBytes) return bytes
  throw new InvalidArgumentError('Nothing starts with less than 4MiB.')
}

function processes(text: string): number {
  const most = /^\d{1,7}$/.test(text) ? Number(text) : 0
  if (most >= 1 && most <= LIMITS.maxProcesses) return most
  throw new InvalidArgumentError('Write a whole number, 1 at least.')
}
