/**
 * The cellar: one LevelDB for everything that is ours, with a format version, one journal, shelves and the audit logs.
 * LevelDB hides most damage (docs/decisions/0003), so readers verify what they read; only what it does report ends up here.
 */
import * as v from 'valibot'
import { BadBytes, Count, decodeAs, encode } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import { type Disk, damaged, openDisk } from './disk.ts'
import { Journal } from './journal.ts'
import { LevelLogStore } from './logs.ts'
import { type Shelf, shelfOf } from './shelf.ts'

/** Grows when a key or value is given another meaning. Older formats are migrated after a backup; there is none yet. */
export const STORE_FORMAT = 1
const FORMAT_KEY = '!format'
const Format = v.object({ format: Count })

export class Store implements AsyncDisposable {
  readonly journal: Journal
  readonly logs: LevelLogStore

  private constructor(
    private readonly disk: Disk,
    /** True when this opening made the database: with an identity that is older, the log may have to be pulled back first. */
    readonly isNew: boolean,
  ) {
    this.journal = new Journal(disk)
    this.logs = new LevelLogStore({ disk, journal: this.journal })
  }

  /**
   * Opens or creates the database in a directory.
   * @throws ALREADY_RUNNING when another process holds it; NEWER_STATE when a newer errand wrote it; DB_DAMAGED; DISK_FULL; DB_UNAVAILABLE.
   */
  static async open(path: string): Promise<Store> {
    const disk = await openDisk(path)
    try {
      return await Store.on(disk, path)
    } catch (error) {
      await disk.close()
      throw error
    }
  }

  /** The same over any disk; `path` is only for words. */
  static async on(disk: Disk, path: string): Promise<Store> {
    const stored = await disk.get(FORMAT_KEY)
    if (stored !== undefined) {
      checkFormat(stored, path)
      return new Store(disk, false)
    }
    const [first] = await disk.read({ gte: '', lt: '\u{10ffff}', limit: 1 })
    if (first !== undefined) throw damaged(path, 'it holds data but no format version')
    await disk.write([{ t: 'put', key: FORMAT_KEY, value: encode({ format: STORE_FORMAT }) }], { sync: true })
    return new Store(disk, true)
  }

  /** A room's own small table. @param name lower-case letters, digits and dashes. */
  shelf(name: string): Shelf {
    return shelfOf({ disk: this.disk, journal: this.journal }, name)
  }

  /** Operations of several shelves in one synced batch. */
  commit(ops: readonly Op[]): Promise<void> {
    return this.journal.commit(ops)
  }

  /** Waits for what is being written, then closes. */
  async close(): Promise<void> {
    await this.journal.idle()
    await this.disk.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function checkFormat(stored: Uint8Array, path: string): void {
  let format: number
  try {
    format = decodeAs(Format, stored, 64).format
  } catch (error) {
    if (error instanceof BadBytes) throw damaged(path, 'its format version cannot be read')
    throw error
  }
  if (format > STORE_FORMAT) {
    throw new ErrandError('NEWER_STATE', `the database in ${path} has format ${format}; this errand knows up to ${STORE_FORMAT}`, {
      hint: 'a newer errand wrote it: run that version again, or use another --home',
      fields: { found: format, known: STORE_FORMAT },
    })
  }
}
