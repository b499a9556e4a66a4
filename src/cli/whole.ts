/** Any command line: commander reads it, one command runs, and every failure becomes words and a number. */
import { CommanderError } from 'commander'
import type { Shared } from './context.ts'
import { failed } from './context.ts'
import { EXIT } from './exitcodes.ts'
import { makeProgram } from './program.ts'

/** @returns the exit code. */
export async function whole(argv: readonly string[]): Promise<number> {
  const parsed = makeProgram(argv)
  try {
    await parsed.program.parseAsync([...argv], { from: 'user' })
    return parsed.exitCode
  } catch (thrown) {
    // Help that was asked for is an answer; help because nothing was asked is a usage error.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage
    return failed(thrown, { json: wantsJson(argv), givenHome: parsed.program.opts<Shared>().home })
  }
}

/** Read by hand: a command line that cannot be parsed has no options yet. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json')
}
