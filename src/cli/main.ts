/** Where the command line starts: a plain one runs at once, any other one loads what can read it. Leaves with the exit code. */
import { run } from './commands/run.ts'
import { devices, grants, ps, status } from './commands/show.ts'
import { Context, failed } from './context.ts'
import { EXIT } from './exitcodes.ts'
import type { Plain } from './plain.ts'
import { readPlain } from './plain.ts'

const SHOWS = { status, devices, ps, grants } as const

async function main(argv: readonly string[]): Promise<number> {
  const plain = readPlain(argv)
  if (plain !== undefined) return await runPlain(plain)
  const { whole } = await import('./whole.ts')
  return await whole(argv)
}

async function runPlain(plain: Plain): Promise<number> {
  try {
    const context = new Context(plain.shared)
    return plain.name === 'run' ? await run(context, plain.device, plain.command, plain.options) : await SHOWS[plain.name](context)
  } catch (thrown) {
    return failed(thrown, { json: plain.shared.json === true, givenHome: plain.shared.home })
  }
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => (stream.writable ? stream.write('', () => resolve()) : resolve()))
}

// Whoever read our output has gone, as with `| head`: nothing to say and nobody to say it to.
process.stdout.on('error', () => process.exit(EXIT.unread))
process.stderr.on('error', () => undefined)

// Not awaited at the top: this program is bundled as CommonJS, which starts sooner.
void main(process.argv.slice(2)).then(async (code) => {
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  process.exit(code)
})
