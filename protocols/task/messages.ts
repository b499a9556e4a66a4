/** The vocabulary of a task: its states and what a command may ask for. */
import * as v from 'valibot'
import { Count, List, Text } from '../wire.ts'

export const TASK_STATES = ['PENDING', 'PLANNING', 'RUNNING', 'WAITING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const
export type TaskState = (typeof TASK_STATES)[number]

/** A command as it is declared, bounded by policies and enforced. Every field is present; '' and 0 mean "not asked for". */
export const CommandSpec = v.strictObject({
  exe: v.pipe(v.string(), v.minLength(1), v.maxLength(4_096)),
  argv: List(Text(131_072), 1_024),
  cwd: Text(4_096),
  env: v.record(Text(256), Text(32_768)),
  user: Text(256),
  timeoutMs: Count,
  maxOutputBytes: Count,
  stdin: v.boolean(),
})
export type CommandSpec = v.InferOutput<typeof CommandSpec>
