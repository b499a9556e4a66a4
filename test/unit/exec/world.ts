/** Real executors for the tests of this room: the host is bundled as the build does it, every command is a real process. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Ended } from '../../../protocols/exec/messages.ts'
import type { CommandSpec } from '../../../protocols/task/messages.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createExecutor, type DeviceExecutor, type ExecutorOptions } from '../../../src/exec/executor.ts'
import { Identity } from '../../../src/identity/identity.ts'
import type { CommandOrder, OutputSink, RunningCommand } from '../../../src/tasks/ports.ts'
import { orderOf } from './orders.ts'

export { command, orderOf, sh } from './orders.ts'

export interface World {
  readonly directory: string
  readonly hostFile: string
  readonly identity: Identity
  readonly executor: TestExecutor
  close(): Promise<void>
}

export type TestExecutor = DeviceExecutor & {
  /** Orders what this device asks of itself, with a real invocation. */
  start(spec: CommandSpec, sink: OutputSink, more?: Partial<CommandOrder>): Promise<RunningCommand>
}

export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: outfile.endsWith('.cjs') ? 'cjs' : 'esm',
    target: 'node20',
    logLevel: 'error',
  })
}

export async function openWorld(options: Partial<ExecutorOptions> = {}): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'errand-exec-test-'))
  const hostFile = join(directory, 'exec-host.mjs')
  await bundle('src/exec/host-main.ts', hostFile)
  const identity = new Identity(new Uint8Array(randomBytes(32)))
  const plain = createExecutor({ clock: systemClock, device: identity.did, hostFile, runtimeDir: directory, jobsDir: join(directory, 'jobs'), ...options })
  const executor = Object.assign(plain, {
    start: (spec: CommandSpec, sink: OutputSink, more?: Partial<CommandOrder>) => plain.prepare(orderOf(identity, spec, more)).start(sink),
  })
  const close = async (): Promise<void> => {
    await executor.stopAll('lost')
    await executor[Symbol.asyncDispose]()
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }) // its host takes its socket along when it goes
  }
  return { directory, hostFile, identity, executor, close }
}

/** Keeps everything, in order, apart. */
export class Collector implements OutputSink {
  readonly chunks: { fd: 1 | 2; chunk: Uint8Array }[] = []

  output(fd: 1 | 2, chunk: Uint8Array | Uint8ArrayList): undefined {
    this.chunks.push({ fd, chunk: chunk.subarray() })
  }

  bytes(fd: 1 | 2): Buffer {
    return Buffer.concat(this.chunks.filter((each) => each.fd === fd).map((each) => each.chunk))
  }

  text(fd: 1 | 2): string {
    return this.bytes(fd).toString()
  }
}

export interface Finished extends Ended {
  readonly stdout: Buffer
  readonly stderr: Buffer
}

/** Runs to the end. `with` may feed or stop the command meanwhile. */
export async function run(
  executor: TestExecutor,
  spec: CommandSpec,
  meanwhile?: (running: RunningCommand, out: Collector) => void | Promise<void>,
): Promise<Finished> {
  const out = new Collector()
  const running = await executor.start(spec, out)
  await meanwhile?.(running, out)
  const ended = await running.ended
  return { ...ended, stdout: out.bytes(1), stderr: out.bytes(2) }
}

/** Running (not zombie) processes of a process group, by /proc. */
export function groupMembers(pgid: number): string[] {
  return processes()
    .filter(({ group, state }) => group === pgid && state !== 'Z')
    .map(({ pid }) => pid)
}

export function isRunning(pid: number): boolean {
  return processes().some((each) => each.pid === String(pid) && each.state !== 'Z')
}

/** Blocked in the kernel with nothing to do, five looks in a row. */
export async function isAsleep(pid: number): Promise<boolean> {
  for (let looks = 0; looks < 5; looks++) {
    if (processes().find((each) => each.pid === String(pid))?.state !== 'S') return false
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  return true
}

/** How many processes run this command line. */
export function processCount(words: string): number {
  return processes().filter(({ pid, state }) => state !== 'Z' && commandLine(pid) === words).length
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1).join(' ')
  } catch {
    return ''
  }
}

function processes(): { pid: string; state: string | undefined; group: number }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
        const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        return [{ pid, state, group: Number(group) }]
      } catch {
        return []
      }
    })
}

/** Resolves once the command has printed `text` on its stdout. */
export async function printed(out: Collector, text: string): Promise<void> {
  while (!out.text(1).includes(text)) await new Promise((resolve) => setImmediate(resolve))
}
