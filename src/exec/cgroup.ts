/**
 * One group of the kernel for one command: bounds what all its processes take together, tells what was refused, ends all of them at once. The same
 * in both layouts of cgroupfs; nothing here starts a process (a command enters its group itself, before it becomes what was asked).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Limits } from '../../protocols/task/limits.ts'
import { ErrandError } from '../base/errors.ts'
import type { GroupPlace } from './means.ts'
import { errnoOf } from './resolve.ts'

const PERIOD_US = 100_000
const KILL_AGAIN = 20

export class Cgroup {
  private constructor(
    private readonly place: GroupPlace,
    private readonly name: string,
    private readonly limits: Limits,
  ) {}

  /** One that may be there. */
  static of(place: GroupPlace, name: string): Cgroup {
    return new Cgroup(place, name, { memoryBytes: 0, cpuMillis: 0, processes: 0 })
  }

  /** Makes the directories, and writes the bounds. @param own processes that the tools around the command need for themselves. @throws SPAWN_FAILED; then nothing is left. */
  static make(place: GroupPlace, o: { readonly name: string; readonly limits: Limits; readonly own: number }): Cgroup {
    const group = new Cgroup(place, o.name, o.limits)
    try {
      enterPlace(place)
      for (const directory of group.#directories()) mkdirSync(directory)
      for (const { file, value, isNeeded } of group.#settings(o.own)) if (isNeeded || existsSync(file)) writeFileSync(file, value)
      return group
    } catch (cause) {
      group.remove()
      throw new ErrandError('SPAWN_FAILED', `the bounds of the command cannot be set: ${cause instanceof Error ? cause.message : String(cause)}`, {
        hint: 'errand doctor, on that device, says what it can bound',
        cause,
      })
    }
  }

  /** Whoever writes 0 to each of them is in the group. */
  entrances(): string[] {
    return this.#directories().map((directory) => join(directory, 'cgroup.procs'))
  }

  pids(): number[] {
    const [first] = this.#directories()
    return first === undefined ? [] : numbersIn(join(first, 'cgroup.procs'))
  }

  /** How often the kernel ended a process of it for want of memory. */
  memoryKills(): number {
    return this.#counted('memory', KINDS[this.place.kind].kills, 'oom_kill')
  }

  /** How often a process was refused because there were too many. */
  forksRefused(): number {
    return this.#counted('processes', 'pids.events', 'max')
  }

  /** SIGKILL to all of it, at once where the kernel can. */
  kill(): void {
    const kill = this.#at('kill')
    if (kill !== undefined) {
      try {
        return writeFileSync(join(kill, 'cgroup.kill'), '1')
      } catch {
        // An older kernel, or gone already.
      }
    }
    for (let again = 0; again < KILL_AGAIN; again++) {
      const pids = this.pids()
      if (pids.length === 0) return
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It ended while we looked.
        }
      }
    }
  }

  /** The place goes with the last group in it. @returns false while somebody is still in this one. */
  remove(): boolean {
    let isGone = true
    for (const directory of this.#directories()) {
      try {
        rmdirSync(directory)
      } catch (cause) {
        if (errnoOf(cause) !== 'ENOENT') isGone = false
      }
    }
    if (isGone) leavePlace(this.place)
    return isGone
  }

  #at(what: 'memory' | 'cpu' | 'processes' | 'kill'): string | undefined {
    const base = this.place[what]
    return base === null ? undefined : join(base, this.name)
  }

  /** The one that can end all of it first. */
  #directories(): string[] {
    const { memoryBytes, cpuMillis, processes } = this.limits
    const wanted = [
      this.#at('kill'),
      processes === undefined ? undefined : this.#at('processes'),
      memoryBytes === undefined ? undefined : this.#at('memory'),
      cpuMillis === undefined ? undefined : this.#at('cpu'),
    ]
    return [...new Set(wanted.filter((one) => one !== undefined))]
  }

  #settings(own: number): (Setting & { readonly file: string })[] {
    const { memoryBytes, cpuMillis, processes } = this.limits
    const of = KINDS[this.place.kind]
    const files = (what: 'memory' | 'cpu' | 'processes', settings: readonly Setting[]): (Setting & { readonly file: string })[] =>
      settings.map((one) => ({ ...one, file: join(this.#at(what) ?? '', one.name) }))
    return [
      ...(processes === undefined ? [] : files('processes', [needed('pids.max', processes + own)])),
      ...(memoryBytes === undefined ? [] : files('memory', of.memory(memoryBytes))),
      ...(cpuMillis === undefined ? [] : files('cpu', of.cpu(quotaUs(cpuMillis)))),
    ]
  }

  #counted(what: 'memory' | 'processes', file: string, name: string): number {
    const directory = this.#at(what)
    if (directory === undefined) return 0
    try {
      const line = readFileSync(join(directory, file), 'utf8')
        .split('\n')
        .find((one) => one.startsWith(`${name} `))
      return Number(line?.slice(name.length + 1) ?? 0)
    } catch {
      return 0
    }
  }
}

interface Setting {
  readonly name: string
  readonly value: string
  readonly isNeeded: boolean
}

const needed = (name: string, value: number | string): Setting => ({ name, value: String(value), isNeeded: true })
/** Not there where swap is not counted, or there is none. */
const wanted = (name: string, value: number): Setting => ({ name, value: String(value), isNeeded: false })

const KINDS: Readonly<Record<GroupPlace['kind'], { memory(bytes: number): Setting[]; cpu(quota: number): Setting[]; readonly kills: string }>> = {
  'cgroup v2': {
    memory: (bytes) => [needed('memory.max', bytes), wanted('memory.swap.max', 0), wanted('memory.oom.group', 1)],
    cpu: (quota) => [needed('cpu.max', `${quota} ${PERIOD_US}`)],
    kills: 'memory.events',
  },
  'cgroup v1': {
    memory: (bytes) => [needed('memory.limit_in_bytes', bytes), wanted('memory.memsw.limit_in_bytes', bytes)],
    cpu: (quota) => [needed('cpu.cfs_period_us', PERIOD_US), needed('cpu.cfs_quota_us', quota)],
    kills: 'memory.oom_control',
  },
}

function quotaUs(millis: number): number {
  return Math.max(1_000, Math.round((millis * PERIOD_US) / 1_000))
}

/** Ends and removes the groups below a place whose tasks nobody knows any more. */
export function clearGroups(place: GroupPlace, isKnown: (task: string) => boolean): void {
  const names = new Set(basesOf(place).flatMap(directoriesIn))
  for (const name of names) {
    if (isKnown(name)) continue
    const group = Cgroup.of(place, name)
    group.kill()
    group.remove()
  }
  leavePlace(place)
}

/** The place is there while something is in it. @throws what `mkdir` and `write` throw. */
export function enterPlace(place: GroupPlace): void {
  for (const base of basesOf(place)) {
    if (existsSync(base)) continue
    mkdirSync(base, { mode: 0o755 })
    if (place.kind === 'cgroup v2') writeFileSync(join(base, 'cgroup.subtree_control'), '+memory +cpu +pids')
  }
}

function basesOf({ kill, memory, cpu, processes }: GroupPlace): string[] {
  return [...new Set([kill, memory, cpu, processes])].filter((base) => base !== null)
}

/** Lets go of the place itself, when nothing is in it. */
export function leavePlace(place: GroupPlace): void {
  for (const base of basesOf(place)) {
    try {
      rmdirSync(base)
    } catch {
      // Other commands are in it: it goes with them.
    }
  }
}

function directoriesIn(base: string): string[] {
  try {
    return readdirSync(base, { withFileTypes: true })
      .filter((one) => one.isDirectory())
      .map(({ name }) => name)
  } catch {
    return []
  }
}

function numbersIn(file: string): number[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
