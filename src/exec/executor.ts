/**
 * Runs commands on this device: the Executor that the hall asks. Launches the exec-host with the first command, keeps count of what
 * runs, and stops all of it. Holds no policy: what may run was decided before. Spec: docs/decisions/0005-exec.md.
 */
import { homedir } from 'node:os'
import * as v from 'valibot'
import { CommandSpec } from '../../protocols/task/messages.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Executor, OutputSink, RunningCommand } from '../tasks/ports.ts'
import { FIXED_PATH } from './environment.ts'
import { ExecHost } from './host-client.ts'

export interface ExecutorOptions {
  readonly clock: Clock
  /** The bundled exec-host program (`dist/exec-host.mjs`). */
  readonly hostFile: string
  /** A directory only this node uses, on a file system with named pipes; `exec/` in it is emptied and used. */
  readonly runtimeDir: string
  /** Where a command runs that names no directory, and its HOME. Default: the home of the node's user. */
  readonly home?: string
  /** Absolute directories searched for bare names after the fixed PATH. */
  readonly path?: readonly string[]
  /** Of the commands. Default: this process's own. */
  readonly umask?: number
}

export interface DeviceExecutor extends Executor, AsyncDisposable {
  /** Commands that have not ended, those about to start included. */
  running(): number
  /** Stops everything; resolves when it has ended, 7 s later at most if the takers of the output keep up ('lost' waits for none). */
  stopAll(why: Parameters<RunningCommand['stop']>[0]): Promise<void>
}

/** Nothing is started yet. Dispose of it to end every command and the host. @throws TypeError for a relative directory in `path`. */
export function createExecutor(options: ExecutorOptions): DeviceExecutor {
  const added = options.path ?? []
  for (const directory of added) if (!directory.startsWith('/') || directory.includes(':')) throw new TypeError(`not an absolute directory: ${directory}`)
  return new HostedExecutor(options, { home: options.home ?? homedir(), path: [...FIXED_PATH, ...added], umask: options.umask ?? process.umask() })
}

class HostedExecutor implements DeviceExecutor {
  #host: ExecHost | undefined
  #isClosed = false
  readonly #starting = new Set<Promise<RunningCommand>>()
  readonly #running = new Set<RunningCommand>()

  constructor(
    private readonly options: ExecutorOptions,
    private readonly setup: { home: string; path: string[]; umask: number },
  ) {}

  async start(spec: CommandSpec, sink: OutputSink): Promise<RunningCommand> {
    if (this.#isClosed) throw new ErrandError('SPAWN_FAILED', 'this node is stopping', { hint: 'try again when it is up', retryable: true })
    const checked = v.safeParse(CommandSpec, spec) // the host trusts its daemon: what it would choke on must not reach it
    if (!checked.success)
      throw new ErrandError('SPAWN_FAILED', `not a command: ${v.getDotPath(checked.issues[0]) ?? 'it'}: ${checked.issues[0].message}`.slice(0, 512))
    const starting = this.#liveHost().start(checked.output, sink)
    this.#starting.add(starting)
    try {
      const run = await starting
      this.#running.add(run)
      void run.ended.then(() => this.#running.delete(run))
      return run
    } finally {
      this.#starting.delete(starting)
    }
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
    await this.stopAll('lost')
    await this.#host?.close()
  }

  #liveHost(): ExecHost {
    if (this.#host === undefined || this.#host.isLost) {
      this.#host = new ExecHost({ clock: this.options.clock, file: this.options.hostFile, directory: this.options.runtimeDir, setup: this.setup })
    }
    return this.#host
  }
}
