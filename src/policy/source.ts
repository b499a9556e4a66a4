/**
 * Reads the file of a policy, when it is one that nobody but its owner can have written: a plain file of the node's user or of root, that
 * no other user may change, reached without a link. Anything else is as bad as a broken file.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { POLICY } from './schema.ts'

export type SourceRead =
  | { readonly t: 'none' }
  /** `mark` changes whenever the file does. */
  | { readonly t: 'text'; readonly text: string; readonly mark: string }
  | { readonly t: 'bad'; readonly why: string; readonly hint: string; readonly mark: string }

/** Whose files are believed. */
export interface Owner {
  readonly uid: number
}

/** What tells one state of a file from another; undefined where there is none. A change cannot be hidden by setting times: ctime is not settable. */
export function markOf(path: string): string | undefined {
  try {
    const seen = lstatSync(path, { bigint: true })
    return `${seen.dev}:${seen.ino}:${seen.mode}:${seen.uid}:${seen.size}:${seen.mtimeNs}:${seen.ctimeNs}`
  } catch (cause) {
    return isMissing(cause) ? undefined : 'unreadable'
  }
}

export function readSource(path: string, owner: Owner): SourceRead {
  const mark = markOf(path)
  if (mark === undefined) return { t: 'none' }
  const bad = (why: string, hint: string): SourceRead => ({ t: 'bad', why, hint, mark })
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    if (isMissing(cause)) return { t: 'none' }
    if (codeOf(cause) === 'ELOOP') return bad('it is a symbolic link', `put the file itself there: ${path}`)
    return bad(`it cannot be read (${codeOf(cause)})`, `let the user of the node read it: chmod u+r ${path}`)
  }
  try {
    const seen = fstatSync(fd)
    if (!seen.isFile()) return bad('it is not a plain file', 'put a file there')
    const foreign = foreignIn(seen, owner)
    if (foreign !== undefined) return bad(foreign, `chown it to the user of the node, and: chmod go-w ${path}`)
    if (seen.size > POLICY.maxBytes) return bad(`it is longer than ${POLICY.maxBytes / 1_024} KiB`, 'say it in fewer words')
    const text = textOf(fd)
    return text === undefined ? bad('it is not a text of at most 64 KiB in UTF-8', 'save it as UTF-8') : { t: 'text', text, mark }
  } catch (cause) {
    return bad(`it cannot be read (${codeOf(cause)})`, 'look at its file system')
  } finally {
    closeSync(fd)
  }
}

/** What is wrong with a directory that holds a policy; undefined when nothing is, or there is none. */
export function directoryFault(path: string, owner: Owner): string | undefined {
  try {
    const seen = lstatSync(path)
    if (seen.isSymbolicLink()) return 'is a symbolic link'
    return seen.isDirectory() ? foreignIn(seen, owner) : undefined
  } catch (cause) {
    return isMissing(cause) ? undefined : `cannot be read (${codeOf(cause)})`
  }
}

function foreignIn({ uid, mode }: { readonly uid: number; readonly mode: number }, owner: Owner): string | undefined {
  if (process.platform === 'win32') return undefined
  if (uid !== owner.uid && uid !== 0) return `it belongs to another user (uid ${uid})`
  return (mode & 0o022) === 0 ? undefined : 'other users of the machine can change it'
}

function textOf(fd: number): string | undefined {
  const bytes = Buffer.alloc(POLICY.maxBytes + 1)
  let length = 0
  for (let read = -1; read !== 0 && length < bytes.length; length += read) read = readSync(fd, bytes, length, bytes.length - length, null)
  if (length > POLICY.maxBytes) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length))
  } catch {
    return undefined
  }
}

function isMissing(cause: unknown): boolean {
  return codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR'
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'UNKNOWN'
}
