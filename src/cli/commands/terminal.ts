/** `errand run -t` and `errand shell`: a terminal on a device, shown on ours, with every key going there. */
import { spawnSync } from 'node:child_process'
import type { Terminal, WindowSize } from '../../../protocols/task/messages.ts'
import { ErrandError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { Escapes } from '../escapes.ts'
import { EXIT } from '../exitcodes.ts'
import { attached, type RunOptions } from './run.ts'

const KINDS = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/
const PLAIN = { term: 'dumb', columns: 80, rows: 24 }
/** Nearly every device has the first, every one the second. */
const SHELLS = ['bash', 'sh'] as const

const HELP = `
errand: at the beginning of a line
  ~.   hang up: the command over there hears that its terminal is gone
  ~?   this
  ~~   one ~
`

export async function onTerminal(context: Context, device: string, command: string[], options: RunOptions): Promise<number> {
  if (options.detach === true) throw new ErrandError('USAGE', 'a detached command has no terminal: leave -t or --detach out')
  const { stdin } = process
  const isTyped = stdin.isTTY === true && !context.json
  try {
    if (isTyped) goRaw(stdin)
    return await attached(
      context,
      { device, command },
      { ...options, tty: true },
      { terminal: ours(), stdin: isTyped ? keys(stdin) : stdin, onTerminal: tellSizes },
    )
  } finally {
    if (isTyped) stdin.setRawMode(false)
  }
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
function tellSizes(resize: (size: WindowSize) => void): void {
  const tell = (): void => {
    const size = sizeOf(process.stdout)
    if (size !== undefined) resize(size)
  }
  process.stdout.on('resize', tell)
  tell()
}

async function* keys(stdin: NodeJS.ReadStream): AsyncGenerator<Uint8Array> {
  const escapes = new Escapes()
  for await (const chunk of stdin) {
    const { bytes, said } = escapes.push(chunk as Uint8Array)
    if (bytes.length > 0) yield bytes
    if (said === 'help') process.stderr.write(HELP)
    if (said === 'hang-up') process.kill(process.pid, 'SIGHUP') // as if the window were closed
  }
}
