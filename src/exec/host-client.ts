/** The daemon's handle on its exec-host process: launches it, hands it commands, and notices when it dies. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import type { CommandSpec } from '../../protocols/task/messages.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { OutputSink } from '../tasks/ports.ts'
import { type Fault, FromHost, type HostSetup, type ToHost } from './control.ts'
import { signalGroup } from './group.ts'
import { type HeldEnds, holdEnds, SparePipes } from './pipes.ts'
import { Run } from './run.ts'

export interface ExecHostOptions {
  readonly clock: Clock
  readonly file: string
  /** `exec/` in here belongs to the host. */
  readonly directory: string
  readonly setup: HostSetup
}

interface Pending {
  readonly ends: HeldEnds
  started(pid: number): Run
  failed(fault: Error): void
}

export class ExecHost {
  readonly #process: ChildProcess
  readonly #directory: string
  readonly #pipes: SparePipes
  readonly #pending = new Map<number, Pending>()
  readonly #runs = new Map<number, Run>()
  readonly #gone: Promise<void>
  #lost: ErrandError | undefined
  #next = 1

  constructor(private readonly options: ExecHostOptions) {
    this.#directory = join(options.directory, 'exec')
    rmSync(this.#directory, { recursive: true, force: true }) // whatever a daemon left that was killed
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    this.#process = spawn(process.execPath, [options.file, JSON.stringify(options.setup)], {
      detached: true, // a terminal's Ctrl-C must not reach it before the daemon decides
      env: environmentOfHost(),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#process.on('message', (message) => this.#heard(v.parse(FromHost, message)))
    this.#gone = new Promise((resolve) => {
      this.#process.once('error', (cause) => resolve(this.#lose(`it could not be started: ${cause.message}`)))
      this.#process.once('exit', (code, signal) => resolve(this.#lose(`it ended with ${signal ?? code}`)))
    })
    this.#pipes = new SparePipes(this.#directory, (paths) => this.#tell({ t: 'make-pipes', paths }))
  }

  /** True once the process is gone; what ran in it was killed and reported as lost. */
  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /** @throws ErrandError as Executor.start does. */
  async start(spec: CommandSpec, sink: OutputSink): Promise<Run> {
    const ends = holdEnds(await this.#pipes.take(spec.stdin ? 3 : 2))
    if (this.#lost !== undefined) {
      ends.close()
      throw this.#lost
    }
    const id = this.#next++
    return new Promise((resolve, reject) => {
      const started = (pid: number): Run => {
        const signal = (name: 'SIGTERM' | 'SIGKILL'): void => this.#tell({ t: 'signal', id, signal: name })
        const run = new Run({ pid, spec, ends, sink, clock: this.options.clock, signal })
        resolve(run)
        return run
      }
      this.#pending.set(id, { ends, started, failed: reject })
      this.#tell({ t: 'start', id, spec, pipes: ends.paths })
    })
  }

  /** Ends the host, and with it whatever still runs. */
  async close(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect()
    await this.#gone
    // The host's mkfifo may still be putting names into it. Only the promised form lists the directory again when it retries.
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  }

  #tell(message: ToHost): void {
    if (this.#process.connected) this.#process.send(message, () => undefined) // a failure to send is followed by 'exit', which settles all
  }

  #heard(message: FromHost): void {
    if (message.t === 'pipes-made') return message.fault === null ? this.#pipes.made(message.paths) : this.#pipes.failed(errorOf(message.fault))
    if (message.t === 'started') return this.#started(message.id, message.pid)
    if (message.t === 'failed') return this.#failed(message.id, errorOf(message.fault))
    const run = this.#runs.get(message.id)
    if (message.t === 'group-gone' || !message.groupLeft) this.#runs.delete(message.id)
    if (message.t === 'group-gone') run?.groupGone()
    else run?.exited(message.code, message.signal, message.groupLeft)
  }

  #started(id: number, pid: number): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    pending.ends.release()
    this.#runs.set(id, pending.started(pid))
  }

  #failed(id: number, fault: Error): void {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    pending?.ends.close()
    pending?.failed(fault)
  }

  #lose(how: string): void {
    if (this.#lost !== undefined) return
    const lost = new ErrandError('SPAWN_FAILED', `the exec-host of this node is gone: ${how}`, {
      hint: 'try again: the node starts a new one',
      retryable: true,
    })
    this.#lost = lost
    this.#pipes.failed(lost)
    for (const id of [...this.#pending.keys()]) this.#failed(id, lost)
    for (const [id, run] of this.#runs) {
      signalGroup(run.pid, 'SIGKILL')
      this.#runs.delete(id)
      run.hostLost()
    }
  }
}

function errorOf(fault: Fault): ErrandError {
  return new ErrandError(fault.code, fault.message, { fields: fault.fields, ...(fault.hint === undefined ? {} : { hint: fault.hint }) })
}

/** What the host needs to start and to pass on; NODE_OPTIONS and the like would slow it down or change it. */
function environmentOfHost(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(PATH|HOME|LANG|TZ|LC_[A-Z]+)$/.test(name)))
}
