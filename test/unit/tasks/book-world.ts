/** The shipped book, store and log over a disk in memory that forgets what was not synced and remembers every batch that was. */
import { AuditLog } from '../../../src/audit/log.ts'
import type { Op } from '../../../src/base/op.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { Store } from '../../../src/store/level.ts'
import { TaskBook } from '../../../src/tasks/book.ts'
import type { WatchItem } from '../../../src/tasks/changes.ts'
import type { TaskStore } from '../../../src/tasks/journal.ts'
import type { TaskId } from '../../../src/tasks/machine.ts'
import { HandClock } from '../base/hand-clock.ts'
import { MemoryDisk } from '../store/disks.ts'

export const MESH = new Uint8Array(32).fill(9)
export const identity = new Identity(new Uint8Array(32).fill(1))

export interface BookWorld {
  readonly disk: MemoryDisk
  readonly store: Store
  readonly clock: HandClock
  readonly log: AuditLog
  readonly book: TaskBook
}

/** @param wrap puts something between the book and its shelf: a planted bug. */
export async function bookOn(disk: MemoryDisk, wrap: (store: TaskStore) => TaskStore = (store) => store, clock = new HandClock()): Promise<BookWorld> {
  const store = await Store.on(disk, 'memory')
  const log = await AuditLog.open({ store: store.logs, identity, mesh: MESH, clock })
  const book = await TaskBook.open({ store: wrap(store.shelf('tasks')), clock })
  return { disk, store, clock, log, book }
}

/** Takes the writes of a change along with an audit entry. */
export const riding =
  ({ log }: Pick<BookWorld, 'log'>, action: string, task: TaskId) =>
  (ops: readonly Op[]): Promise<unknown> =>
    log.append({ actor: identity.did, action, result: 'ok', task }, ops)

/** A disk that keeps each synced batch, with what was written unsynced before it. */
export class RecordingDisk extends MemoryDisk {
  readonly batches: (readonly Op[])[] = []
  #unsynced: Op[] = []

  override async write(ops: readonly Op[], o: { readonly sync: boolean }): Promise<void> {
    this.#unsynced.push(...ops)
    if (!o.sync) return await super.write(ops, o)
    const batch = this.#unsynced.splice(0)
    await super.write(ops, o)
    this.batches.push(batch)
  }

  /** What a crash leaves after the first `count` batches. */
  after(count: number): MemoryDisk {
    const disk = new MemoryDisk()
    for (const op of this.batches.slice(0, count).flat()) disk.tamper(op.key, op.t === 'put' ? op.value : undefined)
    return disk
  }
}

/** Reads a watch on demand, so that a test can be a slow reader. */
export class Watcher {
  readonly #items: AsyncIterator<WatchItem>
  readonly #abort = new AbortController()

  constructor(book: TaskBook, cursor?: number) {
    this.#items = book.watch({ signal: this.#abort.signal, ...(cursor === undefined ? {} : { cursor }) })[Symbol.asyncIterator]()
  }

  async next(): Promise<WatchItem> {
    const { value, done } = await this.#items.next()
    if (done === true) throw new Error('the watch ended')
    return value
  }

  async read(count: number): Promise<WatchItem[]> {
    const items: WatchItem[] = []
    while (items.length < count) items.push(await this.next())
    return items
  }

  async stop(): Promise<boolean> {
    this.#abort.abort()
    return (await this.#items.next()).done === true
  }
}
