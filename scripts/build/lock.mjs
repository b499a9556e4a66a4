/**
 * One setup at a time in a checkout: a lock file that holds the owner's process id. Whoever finds it taken waits until the owner is done
 * or gone. Not for anything but setup; LevelDB has its own lock.
 */
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const LOOK_AGAIN_MS = 100
/** An install on a slow line takes minutes; after this, a lock from another machine's process (shared folder) counts as abandoned. */
const ABANDONED_MS = 15 * 60_000

/** Runs `work` while no other process holds the lock at `path`. */
export async function holdingLock(path, work) {
  while (!take(path)) {
    clearIfAbandoned(path)
    await pause(LOOK_AGAIN_MS)
  }
  const release = () => rmSync(path, { force: true })
  const releaseAndLeave = () => process.exit(130) // runs the exit handler below, which a bare signal would not
  process.once('exit', release)
  process.once('SIGINT', releaseAndLeave)
  process.once('SIGTERM', releaseAndLeave)
  try {
    return await work()
  } finally {
    release()
    process.off('exit', release)
    process.off('SIGINT', releaseAndLeave)
    process.off('SIGTERM', releaseAndLeave)
  }
}

/** A link appears with its content in one step; a file opened with `wx` would be empty for a moment. */
function take(path) {
  const mine = `${path}.${process.pid}`
  writeFileSync(mine, String(process.pid))
  try {
    linkSync(mine, path)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(mine, { force: true })
  }
}

function clearIfAbandoned(path) {
  if (!isAbandoned(path)) return
  const aside = `${path}.old.${process.pid}`
  try {
    renameSync(path, aside)
    // Between our look and the rename another process may have cleared the old lock and taken a new one: then give that back.
    if (!isAbandoned(aside)) linkSync(aside, path)
  } catch {
    // Somebody else cleared it first; the next round sees what is there.
  } finally {
    rmSync(aside, { force: true })
  }
}

function isAbandoned(path) {
  try {
    const owner = Number(readFileSync(path, 'utf8'))
    return !isAlive(owner) || Date.now() - statSync(path).mtimeMs > ABANDONED_MS
  } catch {
    return false
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
