/** A directory as a list of facts, to see what a program made of it. */
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Found {
  readonly path: string
  readonly kind: 'directory' | 'file' | 'socket' | 'other'
  /** Permission bits, in octal. */
  readonly mode: string
  /** SHA-256 of a file. */
  readonly content: string | undefined
}

/** Everything below `root`, itself first (as the empty path), sorted by path. */
export function treeOf(root: string): Found[] {
  const names = ['', ...readdirSync(root, { recursive: true }).map(String).sort()]
  return names.map((path) => {
    const stat = lstatSync(join(root, path))
    const kind = stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : stat.isSocket() ? 'socket' : 'other'
    const content =
      kind === 'file'
        ? createHash('sha256')
            .update(readFileSync(join(root, path)))
            .digest('hex')
        : undefined
    return { path, kind, mode: (stat.mode & 0o777).toString(8), content }
  })
}

/** Files and what is in them. Leaves out what opening a LevelDB writes whatever comes of it, as the one does that is a home's lock. */
export function filesOf(root: string): Record<string, string> {
  const kept = treeOf(root).filter(({ path, kind }) => kind === 'file' && !/(^|\/)((LOG|LOG\.old|LOCK)$|run\/lock\/)/.test(path))
  return Object.fromEntries(kept.map(({ path, content }) => [path, content ?? '']))
}
