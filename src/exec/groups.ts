/**
 * Where this node may make groups of the kernel: below its own, so that it never gives more than it has. Tries the new layout, then the old one,
 * each by making a group, bounding it and running something in it.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cgroup, leavePlace } from './cgroup.ts'
import type { GroupPlace, Means } from './means.ts'

type Lack = Means['lacking'][string]

export interface Groups {
  readonly place: GroupPlace | null
  readonly lack?: Lack
}

const PROBE_MS = 15_000
/** A program that starts another one, and gives up at once where it cannot; a bash would try for 15 s. */
const FORKS = 'timeout 9 true'
const NEEDED = ['memory', 'cpu', 'pids'] as const
type Controller = (typeof NEEDED)[number]
const HOW = 'run the node as root, or as a service of systemd with Delegate=yes (and enough of it: cpu memory pids)'

export async function probeGroups(tag: string, shell: readonly string[]): Promise<Groups> {
  const faults: string[] = []
  for (const find of [newLayout, oldLayout]) {
    const found = find(`errand-${tag}`)
    if (typeof found === 'string') faults.push(found)
    else {
      const fault = await failing(found, shell)
      if (fault === undefined) return { place: found }
      leavePlace(found)
      faults.push(`${found.kind}: ${fault}`)
    }
  }
  return { place: null, lack: { why: faults.join('; ').slice(0, 400), how: HOW } }
}

/** All controllers in one tree. @returns why not. */
function newLayout(name: string): GroupPlace | string {
  const root = mountOf((kind) => kind === 'cgroup2')
  if (root === undefined) return 'cgroup v2: not mounted'
  const own = ownIn(root, '') ?? root
  try {
    const there = words(join(own, 'cgroup.controllers'))
    const missing = NEEDED.filter((one) => !there.includes(one))
    if (missing.length > 0) return `cgroup v2: it does not have ${missing.join(', ')}`
    hand(own)
    const base = join(own, name)
    return { kind: 'cgroup v2', memory: base, cpu: base, processes: base, kill: base }
  } catch (cause) {
    return `cgroup v2: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

/** Hands controllers to the groups below; a group with processes of its own cannot, so ours move into one below first. @throws */
function hand(own: string): void {
  const control = join(own, 'cgroup.subtree_control')
  const lacking = NEEDED.filter((one) => !words(control).includes(one))
  if (lacking.length === 0) return
  const change = lacking.map((one) => `+${one}`).join(' ')
  try {
    return writeFileSync(control, change)
  } catch (cause) {
    if (words(join(own, 'cgroup.procs')).some((pid) => Number(pid) !== process.pid)) throw cause // others' processes are not ours to move
  }
  const leaf = join(own, 'errand-node')
  mkdirSync(leaf, { recursive: true, mode: 0o755 })
  writeFileSync(join(leaf, 'cgroup.procs'), String(process.pid))
  writeFileSync(control, change)
}

/** A tree for each controller; what is missing is null. @returns why there is none at all. */
function oldLayout(name: string): GroupPlace | string {
  const faults: string[] = []
  const at = (controller: Controller): string | null => {
    const made = makeOld(controller, name)
    if (made.path === null) faults.push(made.why)
    return made.path
  }
  const [memory, cpu, processes] = [at('memory'), at('cpu'), at('pids')]
  if (memory === null && cpu === null && processes === null) return `cgroup v1: ${faults[0] ?? 'not mounted'}`
  return { kind: 'cgroup v1', memory, cpu, processes, kill: killPlace(name) }
}

function makeOld(controller: Controller, name: string): { readonly path: string; readonly why: '' } | { readonly path: null; readonly why: string } {
  const root = mountOf((kind, options) => kind === 'cgroup' && options.includes(controller))
  const own = root === undefined ? undefined : ownIn(root, controller)
  if (own === undefined) return { path: null, why: `${controller} is not mounted` }
  try {
    const path = join(own, name)
    mkdirSync(path, { recursive: true, mode: 0o755 })
    return { path, why: '' }
  } catch (cause) {
    return { path: null, why: cause instanceof Error ? cause.message : String(cause) }
  }
}

/** Beside the old trees there often is the new one, without controllers, and it can end a group at once. */
function killPlace(name: string): string | null {
  const root = mountOf((kind) => kind === 'cgroup2')
  if (root === undefined) return null
  const path = join(ownIn(root, '') ?? root, name)
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 })
    accessSync(join(path, 'cgroup.kill'), constants.W_OK)
    return path
  } catch {
    try {
      rmdirSync(path)
    } catch {
      // It was not made.
    }
    return null
  }
}

/** Runs something that may have one process: it can start, and it cannot start another. Reads the bounds back as well. */
async function failing(place: GroupPlace, shell: readonly string[]): Promise<string | undefined> {
  const limits = { memoryBytes: 64 << 20, cpuMillis: 500, ...(place.processes === null ? {} : { processes: 1 }) }
  const kept = { ...limits, ...(place.memory === null ? { memoryBytes: undefined } : {}), ...(place.cpu === null ? { cpuMillis: undefined } : {}) }
  const wanted = Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined))
  const name = `probe-${process.pid}`
  let group: Cgroup | undefined
  try {
    group = Cgroup.make(place, { name, limits: wanted, own: 0 })
    const enter = group.entrances().map((file) => `echo 0 >'${file}' || exit 3`)
    const ended = await exitOf(shell, [...enter, `exec ${FORKS}`].join('; '))
    if (ended === 3) return 'a process cannot enter a group'
    return ended === 0 && place.processes !== null ? 'the bound on processes does not hold' : undefined
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown)
  } finally {
    group?.kill()
    group?.remove()
  }
}

function exitOf([shell = '', ...flags]: readonly string[], script: string): Promise<number> {
  return new Promise((resolve) => {
    execFile(shell, [...flags, '-c', script], { timeout: PROBE_MS, killSignal: 'SIGKILL', cwd: '/' }, (error) =>
      resolve(error === null ? 0 : Number(error.code ?? 1)),
    )
  })
}

function mountOf(fits: (kind: string, options: readonly string[]) => boolean): string | undefined {
  for (const line of lines('/proc/self/mounts')) {
    const [, path = '', kind = '', options = ''] = line.split(' ')
    if (fits(kind, options.split(',')) && existsSync(join(path, 'cgroup.procs'))) return path
  }
  return undefined
}

/** This process's own place in a tree; '' is the new one. A container may see its own place as the root, under a path that is only the host's. */
function ownIn(root: string, controller: string): string | undefined {
  for (const line of lines('/proc/self/cgroup')) {
    const [, names = '', ...path] = line.split(':')
    if (!names.split(',').includes(controller)) continue
    const own = join(root, path.join(':'))
    return existsSync(own) ? own : root
  }
  return undefined
}

function words(file: string): string[] {
  return readFileSync(file, 'utf8').split(/\s+/).filter(Boolean)
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean)
  } catch {
    return []
  }
}
