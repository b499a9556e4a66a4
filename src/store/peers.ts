/**
 * libp2p's own datastore (peer store, DHT records) in a database of its own: it is a cache, never the truth, and not synced.
 * libp2p reads and writes a peer's record for every stream it opens (measured: 2 ms of CPU a command); what was written lately
 * is therefore kept in memory and goes to disk a little later, and when the datastore is closed.
 */
import { rmSync } from 'node:fs'
import { LevelDatastore } from 'datastore-level'
import { Level } from 'level'
import { type Clock, systemClock } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
import { sayFailure } from './disk.ts'

type Key = Parameters<LevelDatastore['put']>[0]

const FLUSH_AFTER_MS = 5_000
const MAX_CACHED = 2_048

/** An opened datastore; the caller closes it after libp2p has stopped. A damaged one is made anew. @throws ALREADY_RUNNING, DISK_FULL, DB_UNAVAILABLE. */
export async function openPeerDatastore(path: string, clock: Clock = systemClock): Promise<LevelDatastore> {
  try {
    return new LazyDatastore(await openLevel(path), clock)
  } catch (thrown) {
    if (asErrand(thrown).code !== 'DB_DAMAGED') throw thrown
    rmSync(path, { recursive: true, force: true })
    return new LazyDatastore(await openLevel(path), clock)
  }
}

async function openLevel(path: string): Promise<Level<string, Uint8Array>> {
  // Opened here: the datastore's own opening turns the cause of a failure into a text.
  const level = new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view' })
  try {
    await level.open({ compression: false })
  } catch (cause) {
    await level.close().catch(() => undefined)
    throw sayFailure(path, cause)
  }
  return level
}

class LazyDatastore extends LevelDatastore {
  readonly #cached = new Map<string, { readonly key: Key; readonly value: Uint8Array }>()
  readonly #unwritten = new Set<string>()
  #cancel: (() => void) | undefined

  constructor(
    level: Level<string, Uint8Array>,
    private readonly clock: Clock,
  ) {
    super(level)
  }

  override async put(key: Key, value: Uint8Array): Promise<Key> {
    const name = key.toString()
    if (this.#cached.size >= MAX_CACHED && !this.#cached.has(name)) await this.#flush()
    this.#cached.set(name, { key, value })
    this.#unwritten.add(name)
    this.#cancel ??= this.clock.after(FLUSH_AFTER_MS, () => void this.#flush().catch(() => undefined)) // it will be tried again with the next put
    return key
  }

  override async get(key: Key): Promise<Uint8Array> {
    return this.#cached.get(key.toString())?.value ?? (await super.get(key))
  }

  override async has(key: Key): Promise<boolean> {
    return this.#cached.has(key.toString()) || (await super.has(key))
  }

  override async delete(key: Key): Promise<void> {
    this.#cached.delete(key.toString())
    this.#unwritten.delete(key.toString())
    await super.delete(key)
  }

  override async *query(...given: Parameters<LevelDatastore['query']>): ReturnType<LevelDatastore['query']> {
    await this.#flush()
    yield* super.query(...given)
  }

  override async *queryKeys(...given: Parameters<LevelDatastore['queryKeys']>): ReturnType<LevelDatastore['queryKeys']> {
    await this.#flush()
    yield* super.queryKeys(...given)
  }

  override async close(): Promise<void> {
    await this.#flush().catch(() => undefined) // a cache: better to lose it than not to stop
    await super.close()
  }

  async #flush(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    const due = [...this.#unwritten].flatMap((name) => this.#cached.get(name) ?? [])
    this.#unwritten.clear()
    if (this.#cached.size >= MAX_CACHED) this.#cached.clear()
    for (const { key, value } of due) await super.put(key, value)
  }
}
