/** What a request declares of its command: the arguments that are signed, and that policies bound. */
import { posix } from 'node:path'
import type { Limits } from '../../protocols/task/limits.ts'
import type { ExecRunArgs } from '../authority/commands.ts'
import { isUnbounded } from '../authority/limits.ts'

export interface Declared {
  readonly args: ExecRunArgs
}

/** As requests of the local face name it. */
export interface Requested {
  readonly command: readonly string[]
  readonly cwd?: string | undefined
  /** Names; values travel beside the invocation. */
  readonly env?: readonly string[] | undefined
  readonly user?: string | undefined
  readonly timeoutMs?: number | undefined
  readonly maxOutputBytes?: number | undefined
  readonly tty?: boolean | undefined
  readonly stdin?: boolean | undefined
  readonly limits?: Limits | undefined
}

export function declare({ command, cwd, env = [], user, timeoutMs, maxOutputBytes, tty, stdin, limits }: Requested, task: string): Declared {
  const [exe = '', ...argv] = command
  const args: ExecRunArgs = {
    ...{ exe, argv, env: [...new Set(env)].sort(), user: user ?? '', timeoutMs: timeoutMs ?? 0, task },
    ...{ cwd: cwd === undefined ? '' : plainPath(cwd), maxOutputBytes: maxOutputBytes ?? 0, tty: tty ?? false, stdin: stdin ?? false },
    ...(limits === undefined || isUnbounded(limits) ? {} : { limits }),
  }
  return { args }
}

/** People type trailing slashes and dots; the declared path has none, so that a policy on it cannot be walked around. */
function plainPath(path: string): string {
  const plain = posix.normalize(path)
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain
}
