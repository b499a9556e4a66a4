/** `errand run`: one command on a device. Its output and exit code are the command's own; everything errand says goes to stderr. */
import type { ExecOutcome, ExecRequest } from '../../../protocols/local/messages.ts'
import { systemClock } from '../../base/clock.ts'
import { sayDuration } from '../../base/duration.ts'
import { asErrand, ErrandError } from '../../base/errors.ts'
import type { ExecOptions } from '../../local/client.ts'
import type { Context } from '../context.ts'
import { printError } from '../context.ts'
import { EXIT, exitCodeOfError, exitCodeOfOutcome, exitCodeOfSignal } from '../exitcodes.ts'
import { clean } from '../render.ts'
import { drained, Unread } from '../writer.ts'

export interface RunOptions {
  readonly interactive?: boolean
  /** By `onTerminal` only. */
  readonly tty?: boolean
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly user?: string
  readonly timeout?: number
  readonly maxOutput?: number
  /** Gathered from the options that say them. */
  readonly limits?: ExecRequest['limits']
  readonly id?: string
  readonly detach?: boolean
  readonly idempotent?: boolean
  readonly description?: string
  readonly meta?: Record<string, string>
  /** The context acts in it; it may be a token, which is for no message. */
  readonly session?: string
}

const SAY_WAITING_MS = 1_000
const STOPPERS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What is ours of a terminal over there. */
interface OurEnd extends Pick<ExecOptions, 'stdin' | 'onTerminal' | 'onMustStay'>, Pick<ExecRequest, 'terminal'> {
  /** It was left to itself. */
  readonly onLeft?: (task: string) => void
}

export async function run(context: Context, device: string, command: string[], options: RunOptions): Promise<number> {
  return options.detach === true ? await detach(context, device, command, options) : await attached(context, { device, command }, options)
}

export async function attached(
  context: Context,
  { device, command }: Pick<ExecRequest, 'device' | 'command'>,
  options: RunOptions,
  end: OurEnd = {},
): Promise<number> {
  const { terminal, onLeft, ...ours } = end
  const stop = new Stop()
  try {
    const outcome = await context.client.exec(
      { device, command, ...asked(options), terminal },
      {
        ...ours,
        ...takers(context.json),
        ...notices(context, device),
        ...(options.interactive === true ? { stdin: process.stdin } : {}),
        signal: stop.asked.signal,
        abandon: stop.demanded.signal,
      },
    )
    if (context.json) await drained(process.stdout, `${JSON.stringify({ t: 'ended', ...outcome })}\n`)
    else if (stop.exitCode === undefined) sayEnd(context, outcome, device)
    return stop.exitCode ?? exitCodeOfOutcome(outcome)
  } catch (thrown) {
    if (thrown instanceof Unread) return EXIT.unread
    const error = asErrand(thrown)
    if (error.code === 'DETACHED') {
      onLeft?.(String(error.fields['task']))
      return EXIT.ok
    }
    if (stop.exitCode === undefined || context.json) printError(error, { json: context.json, device, givenHome: context.givenHome })
    return stop.exitCode ?? exitCodeOfError(error.code)
  }
}

/** Hands the command over: it goes on when this program and its terminal are gone. */
async function detach(context: Context, device: string, command: string[], options: RunOptions): Promise<number> {
  if (options.interactive === true) throw new ErrandError('USAGE', 'a detached command has no stdin: leave -i or --detach out')
  try {
    const seen = await context.client.submit({ device, command, ...asked(options) })
    context.print({ task: seen.task }, () => seen.task)
    if (seen.place !== null) sayQueued(context, seen.device, seen.place)
    if (seen.why === 'approval') sayWaits(context, seen.device, seen.message ?? '')
    return EXIT.ok
  } catch (thrown) {
    const error = asErrand(thrown)
    printError(error, { json: context.json, device, givenHome: context.givenHome })
    return exitCodeOfError(error.code)
  }
}

type Asked = Omit<RunOptions, 'interactive' | 'timeout' | 'maxOutput' | 'detach' | 'meta' | 'session'> & {
  timeoutMs?: number
  maxOutputBytes?: number
  metadata?: Record<string, string>
}

