/**
 * One process per home, from before its first file is made until it has stopped. The lock is the one that LevelDB takes on a directory
 * (fcntl): it dies with its process, so nothing is left to be cleaned up after a power cut, and no dependency is added for it.
 */
import { openDisk } from './disk.ts'

/** @param directory made when it is missing; nothing else may be in it. @returns what lets it go. @throws ALREADY_RUNNING, DB_UNAVAILABLE. */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const disk = await openDisk(directory)
  return () => disk.close()
}
