/** Real executors for the tests of this room: the host is bundled as the build does it, every command is a real process. */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Ended } from '../../../protocols/exec/messages.ts'
import type { CommandSpec } from '../../../protocols/task/messages.ts'
import { signInvocation } from '../../../src/authority/token.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createExecutor, type DeviceExecutor, type ExecutorOptions } from '../../../src/exec/executor.ts'
import { Identity } from '../../../src/identity/identity.ts'
import type { CommandOrder, OutputSink, RunningCommand } from '../../../src/tasks/ports.ts'

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

/** An order with the proof that goes with it. */
export function orderOf(identity: Identity, spec: CommandSpec, more: Partial<CommandOrder> = {}): CommandOrder {
  const task = more.task ?? randomUUID()
  const challenge = randomBytes(16)
  const { env, ...bounds } = spec
  const now = Math.floor(Date.now() / 1_000)
  const invocation = signInvocation(identity, {
    ...{ sub: identity.did, aud: identity.did, cmd: '/exec/run', prf: [], iat: now, exp: now + 60 },
    args: { ...bounds, env: Object.keys(env).sort(), tty: false, task },
    nonce: Buffer.concat([challenge, randomBytes(12)]),
  })
  const warrant = { caller: identity.did, challenge, invocation: invocation.bytes, proofs: [] }
  return { task, spec, warrant, attached: true, spool: { maxBytes: 64 << 20, policy: 'block' }, ...more }
}

export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'error' })
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
    rmSync(directory, { recursive: true, force: true })
  }
  return { directory, hostFile, identity, executor, close }
}

export function command(exe: string, argv: string[] = [], rest: Partial<CommandSpec> = {}): CommandSpec {
  return { exe, argv, cwd: '/', env: {}, user: '', timeoutMs: 0, maxOutputBytes: 0, stdin: false, ...rest }
}

export const sh = (script: string, rest: Partial<CommandSpec> = {}): CommandSpec => command('sh', ['-c', script], rest)

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
