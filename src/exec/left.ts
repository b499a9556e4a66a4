/** What earlier daemons of this node left: exec-hosts that live, sockets that nobody listens on, and processes whose host was killed. */
import { existsSync, lstatSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
import { HostClient } from './host-client.ts'
import { errnoOf } from './resolve.ts'
import { marked, Tree } from './tree.ts'

/** One that was just killed may still take connections for a moment, and drops them. */
const DYING_MS = 2_000
const LOOK_MS = 50

export interface HostsLeft {
  readonly hosts: readonly HostClient[]
  /** False: one lives and does not answer, so that nobody knows what runs there. */
  readonly isWhole: boolean
}

/** Reaches every host whose socket lies in the directory, and clears away what belongs to nobody. */
export async function hostsLeft(directory: string, clock: Clock): Promise<HostsLeft> {
  const hosts: HostClient[] = []
  let isWhole = true
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    try {
      if (name.endsWith('.sock')) hosts.push(await reach(targetOf(path), clock))
      else rmSync(path, { force: true, recursive: true })
    } catch (thrown) {
      if (isNobodyThere(thrown)) rmSync(path, { force: true })
      else isWhole = false // its commands may go on, and whoever comes later may reach it
    }
  }
  return { hosts, isWhole }
}

async function reach(socket: string, clock: Clock): Promise<HostClient> {
  for (let left = DYING_MS; ; left -= LOOK_MS) {
    try {
      return await HostClient.adopt(socket, clock)
    } catch (thrown) {
      if (left <= 0 || isNobodyThere(thrown) || asErrand(thrown).code === 'BAD_HOST') throw thrown
      await pause(clock, LOOK_MS)
    }
  }
}

/** Ends processes of commands whose host was killed, and its daemon with it: nobody reads them, and nobody else would ever end them. */
export function endStrays(jobs: string, isKnown: (task: string) => boolean): void {
  const strays = marked().filter(({ pid, task }) => pid !== process.pid && isTaskOf(jobs, task) && !isKnown(task))
  for (const { pid, task } of strays) new Tree(pid, task).signalAll('SIGKILL')
}

/** The marker comes out of an environment, and may say anything. */
function isTaskOf(jobs: string, task: string): boolean {
  return /^[A-Za-z0-9-]{1,64}$/.test(task) && existsSync(join(jobs, task))
}

/** The socket's file is there, and no process listens on it. */
function isNobodyThere(thrown: unknown): boolean {
  const cause = thrown instanceof Error ? thrown.cause : undefined
  return ['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(errnoOf(cause)) || errnoOf(thrown) === 'ENOENT'
}

/** A socket whose own path would be too long lies elsewhere. */
function targetOf(path: string): string {
  return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : path
}
