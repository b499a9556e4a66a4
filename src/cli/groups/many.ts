/** `run` on devices that are chosen by what they are: its options, and what does not go together. */
import type { Command } from 'commander'
import { asErrand } from '../../base/errors.ts'
import type { ManyOptions } from '../commands/many.ts'
import type { RunOptions } from '../commands/run.ts'
import type { Context } from '../context.ts'
import { count } from '../values.ts'

type OnOne = (context: Context, device: string, command: string[], options: RunOptions) => Promise<number>

export function addMany(run: Command): void {
  run
    .option('--on <expr>', 'on the least busy device that fits, like os=linux & memory>=8G; with --all or --count on more')
    .option('--all', 'on all devices that fit, or all there are, where this one may run it')
    .option('--count <n>', 'on so many of them, the least busy', count)
    .option('--max-parallel <n>', 'of many: so many at a time', count)
    .option('--fail-fast', 'of many: the first that does not end well ends the rest')
    .option('--prefix', 'of many: each line behind the name of its device, as it comes')
}

export async function runChosen(onOne: OnOne, context: Context, words: string[], options: ManyOptions): Promise<number> {
  const { chosen, many, refused } = await import('../commands/many.ts')
  if (isMany(options)) return await many(context, words, options)
  try {
    return await onOne(context, await chosen(context, words, options), words, plainOf(options))
  } catch (thrown) {
    return refused(context, asErrand(thrown))
  }
}

export function isChosen({ on, all, count: many }: ManyOptions): boolean {
  return on !== undefined || all === true || many !== undefined
}

function isMany({ all, count: many }: ManyOptions): boolean {
  return all === true || many !== undefined
}

function plainOf({ on: _, all: __, count: ___, maxParallel: ____, failFast: _____, prefix: ______, ...options }: ManyOptions): RunOptions {
  return options
}

/** What does not go together. @param before words in front of `--`, and behind it. */
export function manyFault(options: ManyOptions, before: number, behind: number): string | undefined {
  return isChosen(options) ? chosenFault(options, before, behind) : onlyForMany(options)
}

function chosenFault(options: ManyOptions, before: number, behind: number): string | undefined {
  const { all, count: many, id, tty, interactive } = options
  if (before > 0) return 'name one device, or choose by --on, --all or --count: not both'
  if (behind === 0) return 'name the command after --'
  if (all === true && many !== undefined) return '--all and --count are two different things: leave one out'
  if (many === 0) return '--count 0 is no device at all'
  if (tty === true || interactive === true)
    return isMany(options) ? 'there is one terminal and one stdin, and there are many devices: leave it out, or choose one device' : undefined
  return id !== undefined && isMany(options) ? '--id names one task, and this is many' : undefined
}

function onlyForMany({ maxParallel, failFast, prefix }: ManyOptions): string | undefined {
  const given = maxParallel !== undefined || failFast === true || prefix === true
  return given ? '--max-parallel, --fail-fast and --prefix are for many devices: choose them by --on, --all or --count' : undefined
}
