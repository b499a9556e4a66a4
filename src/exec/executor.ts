/**
 * Runs commands on this device: the Executor that the hall asks. Launches the exec-host with the first command, keeps count of what
 * runs, finds what an earlier daemon left running. Holds no policy: what may run was decided before. Spec: docs/decisions/0019-exec-host.md.
 */
import { mkdirSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Ended } from '../../protocols/exec/messages.ts'
import { HOST, HOST_TAG, type JobView, type Judged, Order, type Started, type Ticket } from '../../protocols/host/messages.ts'
import { encode } from '../../protocols/wire.ts'
import { type Clock, pause } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { FrameLink } from '../base/frames.ts'
import { shortSocketPath } from '../base/paths.ts'
import type { CommandOrder, Executor, OutputSink, PreparedCommand, Printed, RunningCommand } from '../tasks/ports.ts'
import { clearGroups } from './cgroup.ts'
import type { HostSetup } from './control.ts'
import { FIXED_PATH } from './environment.ts'
import { HostClient } from './host-client.ts'
import { endStrays, hostsLeft } from './left.ts'
import type { Means } from './means.ts'
import { readRecord, SPOOL_DIR } from './records.ts'
import { keepTidy } from './retention.ts'
import { HostedRun, hostGone, printedOn } from './running.ts'
import { readSpool } from './spool-files.ts'
import { ptyModule } from './terminal.ts'
import { Tree } from './tree.ts'

const SAVED_MS = 1_000
const LOOK_MS = 20

export interface ExecutorOptions {
  readonly clock: Clock
  /** Whose orders the host believes: this device's DID. */
  readonly device: string
  /** The bundled exec-host program (`dist/exec-host.mjs`). */
  readonly hostFile: string
  /** A directory only this node uses, on a file system with named pipes; `exec/` in it is used. */
  readonly runtimeDir: string
  /** One directory a task: its spool, and what became of it. */
  readonly jobsDir: string
  /** Where a command runs that names no directory, and its HOME. Default: the home of the node's user. */
  readonly home?: string
  /** Absolute directories searched for bare names after the fixed PATH. */
  readonly path?: readonly string[]
  /** Of the commands. Default: this process's own. */
  readonly umask?: number
  /** What a command can be held to here; absent: to nothing, and what asks for it is refused. */
  readonly means?: Promise<Means>
  /** Names this node's groups among those of others; a host that is started before `means` is known finds out by itself. */
  readonly tag?: string
  /** Real paths that no sandbox shows: keys, sockets, jobs. */
  readonly hidden?: readonly string[]
  /** For tests: shorter waits of the host. */
  readonly waits?: HostSetup['waits']
}

export interface DeviceExecutor extends Executor, AsyncDisposable {
  /** What hosts of earlier daemons still run; what they left behind when they were killed is ended. Call once, before the first command. */
  adopt(): Promise<JobView[]>
  /** What a task left behind here: how it ended, or that its host was killed; undefined when nothing is known. */
  left(task: string): Left | undefined
  /** Commands that have not ended, those about to start included. */
  running(): number
  /** Stops everything; resolves when it has ended, 7 s later at most if the takers of the output keep up ('lost' waits for none). */
  stopAll(why: Parameters<RunningCommand['stop']>[0]): Promise<void>
}

export interface Left {
  /** null: nobody saw its end. */
  readonly ended: Ended | null
  readonly startTime: number
  readonly invocation: Uint8Array
  readonly proofs: readonly Uint8Array[]
}

/** Nothing is started yet. Dispose of it to let go of the host: what was not stopped before runs on. @throws TypeError for a relative directory in `path`. */
export function createExecutor(options: ExecutorOptions): DeviceExecutor {
  const added = options.path ?? []
  for (const directory of added) if (!directory.startsWith('/') || directory.includes(':')) throw new TypeError(`not an absolute directory: ${directory}`)
  return new HostedExecutor(options)
}

class HostedExecutor implements DeviceExecutor {
  readonly #directory: string
  #host: Promise<HostClient> | undefined
  #current: HostClient | undefined
  #adopted: HostClient[] = []
  readonly #where = new Map<string, HostClient>()
  readonly #running = new Set<RunningCommand>()
  readonly #starting = new Set<Promise<RunningCommand>>()
  #means: Means | undefined
  #isClosed = false
  #untidy = (): void => {}

