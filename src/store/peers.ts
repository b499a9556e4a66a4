/** libp2p's own datastore (peer store, DHT records) in a database of its own: it is a cache, never the truth, and not synced. */
import { LevelDatastore } from 'datastore-level'
import { Level } from 'level'
import { sayFailure } from './disk.ts'

/** An opened datastore; the caller closes it after libp2p has stopped. @throws ALREADY_RUNNING, DB_DAMAGED, DISK_FULL, DB_UNAVAILABLE. */
export async function openPeerDatastore(path: string): Promise<LevelDatastore> {
  // Opened here: the datastore's own opening turns the cause of a failure into a text.
  const level = new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view' })
  try {
    await level.open({ compression: false })
  } catch (cause) {
    await level.close().catch(() => undefined)
    throw sayFailure(path, cause)
  }
  return new LevelDatastore(level)
}
