/** Where a home is and where its socket is: the same answer for the node and for its clients. Creates nothing but the runtime directory. */
import { existsSync, lstatSync, mkdirSync, realpathSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ErrandError } from './errors.ts'

/** macOS gives a socket address 104 bytes with its final NUL, Linux 108: the smaller one holds everywhere. */
export const MAX_SOCKET_PATH_BYTES = 103

/** The home that is meant: what was given, else `$ERRAND_HOME`, else `~/.errand`; always absolute. */
export function homeOf(given?: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  const named = given ?? env.ERRAND_HOME
  return named === undefined || named === '' ? join(homedir(), '.errand') : resolve(named)
}

/**
 * The local API's socket of a home: `<home>/errand.sock`, or, when that path does not fit into a socket address, one in the
 * runtime directory that is named by a hash of the home. Never a truncated one.
 * @throws ErrandError BAD_RUNTIME_DIR when that directory belongs to somebody else or others may enter it.
 */
export function socketPathOf(home: string): string {
  if (process.platform === 'win32') return `\\\\.\\pipe\\errand-${hashOf(home)}`
  return fitting(join(resolve(home), 'errand.sock'), () => hashOf(home))
}

/** The same for any other socket: its own path when that fits, else one in the runtime directory. @throws ErrandError BAD_RUNTIME_DIR */
export function shortSocketPath(path: string): string {
  return fitting(resolve(path), () => hashOf(path))
}

function fitting(plain: string, hash: () => string): string {
  if (Buffer.byteLength(plain) <= MAX_SOCKET_PATH_BYTES) return plain
  const name = `${hash()}.sock`
  const short = runtimeDirs()
    .map((dir) => ({ dir, path: join(dir, name) }))
    .find(({ path }) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES)
  if (short === undefined)
    throw new ErrandError('BAD_RUNTIME_DIR', 'no runtime directory with a short enough path', { hint: 'set XDG_RUNTIME_DIR, or choose a shorter --home' })
  ensureOurs(short.dir)
  return short.path
}

/**
 * Makes a directory and the missing ones above it, mode 0700. By hand, because Node's `recursive: true` loops for ever, eating memory,
 * where a file system answers ENOENT although the parent is there (`/proc/x`, Node 20).
 * @throws what `mkdir` throws.
 */
export function makeDirectories(path: string): void {
  if (existsSync(path)) return
  if (dirname(path) !== path) makeDirectories(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (cause) {
    if (!existsSync(path)) throw cause // else somebody else was faster
  }
}

function runtimeDirs(): string[] {
  const xdg = process.env.XDG_RUNTIME_DIR
  const dirs = [join(tmpdir(), `errand-${uid()}`), `/tmp/errand-${uid()}`]
  return xdg === undefined || xdg === '' ? dirs : [join(xdg, 'errand'), ...dirs]
}

/** Whoever owns this directory can put a socket of their own where ours is expected; so it has to be ours alone. */
function ensureOurs(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const seen = lstatSync(dir)
  if (seen.isDirectory() && seen.uid === uid() && (seen.mode & 0o077) === 0) return
  throw new ErrandError('BAD_RUNTIME_DIR', `${dir} is not a directory of ours with mode 0700`, { hint: `remove it, or choose a --home with a shorter path` })
}

function uid(): number {
  return process.getuid?.() ?? 0
}

function hashOf(home: string): string {
  // Loaded only here: hashing is for the rare long path, and node:crypto costs every start of the command line 3 ms.
  const { createHash } = process.getBuiltinModule('node:crypto')
  return createHash('sha256').update(realOf(home)).digest('hex').slice(0, 24)
}

/** One home has one socket, also when it is reached through a symbolic link. */
function realOf(home: string): string {
  try {
    return realpathSync(home)
  } catch {
    return resolve(home)
  }
}
