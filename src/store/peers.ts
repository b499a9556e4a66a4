/** libp2p's own datastore (peer store, DHT records) in a database of its own: it is a cache, never the truth, and not synced. */
import { LevelDatastore } from 'datastore-level'
import { sayFailure } from './disk.ts'

/** An opened datastore; the caller closes it after libp2p has stopped. @throws as openDisk does. */
export async function openPeerDatastore(path: string): Promise<LevelDatastore> {
  const datastore = new LevelDatastore(path)
  try {
    await datastore.open()
  } catch (cause) {
    throw sayFailure(path, cause)
  }
  return datastore
}
