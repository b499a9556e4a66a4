/** The command line. Reads it, runs one command, leaves with its code; every failure ends here as words and a number. */
import { CommanderError } from 'commander'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Shared } from './context.ts'
import { printError } from './context.ts'
import { EXIT, exitCodeOfError } from './exitcodes.ts'
import { makeProgram } from './program.ts'

async function main(argv: readonly string[]): Promise<number> {
  const parsed = makeProgram(argv)
  try {
    await parsed.program.parseAsync([...argv], { from: 'user' })
    return parsed.exitCode
  } catch (thrown) {
    // Help that was asked for is an answer; help because nothing was asked is a usage error.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage
    const error = thrown instanceof ErrandError ? thrown : asErrand(thrown)
    printError(error, { json: wantsJson(argv), givenHome: parsed.program.opts<Shared>().home })
    return exitCodeOfError(error.code)
  }
}

/** Read by hand: a command line that cannot be parsed has no options yet. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json')
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