export function asked({ interactive: _, detach: __, session: ___, timeout, maxOutput, meta, ...same }: RunOptions): Asked {
  return {
    ...same,
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(maxOutput === undefined ? {} : { maxOutputBytes: maxOutput }),
    ...(meta === undefined ? {} : { metadata: meta }),
  }
}

/** The first signal asks the device to end the command and waits for it; the second leaves at once. */
class Stop {
  readonly asked = new AbortController()
  readonly demanded = new AbortController()
  /** Undefined until a signal came. */
  exitCode: number | undefined

  constructor() {
    for (const signal of STOPPERS) process.on(signal, () => this.#take(signal))
  }

  #take(signal: (typeof STOPPERS)[number]): void {
    if (this.asked.signal.aborted) this.demanded.abort()
    else this.#sayLater()
    this.exitCode ??= exitCodeOfSignal(signal)
    this.asked.abort()
  }

  /** Most commands end at once; whoever waits for one that does not learns what is going on and how to get out. */
  #sayLater(): void {
    if (process.stderr.isTTY !== true) return
    systemClock.after(SAY_WAITING_MS, () => process.stderr.write('errand: asked the device to stop it, and waiting for that; Ctrl-C again leaves at once\n'))
  }
}

/** What a person wants to know who waits. But for an approval on a terminal only: elsewhere stderr is the command's. */
export function notices(context: Context, device: string): Pick<ExecOptions, 'onQueued' | 'onWaits' | 'onLineDown'> {
  const onWaits = ({ message }: { message: string }): void => sayWaits(context, device, message) // a script that stands still has to say why, too
  if (process.stderr.isTTY !== true) return { onWaits }
  return {
    onWaits,
    onQueued: ({ place }) => sayQueued(context, device, place),
    onLineDown: (ms) => context.say(`errand: the line to ${device} is cut; dialling for ${Math.round(ms / 1_000)} s`),
  }
}

function sayQueued(context: Context, device: string, place: number): void {
  context.say(`errand: queued: place ${place} on ${clean(device)}`)
}

function sayWaits(context: Context, device: string, message: string): void {
  context.say(`errand: ${device}: ${message}`)
}

export function takers(json: boolean): Pick<ExecOptions, 'onStdout' | 'onStderr' | 'onBulk'> {
  const onBulk = stayYoung
  if (!json) return { onBulk, onStdout: (chunk) => drained(process.stdout, chunk), onStderr: (chunk) => drained(process.stderr, chunk) }
  const line = (t: 'stdout' | 'stderr') => (chunk: Uint8Array) => drained(process.stdout, `${JSON.stringify({ t, ...dataOf(chunk) })}\n`)
  return { onBulk, onStdout: line('stdout'), onStderr: line('stderr') }
}

/**
 * V8 lets the part of its heap for young objects grow from 2 MiB to 48, and each piece of output that waits there holds its bytes: 100 GiB cost
 * a slow reader 70 MiB. Kept as small as it is, it is collected more often, and the pieces go at once.
 */
function stayYoung(): void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1')
}

/** Text where the bytes are text, else base64: never a replaced byte. */
export function dataOf(chunk: Uint8Array): { readonly text: string } | { readonly base64: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(chunk) }
  } catch {
    return { base64: Buffer.from(chunk).toString('base64') }
  }
}

const ENDS: Readonly<Record<string, (outcome: ExecOutcome) => string>> = {
  timeout: ({ durationMs }) => `timed out after ${sayDuration(durationMs)}`,
  revoked: () => 'stopped: the right to run it was revoked',
  lost: () => 'lost: nobody knows how it ended',
  limit: () => 'stopped: it reached a limit of its right or its device',
  cancelled: () => 'cancelled',
  'not-found': () => 'no such command',
  'not-executable': () => 'not executable',
  'spawn-failed': () => 'could not be started',
}

/** A command that ended by itself needs no comment, nor does one that the user has just interrupted. */
export function sayEnd(context: Context, outcome: ExecOutcome, device: string): void {
  const say = ENDS[outcome.why]
  if (say === undefined) return
  const words = outcome.why === 'timeout' ? say(outcome) : (outcome.message ?? say(outcome))
  context.say(`errand: ${clean(device)}: ${words}`)
}
