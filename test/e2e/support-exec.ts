/** Commands whose output is bytes and not text, processes seen through /proc, and the node's own view of itself. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { Status } from '../../protocols/local/messages.ts'
import { socketPathOf } from '../../src/base/paths.ts'
import { LocalClient } from '../../src/local/client.ts'
import { PROGRAM } from '../support/program.ts'
import { until, type World } from '../support/world.ts'

export interface RanBytes {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
  readonly tookMs: number
}

/** `errand run …` as a process of its own, its streams in the test's hands. */
export function startRun(w: World, home: string, ...args: string[]): ChildProcess {
  return spawn(process.execPath, [PROGRAM, 'run', '--home', home, ...args], { env: w.env, stdio: ['pipe', 'pipe', 'pipe'] })
}

/** Runs it to its end. Without `stdin` the process's stdin ends at once. */
export async function runBytes(w: World, home: string, args: readonly string[], stdin?: Uint8Array): Promise<RanBytes> {
  const child = startRun(w, home, ...args)
  child.stdin?.on('error', () => undefined).end(stdin ?? '')
  return await ended(child)
}

export async function ended(child: ChildProcess): Promise<RanBytes> {
  const began = performance.now()
  const stdout: Buffer[] = []
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => void stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout: Buffer.concat(stdout), stderr, tookMs: performance.now() - began }))
  })
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The node of a home, asked over its socket without starting a process for it. */
export function clientOf(home: string): LocalClient {
  return new LocalClient(socketPathOf(home))
}

/** @throws unless the node says of itself that it is well. */
export async function healthy(home: string): Promise<Status> {
  const client = clientOf(home)
  try {
    const status = await client.status()
    if (!status.healthy || !status.ready) throw new Error(`not healthy: ${status.problems.join('; ')}`)
    return status
  } finally {
    client.close()
  }
}

/** Where a node can be dialled, with its PeerId. */
export async function addressOf(home: string): Promise<string> {
  const [address] = (await healthy(home)).addresses
  if (address === undefined) throw new Error(`the node of ${home} listens nowhere`)
  return address
}

export interface Seen {
  readonly pid: number
  readonly parent: number
  /** Processor time so far: it stands still when the process does. */
  readonly cpuTicks: number
  readonly command: string
}

/** Live processes whose command line holds `mark`, this one excepted. */
export function processesWith(mark: string): Seen[] {
  return processes().filter(({ pid, command }) => pid !== process.pid && command.includes(mark))
}

/** The exec-host of a daemon: its one child that runs the bundled program. */
export function execHostOf(daemon: number): number {
  const host = processes().find(({ parent, command }) => parent === daemon && command.includes('exec-host'))
  if (host === undefined) throw new Error(`process ${daemon} has no exec-host`)
  return host.pid
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(line?.[1]) * 1_024
}

/** Resolves when no live process has `mark` in its command line. */
export async function goneFromProc(mark: string, withinMs = 10_000): Promise<void> {
  await until(`no process is left of ${mark}`, () => processesWith(mark).length === 0, withinMs)
}

function processes(): Seen[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => seen(Number(name)))
}

/** A zombie counts as gone. */
function seen(pid: number): Seen[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, parent] = fields
    if (state === 'Z' || state === 'X') return []
    const cpuTicks = Number(fields[11]) + Number(fields[12])
    return [{ pid, parent: Number(parent), cpuTicks, command: readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim() }]
  } catch {
    return []
  }
}
