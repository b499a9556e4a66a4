/** What came of one command of a fan-out: of how it ended, or of the error that kept it from running, one word and an exit code. Pure. */
import type { FanEnd, FanResult } from '../../protocols/local/fans.ts'
import type { ExecOutcome } from '../../protocols/local/messages.ts'
import { EXIT, exitCodeOfError, exitCodeOfOutcome, isDenial } from '../base/exitcodes.ts'
import { isOver, type Task } from '../tasks/machine.ts'

/** Of one child, without who it was. */
export type ChildEnd = Omit<FanEnd, 'index' | 'task' | 'device'>

const NOTHING = { signal: null, message: null, hint: null, durationMs: null, stdoutBytes: 0, stderrBytes: 0 }
export const NOT_STARTED: ChildEnd = { ...NOTHING, result: 'not-started', exitCode: null }

/** Nothing ran there, because nobody came through to it. */
const AWAY: readonly string[] = ['NO_ROUTE', 'LINK_CLOSED', 'NOT_ADMITTED', 'REMOVED', 'GUEST_ENDED']

const BY_WHY: Readonly<Record<string, FanResult>> = { cancelled: 'cancelled', lost: 'lost', revoked: 'denied' }

type Ended = Pick<ExecOutcome, 'why' | 'exitCode' | 'signal' | 'durationMs' | 'stdoutBytes' | 'stderrBytes'> & { readonly message?: string }

export function endOfOutcome(outcome: Ended): ChildEnd {
  const { why, signal, durationMs, stdoutBytes, stderrBytes, message } = outcome
  const exitCode = exitCodeOfOutcome(outcome)
  const result = BY_WHY[why] ?? (exitCode === 0 ? 'ok' : 'failed')
  const words = message ?? (why === 'exit' || why === 'cancelled' ? null : why)
  return { result, exitCode, signal, message: words, hint: null, durationMs, stdoutBytes, stderrBytes }
}

interface Fault {
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
}

export function endOfError({ code, message, hint }: Fault): ChildEnd {
  return { ...NOTHING, result: resultOf(code), exitCode: exitCodeOfError(code), message, hint: hint ?? null }
}

function resultOf(code: string): FanResult {
  if (isDenial(code)) return 'denied'
  if (AWAY.includes(code)) return 'unreachable'
  if (code === 'LINK_LOST') return 'lost'
  return code === 'CANCELLED' ? 'cancelled' : 'failed'
}

const RESULT_OF_WHY: Readonly<Record<string, FanResult>> = { ...BY_WHY, refused: 'denied', unreachable: 'unreachable' }

/** Of a task in the book; undefined while it goes on. */
export function endOfTask(task: Task): ChildEnd | undefined {
  if (!isOver(task.state)) return undefined
  const { why, exitCode, signal, startedAt, endedAt, stdoutBytes, stderrBytes, message } = task
  const result = RESULT_OF_WHY[why] ?? (task.state === 'COMPLETED' ? 'ok' : 'failed')
  const durationMs = startedAt === null || endedAt === null ? null : endedAt - startedAt
  return { result, exitCode: codeOf(task, { why, exitCode, signal }), signal, message, hint: null, durationMs, stdoutBytes, stderrBytes }
}

function codeOf({ code }: Task, outcome: Parameters<typeof exitCodeOfOutcome>[0]): number {
  if (code !== null) return exitCodeOfError(code)
  return outcome.why === 'refused' ? EXIT.denied : exitCodeOfOutcome(outcome)
}
