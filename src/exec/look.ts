/** This device as a policy sees it: which file a name would run, which directory a path is, with the same eyes as the process that spawns. */
import { readlinkSync, statSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { FIXED_PATH } from './environment.ts'
import { resolveDirectory, resolveExecutable } from './resolve.ts'

/** What a name is on this device. */
export interface SeenProgram {
  readonly paths: readonly string[]
  readonly file: string | null
  readonly id: string | null
}

export interface Look {
  readonly user: string
  program(exe: string): SeenProgram
  directory(path: string): string | null
}

/** Longer chains of links the system does not follow either. */
const MAX_LINKS = 40

/** @param o.path directories searched after the fixed ones. */
export function lookAround(o: { readonly path?: readonly string[]; readonly home?: string } = {}): Look {
  const { uid, gid, username } = userInfo()
  const path = [...FIXED_PATH, ...(o.path ?? [])]
  const fileOf = (exe: string, within: readonly string[]): string | undefined => {
    try {
      return resolveExecutable(exe, within, { uid, gid })
    } catch {
      return undefined
    }
  }
  return {
    user: username,
    program(exe) {
      const found = exe.startsWith('/') ? exe : path.map((directory) => join(directory, exe)).find((one) => fileOf(one, []) !== undefined)
      const file = exe.includes('/') && !exe.startsWith('/') ? undefined : fileOf(exe, path)
      if (found === undefined || file === undefined) return { paths: [exe], file: null, id: null }
      const { dev, ino } = statSync(file, { bigint: true })
      return { paths: [...new Set([exe, ...linksFrom(found), file])], file, id: `${dev}:${ino}` }
    },
    directory(asked) {
      try {
        return resolveDirectory(asked, o.home ?? homedir())
      } catch {
        return null
      }
    },
  }
}

/** The path itself and every link that it leads over. */
function linksFrom(path: string): string[] {
  const links = [resolve(path)]
  for (let at = resolve(path); links.length <= MAX_LINKS; ) {
    try {
      at = resolve(dirname(at), readlinkSync(at))
      links.push(at)
    } catch {
      return links // no link any more
    }
  }
  return links
}
