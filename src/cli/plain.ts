/**
 * Reads the command lines that people and scripts write most, in microseconds: loading a library and describing options to it takes longer
 * than running the command. It accepts only what it understands whole; help, mistakes and everything rare are commander's (`whole.ts`),
 * so that there is one place that words them. A property test holds both to one meaning.
 */
import { parseDuration } from '../base/duration.ts'
import type { RunOptions } from './commands/run.ts'
import type { Shared } from './context.ts'

/** The commands without words or options of their own. */
const SHOWS = ['status', 'devices', 'ps', 'grants'] as const

export type Plain = { readonly shared: Shared } & (
  | { readonly name: (typeof SHOWS)[number] }
  | { readonly name: 'run'; readonly device: string; readonly command: string[]; readonly options: RunOptions }
)

/** @returns undefined for whatever is not plainly right; it may still be right. */
export function readPlain(argv: readonly string[]): Plain | undefined {
  const dashes = argv.indexOf('--')
  const read = readWords(dashes < 0 ? argv : argv.slice(0, dashes))
  if (read === undefined) return undefined
  const { words, shared, options } = read
  const [name, device] = words
  if (name === 'run') {
    if (device === undefined || words.length > 2 || dashes < 0 || dashes === argv.length - 1) return undefined
    return { name, shared, device, command: argv.slice(dashes + 1), options }
  }
  const show = SHOWS.find((known) => known === name)
  const isBare = words.length === 1 && dashes < 0 && Object.keys(options).length === 0
  return show === undefined || !isBare ? undefined : { name: show, shared }
}

interface Read {
  readonly words: readonly string[]
  readonly shared: Shared
  readonly options: RunOptions
}

/** @param given what stands before `--`. */
function readWords(given: readonly string[]): Read | undefined {
  let read: Read | undefined = { words: [], shared: {}, options: {} }
  const rest = given.values()
  for (const word of rest) {
    if (!word.startsWith('-')) read = { ...read, words: [...read.words, word] }
    else read = FLAGS[word]?.(read) ?? VALUED[word]?.(nextValue(rest), read)
    if (read === undefined) return undefined
  }
  return read
}

/** '' for what commander may see otherwise. */
function nextValue(rest: Iterator<string, undefined>): string {
  const value = rest.next().value ?? ''
  return value.startsWith('-') ? '' : value
}

const FLAGS: Readonly<Record<string, (read: Read) => Read | undefined>> = {
  '--json': (read) => ({ ...read, shared: { ...read.shared, json: true } }),
  '-i': (read) => ofRun(read, { interactive: true }),
  '--interactive': (read) => ofRun(read, { interactive: true }),
}

const VALUED: Readonly<Record<string, (value: string, read: Read) => Read | undefined>> = {
  '--home': (home, read) => (home === '' ? undefined : { ...read, shared: { ...read.shared, home } }),
  '--cwd': (cwd, read) => (cwd === '' ? undefined : ofRun(read, { cwd })),
  '--user': (user, read) => (user === '' ? undefined : ofRun(read, { user })),
  '--env': (pair, read) => {
    const at = pair.indexOf('=')
    return at < 1 ? undefined : ofRun(read, { env: { ...read.options.env, [pair.slice(0, at)]: pair.slice(at + 1) } })
  },
  '--timeout': (text, read) => {
    try {
      return ofRun(read, { timeout: parseDuration(text) })
    } catch {
      return undefined
    }
  },
}

/** Before the name of its command, such an option is a mistake. */
function ofRun(read: Read, more: RunOptions): Read | undefined {
  return read.words[0] === 'run' ? { ...read, options: { ...read.options, ...more } } : undefined
}