  constructor(private readonly options: ExecutorOptions) {
    this.#directory = join(options.runtimeDir, 'exec')
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    mkdirSync(options.jobsDir, { recursive: true, mode: 0o700 })
    void options.means?.then((found) => {
      this.#means = found
    })
  }

  async adopt(): Promise<JobView[]> {
    const { clock, jobsDir } = this.options
    const found: JobView[] = []
    const { hosts, isWhole } = await hostsLeft(this.#directory, clock)
    for (const host of hosts) this.#take(host, found)
    const runs = (task: string): boolean => this.#where.has(task)
    if (isWhole) endStrays(jobsDir, runs)
    if (isWhole) void this.#clearGroups(runs) // nothing waits for what is found out meanwhile
    this.#untidy = keepTidy(jobsDir, { clock, runs })
    return found
  }

  prepare(order: CommandOrder): PreparedCommand {
    const link = this.#conversation(order)
    link.catch(() => undefined) // said by `start`
    return {
      start: (sink, judged = {}) => this.#track(order.task, this.#start(order, { opening: link, sink: sink ?? NOBODY, judged })),
      drop: () => {
        this.#where.delete(order.task)
        void link.then((open) => open.abort(hostGone())).catch(() => undefined)
      },
    }
  }

  async follow(task: string, from: number | null, sink: OutputSink = NOBODY): Promise<RunningCommand> {
    const host = this.#where.get(task)
    if (host === undefined) throw new ErrandError('NO_SUCH_TASK', `task ${task} does not run here`)
    const link = host.converse()
    void link.write(HOST_TAG.follow, encode({ v: host.version, task, from }))
    const run = await HostedRun.begin(link, { sink, hostLost: (started) => this.#lose(task, started) })
    if (run === undefined) throw hostGone()
    void run.ended.then(() => this.#where.delete(task))
    return run
  }

  async *printed(task: string, from: number): AsyncGenerator<Printed> {
    const host = this.#where.get(task)
    if (host === undefined) {
      await saved(this.options, task)
      return yield* readSpool(join(this.options.jobsDir, task, SPOOL_DIR), from)
    }
    const link = host.converse()
    void link.write(HOST_TAG.follow, encode({ v: host.version, task, from, now: true }))
    yield* printedOn(link, from)
  }

  async admit(ticket: Ticket): Promise<number | null> {
    return (await this.#where.get(ticket.task)?.admit(ticket)) ?? null
  }

  expel(task: string, ticket: Uint8Array): void {
    this.#where.get(task)?.expel(ticket)
  }

  left(task: string): Left | undefined {
    const record = readRecord(this.options.jobsDir, task)
    if (record === undefined) return undefined
    const { ended, startTime, invocation, proofs } = record
    return { ended, startTime, invocation: Buffer.from(invocation, 'base64'), proofs: proofs.map((proof) => Buffer.from(proof, 'base64')) }
  }

  running(): number {
    return this.#starting.size + this.#running.size
  }

  async stopAll(why: Parameters<RunningCommand['stop']>[0]): Promise<void> {
    const runs = [...this.#starting].map((starting) => starting.catch(() => undefined))
    await Promise.all(
      [...runs, ...this.#running].map(async (each) => {
        const run = await each
        run?.stop(why)
        await run?.ended
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#untidy()
    await Promise.allSettled(this.#starting)
    const busy = new Set(this.#where.values())
    const hosts = [this.#current, ...this.#adopted].filter((host) => host !== undefined)
    await Promise.all(hosts.map((host) => host.close({ isIdle: !busy.has(host) })))
  }

  /** What a host that was killed left in them is nobody's. */
  async #clearGroups(runs: (task: string) => boolean): Promise<void> {
    const group = (await this.options.means)?.group
    if (group !== null && group !== undefined) clearGroups(group, runs)
  }

  async #conversation(order: CommandOrder): Promise<FrameLink> {
    if (this.#isClosed) throw new ErrandError('SPAWN_FAILED', 'this node is stopping', { hint: 'try again when it is up', retryable: true })
    const checked = v.safeParse(Order, { v: HOST.version, ...order })
    if (!checked.success)
      throw new ErrandError('SPAWN_FAILED', `not a command: ${v.getDotPath(checked.issues[0]) ?? 'it'}: ${checked.issues[0].message}`.slice(0, 512))
    const host = this.#current !== undefined && !this.#current.isGone ? this.#current : await this.#launch()
    const link = host.converse()
    this.#where.set(order.task, host)
    void link.write(HOST_TAG.order, encode(checked.output))
    return link
  }

  async #start(order: CommandOrder, o: { opening: Promise<FrameLink>; sink: OutputSink; judged: Judged }): Promise<RunningCommand> {
    const link = await o.opening
    void link.write(HOST_TAG.go, goOf(o.judged))
    const on = { sink: o.sink, hostLost: (started: Started) => this.#lose(order.task, started) }
    // A connection kept for later may have been let go in the very moment it was used: then this host has heard nothing.
    const run = (await HostedRun.begin(link, on)) ?? (await HostedRun.begin(this.#again(order, o.judged), on))
    if (run === undefined) throw hostGone()
    return run
  }

  #again(order: CommandOrder, judged: Judged): FrameLink {
    const host = this.#where.get(order.task)
    if (host === undefined) throw hostGone()
    const link = host.converse({ fresh: true })
    void link.write(HOST_TAG.order, encode({ v: HOST.version, ...order }))
    void link.write(HOST_TAG.go, goOf(judged))
    return link
  }

  async #track(task: string, starting: Promise<RunningCommand>): Promise<RunningCommand> {
    this.#starting.add(starting)
    try {
      const run = await starting
      this.#running.add(run)
      void run.ended.then(() => {
        this.#running.delete(run)
        this.#where.delete(task)
      })
      return run
    } catch (thrown) {
      this.#where.delete(task)
      throw thrown
    } finally {
      this.#starting.delete(starting)
    }
  }

  #launch(): Promise<HostClient> {
    this.#host ??= this.#launchOne().finally(() => {
      this.#host = undefined
    })
    return this.#host
  }

  async #launchOne(): Promise<HostClient> {
    const { device, hostFile, jobsDir, home, path, umask, waits, clock, hidden } = this.options
    const plain = join(this.#directory, `${process.pid}-${Math.round(clock.monotonic())}.sock`)
    const socket = shortSocketPath(plain)
    if (socket !== plain) symlinkSync(socket, plain) // so that the next daemon finds it
    const setup = { device, socket, directory: this.#directory, jobs: jobsDir, home: home ?? homedir(), path: [...FIXED_PATH, ...(path ?? [])] }
    const pty = ptyModule()
    const { tag } = this.options
    const means = this.#means ?? (tag === undefined ? await this.options.means : undefined)
    const extra = {
      ...{ ...(socket === plain ? {} : { alias: plain }), ...(pty === undefined ? {} : { pty }), ...(waits === undefined ? {} : { waits }) },
      ...{ ...(means === undefined ? {} : { means }), ...(tag === undefined ? {} : { tag }), ...(hidden === undefined ? {} : { hidden: [...hidden] }) },
    }
    this.#current = await HostClient.launch(hostFile, { ...setup, umask: umask ?? process.umask(), ...extra }, clock)
    return this.#current
  }

  #take(host: HostClient, found: JobView[]): void {
    this.#adopted.push(host)
    for (const job of host.found.jobs) {
      this.#where.set(job.task, host)
      found.push(job)
    }
  }

  #lose(task: string, { pid, startTime }: Started): Ended {
    if (this.#current === this.#where.get(task)) this.#current = undefined // the next command gets a new one
    new Tree(pid, task).signalAll('SIGKILL')
    const endTime = Math.round(this.options.clock.now())
    return { exitCode: null, signal: null, why: 'lost', message: 'the exec-host of the device is gone', startTime, endTime, stdoutBytes: 0, stderrBytes: 0 }
  }
}

/** The host writes the last of a task down a moment after it has told the end; one that was killed never does. */
async function saved({ jobsDir, clock }: ExecutorOptions, task: string): Promise<void> {
  for (let waited = 0; waited < SAVED_MS; waited += LOOK_MS) {
    const record = readRecord(jobsDir, task)
    if (record === undefined || record.ended !== null) return
    await pause(clock, LOOK_MS)
  }
}

/** Empty where no policy asks for anything. */
function goOf(judged: Judged): Uint8Array {
  return Object.keys(judged).length === 0 ? new Uint8Array() : encode(judged)
}

const NOBODY: OutputSink = { output: () => undefined }
