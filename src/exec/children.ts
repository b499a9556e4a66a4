/**
 * The host's half of every command: resolves what was asked, opens its ends of the pipes, spawns, and watches the process group.
 * Moves no output: the child writes into pipes whose other ends the daemon holds.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, constants, openSync, unlinkSync } from 'node:fs'
import { userInfo } from 'node:os'
import { every, systemClock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Fault, FromHost, HostSetup, Pipes, ToHost } from './control.ts'
import { buildEnvironment, type Household } from './environment.ts'
import { endGroupsNow, isGroupAlive, signalGroup } from './group.ts'
import { errnoOf, type Owner, resolveDirectory, resolveExecutable } from './resolve.ts'

const GROUP_POLL_MS = 50

type Start = Extract<ToHost, { t: 'start' }>

export class Children {
  readonly #house: Household
  readonly #owner: Owner
  /** Process group of every command of which something may still run. */
  readonly #groups = new Map<number, number>()

  constructor(
    setup: HostSetup,
    private readonly tell: (message: FromHost) => void,
  ) {
    const user = userInfo()
    this.#owner = { uid: user.uid, gid: user.gid }
    this.#house = { user: user.username, home: setup.home, shell: user.shell ?? '/bin/sh', path: setup.path, inherited: process.env }
  }

  handle(message: ToHost): void {
    if (message.t === 'start') return this.#start(message)
    if (message.t === 'make-pipes') return this.#makePipes(message.paths)
    const pgid = this.#groups.get(message.id)
    if (pgid !== undefined) signalGroup(pgid, message.signal)
  }

  /** The daemon is gone: nothing may run on unnoticed. Returns when all groups are. */
  endAll(): void {
    endGroupsNow([...this.#groups.values()])
  }

  #start({ id, spec, pipes }: Start): void {
    try {
      const child = this.#spawn(spec, pipes)
      const { pid } = child
      if (pid === undefined) {
        child.once('error', (cause) => this.tell({ t: 'failed', id, fault: faultOf(spawnFault(cause, spec.exe)) }))
        return
      }
      child.once('exit', (code, signal) => this.#exited(id, code, signal))
      this.#groups.set(id, pid)
      this.tell({ t: 'started', id, pid })
    } catch (cause) {
      this.tell({ t: 'failed', id, fault: faultOf(cause instanceof ErrandError ? cause : spawnFault(cause, spec.exe)) })
    }
  }

  #spawn(spec: Start['spec'], pipes: Pipes): ChildProcess {
    if (spec.user !== '' && spec.user !== this.#house.user) {
      throw new ErrandError('BAD_USER', `this node runs commands as ${this.#house.user}, not as ${JSON.stringify(spec.user.slice(0, 64))}`, {
        hint: 'leave --user out',
      })
    }
    if (spec.argv.some((argument) => argument.includes('\0'))) throw new ErrandError('SPAWN_FAILED', 'an argument holds a NUL byte')
    const env = buildEnvironment(spec.env, this.#house)
    const cwd = resolveDirectory(spec.cwd, this.#house.home)
    const file = resolveExecutable(spec.exe, this.#house.path, this.#owner)
    const stdio = openEnds(pipes)
    try {
      // argv0 stays what was asked: programs with many names (busybox, rustup, a Python venv) look at it
      return spawn(file, spec.argv, { argv0: spec.exe, cwd, env, detached: true, stdio })
    } finally {
      closeEnds(stdio)
    }
  }

  #exited(id: number, code: number | null, signal: string | null): void {
    const pgid = this.#groups.get(id)
    const groupLeft = pgid !== undefined && isGroupAlive(pgid)
    this.tell({ t: 'exited', id, code, signal, groupLeft })
    if (pgid === undefined || !groupLeft) {
      this.#groups.delete(id)
      return
    }
    const stop = every(systemClock, GROUP_POLL_MS, () => {
      if (isGroupAlive(pgid)) return
      stop()
      this.#groups.delete(id)
      this.tell({ t: 'group-gone', id })
    })
  }

  #makePipes(paths: string[]): void {
    execFile('mkfifo', ['-m', '600', ...paths], { env: { PATH: this.#house.path.join(':') } }, (cause) => {
      const fault =
        cause === null
          ? null
          : faultOf(
              new ErrandError('SPAWN_FAILED', `cannot make named pipes: ${cause.message}`, {
                hint: 'errand needs mkfifo (coreutils, busybox) and a home on a file system that has pipes',
              }),
            )
      this.tell({ t: 'pipes-made', paths, fault })
    })
  }
}

type Ends = ['ignore' | number, number, number]

/** Never blocks: the daemon opened its ends first, and O_NONBLOCK turns a vanished daemon into an error. The child gets them blocking (libuv sees to it). */
function openEnds(pipes: Pipes): Ends {
  const opened: number[] = []
  const open = (path: string, flag: number): number => {
    const fd = openSync(path, flag | constants.O_NONBLOCK)
    opened.push(fd)
    unlinkSync(path) // used once: no later command can meet an old one in its pipe
    return fd
  }
  try {
    return [
      pipes.stdin === null ? 'ignore' : open(pipes.stdin, constants.O_RDONLY),
      open(pipes.stdout, constants.O_WRONLY),
      open(pipes.stderr, constants.O_WRONLY),
    ]
  } catch (cause) {
    for (const fd of opened) closeSync(fd)
    throw cause
  }
}

function closeEnds(ends: Ends): void {
  for (const end of ends) if (end !== 'ignore') closeSync(end)
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

function faultOf({ code, message, hint, fields }: ErrandError): Fault {
  return { code, message: message.slice(0, 1_024), fields, ...(hint === undefined ? {} : { hint: hint.slice(0, 1_024) }) }
}
