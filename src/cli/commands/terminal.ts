/** `errand run -t` and `errand shell`: a terminal on a device, shown on ours, with every key going there. */
import { spawnSync } from 'node:child_process'
import type { TaskView } from '../../../protocols/local/messages.ts'
import type { Terminal, WindowSize } from '../../../protocols/task/messages.ts'
import { asErrand, ErrandError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { Escapes, type Said } from '../escapes.ts'
import { EXIT } from '../exitcodes.ts'
import { drained } from '../writer.ts'
import { watchOutput } from './output.ts'
import { attached, type RunOptions } from './run.ts'

const KINDS = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/
const PLAIN = { term: 'dumb', columns: 80, rows: 24 }
/** Nearly every device has the first, every one the second. */
const SHELLS = ['bash', 'sh'] as const

type Tell = (size: WindowSize) => void

const CLEARED = '\x1b[H\x1b[2J'
/** The screen of before, text as it usually is, a cursor that is seen, keys and mouse as usual, all lines scroll. */
const AS_BEFORE =
  '\x1b[?1049l\x1b[0m\x1b[?25h\x1b[?1l\x1b>\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[?7h\x1b[r\x1b[999H\r\n'

const HELP = `
errand: at the beginning of a line
  ~.   hang up: the command over there hears that its terminal is gone
  ~d   leave it to itself; errand attach brings it back, with its screen as it is then
  ~?   this
  ~~   one ~
`

export async function onTerminal(context: Context, device: string, command: string[], options: RunOptions): Promise<number> {
  if (options.detach === true) throw new ErrandError('USAGE', 'a detached command has no terminal: leave -t or --detach out')
  const { stdin } = process
  const isTyped = stdin.isTTY === true && !context.json
  let detach = (): void => undefined
  const onTerminal = (tell: Tell, leave: () => void): void => {
    detach = leave
    tellSizes(tell)
  }
  const typed = isTyped ? keys(stdin, { 'hang-up': hangUp, detach: () => detach() }) : stdin
  let left: string | undefined
  const onLeft = (task: string): void => {
    left = task
  }
  const onMustStay = ({ message }: Error): void => context.say(`errand: it stays attached: ${message}`)
  const ourEnd = { terminal: ours(), stdin: typed, onTerminal, onLeft, onMustStay }
  const code = await raw(isTyped, () => attached(context, { device, command }, { ...options, tty: true }, ourEnd))
  if (left !== undefined) sayLeft(context, left)
  return code
}

/**
 * Comes back to a terminal that was left to itself: its screen as it is, then whatever comes. The device that began it types there; any other
 * one watches.
 */
export async function reattached(context: Context, seen: TaskView): Promise<number> {
  const { task } = seen
  const isOurs = seen.submittedBy === (await context.client.status()).name
  const { bytes, screen } = await printed(context, task)
  const left = new AbortController()
  const leave = (): void => left.abort()
  const end = (): void => void context.client.cancel(task).catch((thrown: unknown) => context.say(`errand: ${asErrand(thrown).message}`))
  const typed = keys(process.stdin, { 'hang-up': isOurs ? end : leave, detach: leave })
  if (!isOurs) context.say(`errand: ${seen.submittedBy} types there, you watch; ~. leaves`)
  const code = await raw(true, async () => {
    await drained(process.stdout, `${isOurs ? CLEARED : ''}${screen}`)
    if (!isOurs) void unheard(typed)
    const wanted = { task, from: bytes, follow: true, ...(isOurs ? { input: true } : {}) }
    return await watchOutput(context, wanted, { left, ...(isOurs ? { stdin: typed, onTerminal: tellSizes } : {}) })
  })
  if (left.signal.aborted) sayLeft(context, task)
  return code
}

/** Of the keys of whoever only watches, what is said to errand counts. */
async function unheard(typed: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of typed);
}

/** What was printed there by now, drawn for a terminal of our size. */
async function printed(context: Context, task: string): Promise<{ readonly bytes: number; readonly screen: string }> {
  const { Screen } = await import('../screen.ts')
  const screen = new Screen()
  let bytes = 0
  const onStdout = (chunk: Uint8Array): void => {
    bytes += chunk.length
    screen.push(Uint8Array.from(chunk)) // the chunk is a window on what is read next
  }
  await context.client.attach({ task, from: 0, follow: false }, { onStdout, onSkipped: (skipped) => (bytes += skipped) })
  return { bytes, screen: await screen.drawn(sizeOf(process.stdout) ?? PLAIN) }
}

/** Whether a person sits at this one, who sees all and types. */
export function isATerminal({ json }: Pick<Context, 'json'>): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true && !json
}

/** With every key as it is typed. */
async function raw(isTyped: boolean, act: () => Promise<number>): Promise<number> {
  const { stdin } = process
  try {
    if (isTyped) goRaw(stdin)
    return await act()
  } finally {
    if (isTyped) stdin.setRawMode(false)
  }
}

/** As if the window were closed. */
function hangUp(): void {
  process.kill(process.pid, 'SIGHUP')
}

function sayLeft(context: Context, task: string): void {
  if (process.stdout.isTTY === true) process.stdout.write(AS_BEFORE)
  context.say(`errand: it goes on by itself: errand attach ${task.slice(-6)}`)
}

/** The shell is the device's; which one there is, is found out by asking for it. */
export async function shell(context: Context, device: string, options: RunOptions): Promise<number> {
  let code: number = EXIT.ok
  for (const name of SHELLS) {
    code = await onTerminal(context, device, [name, '-l'], options)
    if (code !== EXIT.notFound) break
  }
  return code
}

function ours(): Terminal {
  const { TERM = '' } = process.env
  return { term: KINDS.test(TERM) ? TERM : PLAIN.term, ...(sizeOf(process.stdout) ?? PLAIN) }
}

function sizeOf({ isTTY, columns, rows }: NodeJS.WriteStream): WindowSize | undefined {
  return isTTY === true && columns > 0 && rows > 0 ? { columns, rows } : undefined
}

/**
 * Node's raw mode still turns every line feed into a new line, and programs that draw the whole screen count on it not to. Where there is no
 * `stty` their lines may begin at the left. Leaving raw mode gives back what was there before.
 */
function goRaw(stdin: NodeJS.ReadStream): void {
  stdin.setRawMode(true)
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] })
}

/** Now too: it may have changed since the request. */
function tellSizes(resize: Tell): void {
  const tell = (): void => {
    const size = sizeOf(process.stdout)
    if (size !== undefined) resize(size)
  }
  process.stdout.on('resize', tell)
  tell()
}

async function* keys(stdin: NodeJS.ReadStream, acts: Readonly<Record<Exclude<Said, 'help'>, () => void>>): AsyncGenerator<Uint8Array> {
  const escapes = new Escapes()
  for await (const chunk of stdin) {
    const { bytes, said } = escapes.push(chunk as Uint8Array)
    if (bytes.length > 0) yield bytes
    if (said === 'help') process.stderr.write(HELP)
    else if (said !== undefined) acts[said]()
  }
}
