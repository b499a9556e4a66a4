/** How the scripts talk: progress and errors go to stderr, a fault that a person can mend is shown without a stack. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A person can do something about this one; it is shown without a stack. */
export class SetupFailed extends Error {}

export function say(line) {
  process.stderr.write(`errand: ${line}\n`)
}

/** Runs `main` and turns what it throws into one readable message and exit code 1. */
export async function asProgram(main) {
  try {
    process.exitCode = (await main()) ?? 0
  } catch (error) {
    process.stderr.write(error instanceof SetupFailed ? `error: ${error.message}\n` : `${error?.stack ?? error}\n`)
    process.exitCode = 1
  }
}

/** True when `url` is the file that was started, not one that another imports. */
export function isMain(url) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url)
}
