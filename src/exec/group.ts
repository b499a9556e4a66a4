/** Process groups as the host sees them: whether anybody is left, and how to end them for good. Linux; elsewhere without the zombie check. */
import { readdirSync, readFileSync } from 'node:fs'
import { systemClock } from '../base/clock.ts'
import { errnoOf } from './resolve.ts'

/** From SIGTERM to SIGKILL. 5 s: what init systems and container engines give at least; most programs need milliseconds. */
export const STOP_GRACE_MS = 5_000

/** False when the group has no member that still runs. Zombies do not count: nobody may ever reap them where process 1 is not an init. */
export function isGroupAlive(pgid: number): boolean {
  try {
    process.kill(-pgid, 0)
  } catch (cause) {
    return errnoOf(cause) === 'EPERM'
  }
  return hasRunningMember(pgid)
}

/** Sends a signal to all of the group; one that is already gone is no error. */
export function signalGroup(pgid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pgid, signal)
  } catch {
    // ESRCH: gone already. EPERM: only members that changed their user are left, and those are out of our reach.
  }
}

/**
 * Ends groups by the ladder and returns when they are gone. Blocks the thread: for a host whose daemon died,
 * which has nothing else to do and whose event loop would not stay alive for a timer.
 */
export function endGroupsNow(pgids: readonly number[]): void {
  for (const pgid of pgids) signalGroup(pgid, 'SIGTERM')
  const bell = new Int32Array(new SharedArrayBuffer(4))
  const deadline = systemClock.monotonic() + STOP_GRACE_MS
  while (pgids.some(isGroupAlive) && systemClock.monotonic() < deadline) Atomics.wait(bell, 0, 0, 25)
  for (const pgid of pgids) signalGroup(pgid, 'SIGKILL')
}

function hasRunningMember(pgid: number): boolean {
  let names: string[]
  try {
    names = readdirSync('/proc')
  } catch {
    return true
  }
  return names.some((name) => /^\d+$/.test(name) && isRunningMember(name, pgid))
}

function isRunningMember(pid: string, pgid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before it may hold spaces and parentheses
    return Number(group) === pgid && state !== 'Z' && state !== 'X'
  } catch {
    return false // it ended while we looked
  }
}
