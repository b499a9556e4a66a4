/** What the workshops (executors) and the hall agree on. Interfaces only. */
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Ended, Why } from '../../protocols/exec/messages.ts'
import type { Judged, Order, SpoolBounds, Ticket } from '../../protocols/host/messages.ts'
import type { WindowSize } from '../../protocols/task/messages.ts'

/** Takes output in order. A returned promise means: stop reading the child until it resolves. */
export interface OutputSink {
  output(fd: 1 | 2, chunk: Uint8Array | Uint8ArrayList): Promise<void> | undefined
  /** The next byte has this offset; what lies before it was dropped by the spool's policy. */
  skipped?(offset: number): void
  /** A progress report of the command: one JSON object. */
  progress?(line: Uint8Array): void
}

/** A piece of output and where it stands in the whole: stdout and stderr share one order and one offset. */
export interface Printed {
  readonly fd: 1 | 2
  readonly bytes: Uint8Array
  readonly offset: number
}

export interface RunningCommand {
  readonly pid: number
  /** Milliseconds since the epoch. */
  readonly startTime: number
  /** Feeds the command's stdin; resolves when the command has taken the bytes. A command that closed its stdin takes and drops them. */
  stdin(chunk: Uint8Array): Promise<void>
  endStdin(): void
  /** Its terminal has this size now; nothing where it has none. */
  resize(size: WindowSize): void
  /** Ends every process of the command by the ladder SIGTERM → SIGKILL (5 s later); idempotent, the first reason counts. */
  stop(why: Extract<Why, 'cancelled' | 'lost' | 'revoked' | 'timeout' | 'limit'>): void
  /** Nobody waits for it any more: an attached command goes on as a detached one, and what it prints meets this policy. */
  detach(policy: SpoolBounds['policy']): void
  /** SIGSTOP and SIGCONT to every process of the command. */
  pause(): void
  resume(): void
  /** Sends no more output; resolves with the offset behind the last byte that was handed over, undefined when it is over. */
  hold(): Promise<number | undefined>
  /** Resolves after the process is gone and its output has been handed over in full. Never rejects. */
  readonly ended: Promise<Ended>
}

/** A command that needs only its start. */
export interface PreparedCommand {
  /**
   * @param sink absent for a detached command: its output goes into the spool only.
   * @param judged what was looked at when it was allowed: another program or directory is not run, and a longer time-out not kept.
   * @throws ErrandError DENIED, COMMAND_NOT_FOUND, NOT_EXECUTABLE, BAD_CWD, BAD_ENV, BAD_USER or SPAWN_FAILED; then nothing runs.
   */
  start(sink?: OutputSink, judged?: Judged): Promise<RunningCommand>
  /** For one that is not to start after all. */
  drop(): void
}

export type CommandOrder = Omit<Order, 'v'>

export interface Executor {
  /** Gets a command ready, exactly within its bounds and without a shell, while its caller still writes down that it starts. */
  prepare(order: CommandOrder): PreparedCommand
  /** Joins a command that runs: its output from an offset on (null: none), and its end. @throws NO_SUCH_TASK */
  follow(task: string, from: number | null, sink?: OutputSink): Promise<RunningCommand>
  /** What a task has printed by now, from an offset on; also long after its end. */
  printed(task: string, from: number): AsyncIterable<Printed>
  /** Lets one reader from the network follow a task at the host's own door. @returns the port, null when there is none. */
  admit(ticket: Ticket): Promise<number | null>
  /** Cuts off the reader that this ticket let in, or would: its right is gone. */
  expel(task: string, ticket: Uint8Array): void
}
