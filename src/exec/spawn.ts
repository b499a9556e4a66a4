/** From an order to a process: resolves what was asked before anything is started, then spawns into pipes made ahead; what is to be held, through `enclosure.ts`. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { closeSync, existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import type { Limits } from '../../protocols/task/limits.ts'
import type { CommandSpec } from '../../protocols/task/messages.ts'
import { isUnbounded } from '../authority/limits.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { enclosed, type Inside } from './enclosure.ts'
import { buildEnvironment, type Household } from './environment.ts'
import { Held } from './held.ts'
import { type Means, planOf } from './means.ts'
import { type Person, runsAs } from './people.ts'
import { closePipes, type Pipe, type SparePipes } from './pipes.ts'
import { errnoOf, resolveDirectory, resolveExecutable } from './resolve.ts'
import type { Ends, PipeEnds } from './run.ts'
import { Pty, type ToldOfExit } from './terminal.ts'
import { MARKER } from './tree.ts'

/** The descriptor for progress reports, and the variable that says so. */
const PROGRESS_FD = 3
const PROGRESS_NAME = 'ERRAND_PROGRESS_FD'

export interface Launcher {
  readonly pipes: SparePipes
  readonly home: string
  readonly path: readonly string[]
  /** Where terminals come from; undefined: from nowhere. */
  readonly pty?: string | undefined
  readonly clock: Clock
  /** What a command can be held to here; asked for those only that are to be held. */
  readonly means: () => Promise<Means>
  /** Real paths of errand's own, which no sandbox shows. */
  readonly hidden: readonly string[]
  /** A path for what the first step of a held command has to say. */
  readonly refusalOf: (task: string) => string
}

/** A command that needs only its start. */
export interface Prepared {
  /** What was found under the names of the order: real paths. */
  readonly file: string
  readonly cwd: string
  /** @throws ErrandError NOT_EXECUTABLE, SPAWN_FAILED, BAD_CWD, or DENIED for limits that cannot be enforced; then nothing runs. */
  spawn(limits: Limits): Promise<Spawned>
  /** Gives the pipes back; for one that is not started. */
  drop(): void
}

/** The same, and what its right and its caller bound it to. */
export type Ready = Prepared & { readonly limits: Limits }

/** With its limits settled. */
export type Bounded = Pick<Prepared, 'file' | 'cwd' | 'drop'> & { spawn(): Promise<Spawned> }

export interface Spawned {
  readonly pid: number
  readonly ends: Ends
  /** Calls back once it is gone, at the earliest in the next turn. */
  readonly onExit: (told: ToldOfExit) => void
  /** Absent: nothing holds it. */
  readonly held?: Held
}

/** Asked once: it reads /etc/passwd. */
let OWN: Person | undefined

function own(home: string): Person {
  const { username, uid, gid, shell } = userInfo()
  return { name: username, uid, gid, home, shell: shell ?? '/bin/sh' }
}

/** @throws ErrandError COMMAND_NOT_FOUND, NOT_EXECUTABLE, BAD_CWD, BAD_ENV, BAD_USER or SPAWN_FAILED. */
export async function prepare(task: string, spec: CommandSpec, on: Launcher): Promise<Prepared> {
  const { pipes, home, path, pty, clock } = on
  OWN ??= own(home)
  const person = runsAs(spec.user, { ...OWN, home })
  if (spec.argv.some((argument) => argument.includes('\0'))) throw new ErrandError('SPAWN_FAILED', 'an argument holds a NUL byte')
  const house: Household = { user: person.name, home: person.home, shell: person.shell, path, inherited: process.env }
  const env = { ...buildEnvironment(spec.env, house), [MARKER]: task }
  // Users of services have homes that are not there; they begin at the root then, as with sshd.
  const cwd = resolveDirectory(spec.cwd, person.uid === OWN.uid || existsSync(person.home) ? person.home : '/')
  const file = resolveExecutable(spec.exe, path, person)
  const start = { task, file, cwd, spec, person, own: OWN, on }
  const { terminal } = spec
  if (terminal !== undefined) {
    const begin = async (words: Words): Promise<Spawned> => onTerminal(Pty.start(pty, { ...words, env, cwd, terminal, clock, ...ownerOf(start) }))
    const drop = (): void => undefined
    return { file, cwd, spawn: (limits) => spawned(start, limits, { begin, drop }), drop }
  }
  const taken = await pipes.take(spec.stdin ? 4 : 3)
  const withProgress = { ...env, [PROGRESS_NAME]: String(PROGRESS_FD) }
  const begin = (words: Words): Promise<Spawned> => onPipes({ ...words, exe: spec.exe, env: withProgress, cwd }, taken)
  const drop = (): void => closePipes(taken)
  return { file, cwd, spawn: (limits) => spawned(start, limits, { begin, drop }), drop }
}

