/** From an order to a process: resolves what was asked before anything is started, then spawns without a shell into pipes made ahead. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { type UserInfo, userInfo } from 'node:os'
import type { CommandSpec } from '../../protocols/task/messages.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { buildEnvironment, type Household } from './environment.ts'
import { closePipes, type Pipe, type SparePipes } from './pipes.ts'
import { errnoOf, type Owner, resolveDirectory, resolveExecutable } from './resolve.ts'
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
}

/** A command that needs only its start. */
export interface Prepared {
  /** What was found under the names of the order: real paths. */
  readonly file: string
  readonly cwd: string
  /** @throws ErrandError NOT_EXECUTABLE or SPAWN_FAILED; then nothing runs. */
  spawn(): Promise<Spawned>
  /** Gives the pipes back; for one that is not started. */
  drop(): void
}

export interface Spawned {
  readonly pid: number
  readonly ends: Ends
  /** Calls back once it is gone, at the earliest in the next turn. */
  readonly onExit: (told: ToldOfExit) => void
}

/** Asked once: it reads /etc/passwd. */
let USER: UserInfo<string> | undefined

/** @throws ErrandError COMMAND_NOT_FOUND, NOT_EXECUTABLE, BAD_CWD, BAD_ENV, BAD_USER or SPAWN_FAILED. */
export async function prepare(task: string, spec: CommandSpec, { pipes, home, path, pty, clock }: Launcher): Promise<Prepared> {
  USER ??= userInfo()
  const user = USER
  if (spec.user !== '' && spec.user !== user.username) {
    throw new ErrandError('BAD_USER', `this node runs commands as ${user.username}, not as ${JSON.stringify(spec.user.slice(0, 64))}`, {
      hint: 'leave --user out',
    })
  }
  if (spec.argv.some((argument) => argument.includes('\0'))) throw new ErrandError('SPAWN_FAILED', 'an argument holds a NUL byte')
  const house: Household = { user: user.username, home, shell: user.shell ?? '/bin/sh', path, inherited: process.env }
  const env = { ...buildEnvironment(spec.env, house), [MARKER]: task }
  const cwd = resolveDirectory(spec.cwd, home)
  const owner: Owner = { uid: user.uid, gid: user.gid }
  const file = resolveExecutable(spec.exe, path, owner)
  const { terminal } = spec
  if (terminal !== undefined)
    return { file, cwd, spawn: async () => onTerminal(Pty.start(pty, { file, argv: spec.argv, env, cwd, terminal, clock })), drop: () => undefined }
  const taken = await pipes.take(spec.stdin ? 4 : 3)
  return { file, cwd, spawn: () => start({ file, spec, env: { ...env, [PROGRESS_NAME]: String(PROGRESS_FD) }, cwd }, taken), drop: () => closePipes(taken) }
}

/** Its end may have come before anybody listens. */
function onTerminal(pty: Pty): Spawned {
  return { pid: pty.pid, ends: pty, onExit: (told) => pty.onExit(told) }
}

interface Start {
  readonly file: string
  readonly spec: CommandSpec
  readonly env: Record<string, string>
  readonly cwd: string
}

function start({ file, spec, env, cwd }: Start, pipes: readonly Pipe[]): Promise<Spawned> {
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
      reject(spawnFault(cause, spec.exe))
    }
    try {
      // argv0 stays what was asked: programs with many names (busybox, rustup, a Python venv) look at it
      const stdio: StdioOptions = [theirs[0] ?? 'ignore', stdout.writing, stderr.writing, progress.writing]
      const child: ChildProcess = spawn(file, spec.argv, { argv0: spec.exe, cwd, env, detached: true, stdio })
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
