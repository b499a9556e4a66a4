/** `errand run --on EXPR | --all | --count N`: one command on devices that are chosen by what they are. */
import { systemClock } from '../../base/clock.ts'
import { asErrand, ErrandError } from '../../base/errors.ts'
import { socketPathOf } from '../../base/paths.ts'
import { type FanRequest, fan } from '../../local/client.ts'
import { type Context, printError } from '../context.ts'
import { EXIT, exitCodeOfError, exitCodeOfSignal } from '../exitcodes.ts'
import { Grouped } from '../many/grouped.ts'
import { JsonLines } from '../many/json-lines.ts'
import { Prefixed } from '../many/prefixed.ts'
import { Progress } from '../many/progress.ts'
import type { Report } from '../many/report.ts'
import { clean } from '../render.ts'
import { Unread } from '../writer.ts'
import { asked, type RunOptions } from './run.ts'

export interface ManyOptions extends RunOptions {
  readonly on?: string
  readonly all?: boolean
  readonly count?: number
  readonly maxParallel?: number
  readonly failFast?: boolean
  readonly prefix?: boolean
}

/** On one device that is chosen here, a command is what it is on a device that is named. */
export async function chosen(context: Context, command: string[], { on, count, all, ...options }: ManyOptions): Promise<string> {
  const { cwd, env, user, timeout, tty, interactive, limits } = options
  const request = { on, command, cwd, env: Object.keys(env ?? {}), user, timeoutMs: timeout, tty, stdin: interactive, limits }
  const { devices } = await context.client.call<{ devices: { device: string; did: string }[] }>('POST', '/api/runtime/fans/choose', request)
  const [only] = devices
  if (only === undefined) throw new ErrandError('NO_DEVICE_FITS', 'no device fits')
  if (process.stderr.isTTY === true) context.say(`errand: on ${clean(only.device)}`)
  return only.did
}

export async function many(context: Context, command: string[], options: ManyOptions): Promise<number> {
  try {
    return options.detach === true ? await handOver(context, command, options) : await attached(context, command, options)
  } catch (thrown) {
    if (thrown instanceof Unread) return EXIT.unread
    return refused(context, asErrand(thrown))
  }
}

/** A mistake in an expression is shown where it is. */
export function refused(context: Context, error: ErrandError): number {
  printError(error, { json: context.json, givenHome: context.givenHome })
  if (error.code !== 'BAD_EXPRESSION') return exitCodeOfError(error.code)
  const { expression, column } = error.fields
  if (!context.json && typeof expression === 'string' && typeof column === 'number') context.say(`  ${clean(expression)}\n  ${' '.repeat(column - 1)}^`)
  return EXIT.usage
}

async function handOver(context: Context, command: string[], options: ManyOptions): Promise<number> {
  const view = await context.client.call<{ parent: string; tasks: string[]; children: { device: string }[] }>(
    'POST',
    '/api/runtime/fans',
    requestOf(command, options),
  )
  context.print(view, () => view.parent)
  if (process.stderr.isTTY === true) context.say(`errand: ${view.tasks.length} devices; errand task ${view.parent} says how they are`)
  return EXIT.ok
}

async function attached(context: Context, command: string[], options: ManyOptions): Promise<number> {
  const stop = new Stop()
  const report = reportFor(context, options)
  const to = { socketPath: socketPathOf(context.home), ...(context.session === undefined ? {} : { session: context.session }) }
  const outcome = await fan(to, requestOf(command, options), {
    onFanned: (view) => report.fanned(view),
    onOutput: (index, fd, bytes) => report.output(index, fd, bytes),
    onNews: (index, news) => report.news(index, news),
    onSettled: (end) => report.settled(end),
    signal: stop.asked.signal,
    abandon: stop.demanded.signal,
  })
  await report.ended(outcome)
  return stop.exitCode ?? outcome.exitCode
}

function reportFor(context: Context, { prefix }: ManyOptions): Report {
  if (context.json) return new JsonLines()
  const progress = new Progress(context)
  return prefix === true ? new Prefixed(progress) : new Grouped(context, progress)
}

function requestOf(command: string[], { on, all, count, maxParallel, failFast, prefix: _, ...run }: ManyOptions): FanRequest {
  const { tty: __, id: ___, ...same } = asked(run)
  return { command, ...same, ...{ on, all, count, maxParallel, failFast } }
}

const SAY_WAITING_MS = 1_000

/** The first signal ends all of them and waits for that; the second leaves at once. */
class Stop {
  readonly asked = new AbortController()
  readonly demanded = new AbortController()
  exitCode: number | undefined

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => this.#take(signal))
  }

  #take(signal: NodeJS.Signals): void {
    if (this.asked.signal.aborted) this.demanded.abort()
    else if (process.stderr.isTTY === true)
      systemClock.after(SAY_WAITING_MS, () => process.stderr.write('errand: asked the devices to stop it, and waiting for that; Ctrl-C again leaves at once\n'))
    this.exitCode ??= exitCodeOfSignal(signal)
    this.asked.abort()
  }
}
