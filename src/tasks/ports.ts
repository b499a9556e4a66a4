/** What the workshops (executors) and the hall agree on. Interfaces only. */
import type { Ended, Why } from '../../protocols/exec/messages.ts'
import type { CommandSpec } from '../../protocols/task/messages.ts'

/** Takes output in order. A returned promise means: stop reading the child until it resolves. */
export interface OutputSink {
  output(fd: 1 | 2, chunk: Uint8Array): Promise<void> | undefined
}

export interface RunningCommand {
  readonly pid: number
  /** Milliseconds since the epoch. */
  readonly startTime: number
  /** Feeds the command's stdin; resolves when the command has taken the bytes. A command that closed its stdin takes and drops them. */
  stdin(chunk: Uint8Array): Promise<void>
  endStdin(): void
  /** Ends the process group by the ladder SIGTERM → SIGKILL (5 s later); idempotent, the first reason counts. */
  stop(why: Extract<Why, 'cancelled' | 'lost' | 'revoked' | 'timeout' | 'limit'>): void
  /** Resolves after the process is gone and its output has been handed over in full. Never rejects. */
  readonly ended: Promise<Ended>
}

export interface Executor {
  /**
   * Starts a command under exactly these bounds, without a shell.
   * @throws ErrandError COMMAND_NOT_FOUND, NOT_EXECUTABLE, BAD_CWD, BAD_ENV, BAD_USER or SPAWN_FAILED; then nothing runs.
   */
  start(spec: CommandSpec, sink: OutputSink): Promise<RunningCommand>
}
