/**
 * Whether a command is one that a policy names. What is allowed is compared exactly, as in an `exec:` right; what is denied is looked for
 * under every name and path that the program has, and by the file itself: `/bin/rm`, a link to it and a hard link are `rm`.
 * A list of what is denied can never be whole (`sh -c rm`, a copy): that is said in docs/policy.md.
 */
import type { ExecItem } from '../authority/items.ts'

/** A program of this device, as the process that would run it finds it. */
export interface Program {
  /** Every path on the way to the file: as it was named or found, each link, the real one. */
  readonly paths: readonly string[]
  /** The real path; null where nothing would run. */
  readonly file: string | null
  /** Device and inode: the same for every name of a file. */
  readonly id: string | null
}

/** This device, as far as a policy has to look at it. */
export interface Ground {
  /** The user that commands run as. */
  readonly user: string
  program(exe: string): Program
  /** The real path of a directory, '' being where a command runs that names none; null where there is none. */
  directory(path: string): string | null
}

export interface Command {
  readonly exe: string
  readonly argv: readonly string[]
  readonly program: Program
}

export type Item = ExecItem | '*'

/** One file with many commands in it, told apart by the name they are called by: there the file says nothing. */
const BOXES: ReadonlySet<string> = new Set(['busybox', 'toybox', 'coreutils', 'uutils', 'sbase-box', 'ubase-box', 'systemctl', 'rustup', 'rustup-init', 'snap'])

export function sayItem(item: Item): string {
  return item === '*' ? 'any command' : item.join(' ')
}

/** The first item that lets it run. */
export function allowedBy(items: readonly Item[], command: Command, ground: Ground): Item | undefined {
  return items.find((item) => allows(item, command, ground))
}

/** The first item that forbids it. */
export function deniedBy(items: readonly Item[], command: Command, ground: Ground): Item | undefined {
  return items.find((item) => denies(item, command, ground))
}

function allows(item: Item, { exe, argv, program }: Command, ground: Ground): boolean {
  if (item === '*') return true
  const [named, ...first] = item
  if (!beginsWith(argv, first)) return false
  if (named === exe) return true
  const meant = basename(named) === basename(exe) ? ground.program(named) : undefined
  return meant?.file !== null && meant?.file === program.file
}

function denies(item: Item, command: Command, ground: Ground): boolean {
  if (item === '*') return true
  return formsOf(command).some((form) => denied(item, form, ground))
}

function denied([named, ...first]: ExecItem, { argv, program }: Command, ground: Ground): boolean {
  if (!beginsWith(argv.map(nfc), first.map(nfc))) return false
  if (named.startsWith('/') ? program.paths.some((path) => fold(path) === fold(named)) : isNamed(program, named)) return true
  const meant = ground.program(named)
  if (meant.id === null || meant.id !== program.id) return false
  return !isBox(program) || isNamed(program, basename(named))
}

/** As it was asked for; and what a box is asked to be: `busybox rm` is `rm`. */
function formsOf(command: Command): readonly Command[] {
  const { argv, program } = command
  const [applet, ...rest] = argv
  if (applet === undefined || applet.includes('/') || !program.paths.some((path) => BOXES.has(fold(basename(path))))) return [command]
  return [command, { exe: applet, argv: rest, program: { ...program, paths: [...program.paths, applet] } }]
}

function isNamed({ paths }: Program, name: string): boolean {
  return paths.some((path) => fold(basename(path)) === fold(name))
}

function isBox({ file }: Program): boolean {
  return file !== null && BOXES.has(fold(basename(file)))
}

function beginsWith(argv: readonly string[], first: readonly string[]): boolean {
  return first.every((word, at) => argv[at] === word)
}

/** Some file systems take `RM` for `rm`, and some letters look like others. */
function fold(text: string): string {
  return text.normalize('NFKC').toLowerCase()
}

function nfc(text: string): string {
  return text.normalize('NFC')
}

function basename(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
