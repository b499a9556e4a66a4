/** Which files of a program hold a text, to see that a secret is nowhere. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './until.ts'

/**
 * The files at or below `directory` that hold `text`, of one look at which every file that was listed could still be read: a program
 * that runs replaces and drops its files meanwhile, and what has another name by now must not be missed.
 */
export function filesHolding(directory: string, text: string): Promise<string[]> {
  return until(`all files below ${directory} can be read`, () => filesBelow(directory).filter((path) => readFileSync(path).includes(text)))
}

/** All regular files below a directory. @throws when one of them went away meanwhile. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => lstatSync(path).isFile())
}