interface Starting {
  readonly task: string
  readonly file: string
  readonly cwd: string
  readonly spec: CommandSpec
  readonly person: Person
  readonly own: Person
  readonly on: Launcher
}

/** What the kernel gets: the command itself, or what holds it. */
interface Words {
  readonly file: string
  /** What it is called. */
  readonly name: string
  readonly argv: readonly string[]
}

interface Beginning {
  /** Owns what is there for the command from the moment it is called. */
  readonly begin: (words: Words) => Promise<Spawned>
  readonly drop: () => void
}

async function spawned(start: Starting, limits: Limits, { begin, drop }: Beginning): Promise<Spawned> {
  const { words, held } = await wordsOf(start, limits, drop)
  if (held === undefined) return await begin(words)
  try {
    return { ...(await begin(words)), held }
  } catch (thrown) {
    held.release(start.on.clock)
    throw thrown
  }
}

async function wordsOf(start: Starting, limits: Limits, drop: () => void): Promise<{ readonly words: Words; readonly held?: Held }> {
  const { task, file, spec, on } = start
  const isOther = ownerOf(start).user !== undefined
  if (isUnbounded(limits) && !isOther) return { words: { file, name: spec.exe, argv: spec.argv } }
  let held: Held | undefined
  try {
    const means = await on.means()
    const plan = planOf(limits, isOther, means)
    held = Held.begin(plan, means.group, { task, refusal: on.refusalOf(task) })
    const [first = '', ...argv] = enclosed(insideOf(start), plan, { means, groups: held.entrances(), refusal: held.refusal })
    return { words: { file: first, name: first, argv }, held }
  } catch (thrown) {
    held?.release(on.clock)
    drop()
    throw thrown
  }
}

function insideOf(start: Starting): Inside {
  const { file, cwd, spec, person, on } = start
  const { exe: name, argv } = spec
  return { file, name, argv, cwd, isNamed: spec.cwd !== '', home: person.home, ...ownerOf(start), hidden: on.hidden, path: on.path }
}

/** Nothing where it is the node's own user. */
function ownerOf({ person, own: node }: Starting): { readonly user?: Person } {
  return person.uid === node.uid ? {} : { user: person }
}

/** Its end may have come before anybody listens. */
function onTerminal(pty: Pty): Spawned {
  return { pid: pty.pid, ends: pty, onExit: (told) => pty.onExit(told) }
}

interface Start extends Words {
  readonly exe: string
  readonly env: Record<string, string>
  readonly cwd: string
}

function onPipes({ file, name, argv, exe, env, cwd }: Start, pipes: readonly Pipe[]): Promise<Spawned> {
  const [stdout, stderr, progress, stdin] = pipes
  if (stdout === undefined || stderr === undefined || progress === undefined) throw new ErrandError('SPAWN_FAILED', 'no pipes for the output')
  const theirs = [stdin?.reading, stdout.writing, stderr.writing, progress.writing]
  const ours: PipeEnds = { stdin: stdin?.writing ?? null, stdout: stdout.reading, stderr: stderr.reading, progress: progress.reading }
  const closeAll = (fds: readonly (number | null | undefined)[]): void => {
    for (const fd of fds) if (typeof fd === 'number') closeSync(fd)
  }
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      closeAll([ours.stdin, ours.stdout, ours.stderr, ours.progress])
      reject(spawnFault(cause, exe))
    }
    try {
      // argv0 stays what was asked: programs with many names (busybox, rustup, a Python venv) look at it
      const stdio: StdioOptions = [theirs[0] ?? 'ignore', stdout.writing, stderr.writing, progress.writing]
      const child: ChildProcess = spawn(file, argv, { argv0: name, cwd, env, detached: true, stdio })
      const { pid } = child
      if (pid === undefined) child.once('error', fail)
      else resolve({ pid, ends: ours, onExit: (told) => void child.once('exit', told) })
    } catch (cause) {
      fail(cause)
    } finally {
      closeAll(theirs)
    }
  })
}

function spawnFault(cause: unknown, exe: string): ErrandError {
  const errno = errnoOf(cause)
  if (errno === 'EACCES')
    return new ErrandError('NOT_EXECUTABLE', `${exe}: the system refuses to execute it`, { hint: 'is its file system mounted noexec?', cause })
  if (errno === 'ENOENT')
    return new ErrandError('NOT_EXECUTABLE', `${exe}: its interpreter or loader does not exist`, { hint: 'look at its first line (#!…)', cause })
  if (errno === 'E2BIG')
    return new ErrandError('SPAWN_FAILED', `${exe}: the arguments and the environment are too long together`, { hint: 'pass long data through stdin', cause })
  return asErrand(cause, 'SPAWN_FAILED')
}
