/**
 * From what the caller named to what the kernel gets: the program's real path and the real working directory.
 * Decides before anything is spawned, so that "not found" and "not executable" are facts and not guesses from an exit code.
 */
import { accessSync, constants, realpathSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { ErrandError } from '../base/errors.ts'

/** Who the node runs as, for the one exception among writable programs. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * @param exe an absolute path, or a bare name that is searched in `path`.
 * @returns the real path, links resolved.
 * @throws ErrandError COMMAND_NOT_FOUND, or NOT_EXECUTABLE with the reason.
 */
export function resolveExecutable(exe: string, path: readonly string[], owner: Owner): string {
  if (exe.includes('\0')) throw notExecutable('a program name with a NUL byte', 'name one program')
  if (exe.startsWith('/')) {
    const found = inspect(exe, owner)
    if (found === undefined) throw notFound(exe, 'the path does not exist on that device')
    return found
  }
  if (exe.includes('/')) {
    throw notExecutable(`${exe} is relative, and a path must not mean another file in another directory`, 'write the absolute path on the device')
  }
  let blocked: unknown
  for (const directory of path) {
    try {
      const found = inspect(join(directory, exe), owner)
      if (found !== undefined) return found
    } catch (fault) {
      blocked ??= fault // a later directory may still hold a good one, as execvp(3) has it
    }
  }
  throw blocked ?? notFound(exe, `searched ${path.join(':')}; write the absolute path if it is elsewhere`)
}

/**
 * @param cwd absolute, or '' for the home directory.
 * @throws ErrandError BAD_CWD
 */
export function resolveDirectory(cwd: string, home: string): string {
  const asked = cwd === '' ? home : cwd
  const bad = (reason: string, cause?: unknown): ErrandError =>
    new ErrandError('BAD_CWD', `cannot run in ${JSON.stringify(asked.slice(0, 256))}: ${reason}`, {
      hint: 'name an existing absolute directory on the device',
      cause,
    })
  if (asked.includes('\0')) throw bad('it holds a NUL byte')
  if (!asked.startsWith('/')) throw bad('it is not absolute')
  try {
    const real = realpathSync(asked)
    if (!statSync(real).isDirectory()) throw bad('it is not a directory')
    accessSync(real, constants.X_OK)
    return real
  } catch (cause) {
    if (cause instanceof ErrandError) throw cause
    throw bad(errnoOf(cause) === 'EACCES' ? 'permission denied' : 'it does not exist', cause)
  }
}

/** undefined when there is no such file. @throws NOT_EXECUTABLE when there is one that cannot or must not run. */
function inspect(candidate: string, owner: Owner): string | undefined {
  let real: string
  let stats: Stats
  try {
    real = realpathSync(candidate)
    stats = statSync(real)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined
    throw notExecutable(`${candidate} cannot be reached (${errno})`, 'look at the permissions of its directories', cause)
  }
  if (!stats.isFile()) throw notExecutable(`${candidate} is not a file`, 'name a program')
  if (isWritableByOthers(stats, owner)) {
    throw notExecutable(`${real} can be changed by other users of the device`, `chmod go-w ${real}`)
  }
  try {
    accessSync(real, constants.X_OK)
  } catch (cause) {
    throw notExecutable(`${real} is not executable`, `chmod +x ${real}`, cause)
  }
  return real
}

/** A file that other users can rewrite is not the program that a right names. The node's own user in its own group (umask 002) is no other user. */
function isWritableByOthers(stats: Stats, owner: Owner): boolean {
  if ((stats.mode & 0o002) !== 0) return true
  const ownPrivateGroup = stats.uid === owner.uid && stats.gid === owner.gid
  return (stats.mode & 0o020) !== 0 && !ownPrivateGroup
}

function notFound(exe: string, hint: string): ErrandError {
  return new ErrandError('COMMAND_NOT_FOUND', `${exe.slice(0, 256)}: command not found`, { hint, fields: { exe: exe.slice(0, 256) } })
}

function notExecutable(message: string, hint: string, cause?: unknown): ErrandError {
  return new ErrandError('NOT_EXECUTABLE', message.slice(0, 1_024), { hint: hint.slice(0, 512), cause })
}

export function errnoOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'UNKNOWN'
}
