/** Secrets of people: typed without being shown, or read from a pipe; never an argument, never an environment variable. */
import { ErrandError } from '../base/errors.ts'

const MAX_BYTES = 4_096
const CTRL_C = '\u0003'
/** Enter, and the end of input. */
const ENDS = ['\r', '\n', '\u0004']
const ERASES = ['\u007f', '\b']

/** One line from the terminal without echo; from a pipe its first line. @throws CANCELLED */
export async function askSecret(question: string): Promise<string> {
  const { stdin } = process
  return stdin.isTTY === true ? await typed(question, stdin) : await piped(stdin)
}

/** What a key does to the line; undefined: it ends it. */
function keyed(line: string, key: string): string | undefined {
  if (ENDS.includes(key)) return undefined
  if (ERASES.includes(key)) return [...line].slice(0, -1).join('')
  return key >= ' ' && line.length < MAX_BYTES ? line + key : line
}

function typed(question: string, stdin: NodeJS.ReadStream): Promise<string> {
  stdin.setRawMode(true) // before the question: what is typed at once must not be shown either
  process.stderr.write(question)
  return new Promise((resolve, reject) => {
    let line = ''
    const end = (): void => {
      stdin.off('data', hear)
      stdin.setRawMode(false)
      stdin.pause()
      process.stderr.write('\n')
    }
    const over = (done: () => void): void => {
      end()
      done()
    }
    const hear = (chunk: Buffer): void => {
      for (const key of chunk.toString('utf8')) {
        if (key === CTRL_C) return over(() => reject(new ErrandError('CANCELLED', 'cancelled')))
        const next = keyed(line, key)
        if (next === undefined) return over(() => resolve(line))
        line = next
      }
    }
    stdin.resume()
    stdin.on('data', hear)
  })
}

async function piped(stdin: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk as Uint8Array))
    bytes += (chunk as Uint8Array).length
    if (bytes > MAX_BYTES) throw new ErrandError('TOO_LARGE', `a secret has ${MAX_BYTES} bytes at most`)
  }
  return Buffer.concat(chunks).toString('utf8').split(/\r?\n/)[0] ?? ''
}

/** Where a secret is shown there has to be a person, and no file. @throws NO_TERMINAL */
export function requireTerminal(what: string): void {
  if (process.stdin.isTTY === true && process.stderr.isTTY === true) return
  throw new ErrandError('NO_TERMINAL', `${what} are shown once, to a person at a terminal, and kept nowhere`, {
    hint: 'run it on a terminal, without --json and without a pipe',
  })
}
