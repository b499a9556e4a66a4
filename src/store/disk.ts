/**
 * LevelDB behind four verbs, and its failures in words. The only file that touches `level`.
 * A second implementation that forgets what was not synced stands in the tests: kill -9 does not test a sync.
 */
import { Level } from 'level'
import { ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'

/** Keys with `gte <= key < lt`, in byte order of their UTF-8. */
export interface KeyRange {
  readonly gte: string
  readonly lt: string
  readonly reverse?: boolean
  readonly limit?: number
}

export interface Disk {
  /** All of it or nothing; with `sync` it is on the platter when the promise resolves. */
  write(ops: readonly Op[], o: { readonly sync: boolean }): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
  /** The values of these keys in their order, in one go. */
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  /** A bounded read: the caller gives a range or limit that fits memory. */
  read(range: KeyRange): Promise<readonly (readonly [key: string, value: Uint8Array])[]>
  close(): Promise<void>
}

/** Holds a few thousand appends before LevelDB moves them into a table; measured in docs/decisions/0003. */
const WRITE_BUFFER_BYTES = 16 << 20

/** @throws ALREADY_RUNNING, DB_DAMAGED, DB_UNAVAILABLE */
export async function openDisk(path: string): Promise<Disk> {
  const level = new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view', writeBufferSize: WRITE_BUFFER_BYTES })
  try {
    await level.open()
  } catch (cause) {
    await level.close().catch(() => undefined)
    throw sayFailure(path, cause)
  }
  return new LevelDisk(path, level)
}

class LevelDisk implements Disk {
  constructor(
    private readonly path: string,
    private readonly level: Level<string, Uint8Array>,
  ) {}

  write(ops: readonly Op[], { sync }: { readonly sync: boolean }): Promise<void> {
    return this.#say(async () => {
      // The chained form: three to eight times the array form, as measured.
      const batch = this.level.batch()
      for (const op of ops) {
        if (op.t === 'put') batch.put(op.key, op.value)
        else batch.del(op.key)
      }
      await batch.write({ sync })
    })
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#say<Uint8Array | undefined>(() => this.level.get(key))
  }

  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#say(() => this.level.getMany([...keys]))
  }

  read({ gte, lt, reverse = false, limit = -1 }: KeyRange): Promise<readonly (readonly [string, Uint8Array])[]> {
    return this.#say(() => this.level.iterator({ gte, lt, reverse, limit }).all())
  }

  close(): Promise<void> {
    return this.level.close()
  }

  async #say<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (cause) {
      throw sayFailure(this.path, cause)
    }
  }
}

const MOVE_AWAY = 'stop errand, move this directory away and run errand up: the log is pulled back from the other devices of the mesh'

/** What LevelDB means, and what a person can do about it. */
export function sayFailure(path: string, cause: unknown): ErrandError {
  const codes = [...chainOf(cause)]
  const words = codes.map((error) => error.message).join(': ')
  const has = (code: string): boolean => codes.some((error) => 'code' in error && error.code === code)
  if (has('LEVEL_LOCKED')) {
    return new ErrandError('ALREADY_RUNNING', `another process holds ${path}`, {
      hint: 'an errand node runs on this home already: errand status shows it, errand down stops it',
      cause,
    })
  }
  if (/no space left/i.test(words)) {
    return new ErrandError('DISK_FULL', `no space left for ${path}`, {
      hint: 'free disk space, then restart errand: nothing that was acknowledged is lost',
      cause,
    })
  }
  if (/permission denied/i.test(words)) {
    return new ErrandError('DB_UNAVAILABLE', `cannot read or write ${path}: permission denied`, {
      hint: 'the directory must belong to the user that runs errand',
      cause,
    })
  }
  if (has('LEVEL_CORRUPTION') || has('LEVEL_IO_ERROR'))
    return new ErrandError('DB_DAMAGED', `the database in ${path} is damaged: ${words}`, { hint: MOVE_AWAY, cause })
  return new ErrandError('DB_UNAVAILABLE', `the database in ${path} cannot be used: ${words}`, { cause })
}

export function damaged(path: string, what: string): ErrandError {
  return new ErrandError('DB_DAMAGED', `the database in ${path} is damaged: ${what}`, { hint: MOVE_AWAY })
}

function* chainOf(thrown: unknown): Iterable<Error> {
  for (let error = thrown; error instanceof Error; error = error.cause) yield error
}
