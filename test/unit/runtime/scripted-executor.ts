/** An executor that does what a test says, in the place of processes. */
import type { Ended } from '../../../protocols/exec/messages.ts'
import type { Judged } from '../../../protocols/host/messages.ts'
import type { CommandSpec, WindowSize } from '../../../protocols/task/messages.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import type { CommandOrder, Executor, OutputSink, PreparedCommand, Printed, RunningCommand } from '../../../src/tasks/ports.ts'

/** A command that does what the test says. */
export class Scripted implements RunningCommand {
  readonly pid = 1
  readonly input: Uint8Array[] = []
  readonly stops: string[] = []
  readonly sizes: WindowSize[] = []
  inputEnded = false
  holds = 0
  readonly ended: Promise<Ended>
  #finish: (ended: Ended) => void = () => {}

  constructor(
    readonly spec: CommandSpec,
    readonly sink: OutputSink,
    readonly startTime: number,
  ) {
    this.ended = new Promise((resolve) => (this.#finish = resolve))
  }

  stdin(chunk: Uint8Array): Promise<void> {
    this.input.push(chunk)
    return Promise.resolve()
  }

  resize(size: WindowSize): void {
    this.sizes.push(size)
  }

  endStdin(): void {
    this.inputEnded = true
  }

  detach(policy: string): void {
    this.stops.push(`detach ${policy}`)
  }

  stop(why: 'cancelled' | 'lost' | 'revoked' | 'timeout' | 'limit'): void {
    this.stops.push(why)
    this.#finish({ ...this.#end, exitCode: null, signal: 'SIGTERM', why: why })
  }

  pause(): void {
    this.stops.push('pause')
  }

  resume(): void {
    this.stops.push('resume')
  }

  hold(): Promise<number | undefined> {
    this.holds++
    return Promise.resolve(0)
  }

  exit(exitCode: number): void {
    this.#finish({ ...this.#end, exitCode })
  }

  get #end(): Ended {
    return { exitCode: 0, signal: null, why: 'exit', startTime: this.startTime, endTime: this.startTime + 5, stdoutBytes: 0, stderrBytes: 0 }
  }
}

export class ScriptedExecutor implements Executor {
  readonly orders: CommandOrder[] = []
  readonly started: Scripted[] = []
  /** What each start was bounded by. */
  readonly judged: Judged[] = []
  refusal: ErrandError | undefined
  /** What a start waits for. */
  wait: Promise<void> = Promise.resolve()

  /** What the exec-host has of each task's output. */
  readonly kept = new Map<string, Printed[]>()
  /** Who reads what runs, besides whoever asked for it. */
  readonly followers: Scripted[] = []
  readonly #running = new Map<string, Scripted>()

  prepare(order: CommandOrder): PreparedCommand {
    const { task, spec } = order
    this.orders.push(order)
    return {
      start: (sink = { output: () => undefined }, judged = {}) => {
        this.judged.push(judged)
        return this.#start(task, spec, sink)
      },
      drop: () => undefined,
    }
  }

  follow(task: string, _from: number | null, sink: OutputSink = { output: () => undefined }): Promise<RunningCommand> {
    const command = this.#running.get(task)
    if (command === undefined) return Promise.reject(new ErrandError('NO_SUCH_TASK', `task ${task} does not run here`))
    const follower = new Scripted(command.spec, sink, command.startTime)
    this.followers.push(follower)
    void command.ended.then(({ exitCode }) => follower.exit(exitCode ?? 0))
    return Promise.resolve(follower)
  }

  async *printed(task: string, from: number): AsyncGenerator<Printed> {
    for (const one of this.kept.get(task) ?? []) if (one.offset >= from) yield one
  }

  expel(): void {}

  admit(): Promise<null> {
    return Promise.resolve(null)
  }

  async #start(task: string, spec: CommandSpec, sink: OutputSink): Promise<RunningCommand> {
    await this.wait
    if (this.refusal !== undefined) throw this.refusal
    const command = new Scripted(spec, sink, 1_800_000_000_000)
    this.started.push(command)
    this.#running.set(task, command)
    void command.ended.then(() => this.#running.delete(task))
    return command
  }
}
