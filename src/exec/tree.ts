/**
 * Every process that a command started, also those that left its group with `setsid`: found by the group, by the marker that all
 * of them inherit in their environment, and by descent. Reads /proc; where there is none, only the group is known.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { errnoOf } from './resolve.ts'

/** In the environment of every command; its value is the task. */
export const MARKER = 'ERRAND_TASK'

interface Process {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly birth: string | undefined
  readonly isMarked: boolean
}

export class Tree {
  readonly #marker: string
  /** Seen before, by pid and birth: who loses parent, group and environment is still ours. */
  readonly #known = new Map<number, string | undefined>()

  /** @param pid of the command itself, which leads its group. */
  constructor(
    readonly pid: number,
    task: string,
  ) {
    this.#marker = `${MARKER}=${task}`
  }

  /** Sends a signal to the group: cheap, and enough for nearly every command. One that is gone is no error. */
  signalGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal)
    } catch {
      // ESRCH: gone already. EPERM: only members that changed their user are left, and those are out of our reach.
    }
  }

  /** Sends it to the group and to whoever left it. */
  signalAll(signal: NodeJS.Signals): void {
    const all = this.#running() // before the first signal: an orphan has no parent to be found by
    this.signalGroup(signal)
    for (const { pid, group } of all) {
      if (group === this.pid) continue
      try {
        process.kill(pid, signal)
      } catch {
        // It ended while we looked, or is not ours to signal.
      }
    }
  }

  /** False when nobody of the group still runs. Zombies do not count: nobody may ever reap them where process 1 is not an init. */
  isGroupAlive(): boolean {
    try {
      process.kill(-this.pid, 0)
    } catch (cause) {
      return errnoOf(cause) === 'EPERM'
    }
    return processes(this.#marker)?.some(({ group }) => group === this.pid) ?? true
  }

  isAlive(): boolean {
    return this.isGroupAlive() || this.#running().length > 0
  }

  #running(): readonly Process[] {
    const all = processes(this.#marker) ?? []
    const isKnown = ({ pid, birth }: Process): boolean => this.#known.get(pid) === birth && this.#known.has(pid)
    const found = new Set(all.filter((one) => one.group === this.pid || one.isMarked || isKnown(one)).map(({ pid }) => pid))
    for (let size = 0; size < found.size; ) {
      size = found.size
      for (const { pid, parent } of all) if (found.has(parent)) found.add(pid)
    }
    const ours = all.filter(({ pid }) => found.has(pid))
    for (const { pid, birth } of ours) this.#known.set(pid, birth)
    return ours
  }
}

/** When a process began, in the kernel's ticks since the boot: with the pid and the boot it names one process for ever. null where there is no /proc. */
export function birthOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

export function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return null
  }
}

/** The tasks whose marker some running process carries, and that process. */
export function marked(): { pid: number; task: string }[] {
  return pids().flatMap((name) => {
    const task = environment(name).find((entry) => entry.startsWith(`${MARKER}=`))
    return task === undefined ? [] : [{ pid: Number(name), task: task.slice(MARKER.length + 1) }]
  })
}

function processes(marker: string): Process[] | undefined {
  const names = pids()
  return names.length === 0 ? undefined : names.flatMap((name) => look(name, marker))
}

function pids(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
}

function look(name: string, marker: string): Process[] {
  try {
    const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before it may hold spaces and parentheses
    const [state, parent, group] = fields
    if (state === 'Z' || state === 'X') return []
    return [{ pid: Number(name), parent: Number(parent), group: Number(group), birth: fields[19], isMarked: environment(name).includes(marker) }]
  } catch {
    return [] // it ended while we looked
  }
}

function environment(name: string): string[] {
  try {
    return readFileSync(`/proc/${name}/environ`, 'latin1').split('\0')
  } catch {
    return [] // another user's, or gone
  }
}
