/** One command on many devices, as the local API says it: which devices, how many at a time, and what came of each. See README.md. */
import * as v from 'valibot'
import { FAN } from './fan-caps.ts'
import { ExecRequest, WhyRequest } from './messages.ts'

export { FAN, FAN_TAG, type FanResult } from './fan-caps.ts'

/** Which devices: those that an expression fits, or every one. */
const Which = {
  /** `os=linux & gpu>=1`; absent: every device. */
  on: v.optional(v.pipe(v.string(), v.maxLength(FAN.maxExpressionChars))),
  /** All of them, also those that are away. */
  all: v.optional(v.boolean()),
  /** So many of them: the least busy that are online. Without `all` and `count`: one. */
  count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(FAN.maxDevices))),
}

const { device: _device, ...ofWhy } = WhyRequest.entries
/** What would be run decides which devices may be chosen. */
export const ChooseRequest = v.strictObject({ ...Which, ...ofWhy, command: ExecRequest.entries.command })
export type ChooseRequest = v.InferOutput<typeof ChooseRequest>

const { device: __device, id: _id, stdin: _stdin, tty: _tty, terminal: _terminal, parent: _parent, ...ofExec } = ExecRequest.entries
export const FanRequest = v.strictObject({
  ...Which,
  ...ofExec,
  /** How many run at a time. */
  maxParallel: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(FAN.maxDevices))),
  /** The first that does not end well ends those that run, and the rest is not started. */
  failFast: v.optional(v.boolean()),
})
export type FanRequest = v.InferOutput<typeof FanRequest>

const LeftOut = v.object({ device: v.string(), did: v.string(), code: v.string(), detail: v.string() })
export type LeftOut = v.InferOutput<typeof LeftOut>

export const ChosenView = v.object({
  devices: v.array(v.object({ device: v.string(), did: v.string(), online: v.boolean() })),
  /** They fit, and this device may not run that there. */
  leftOut: v.array(LeftOut),
})
export type ChosenView = v.InferOutput<typeof ChosenView>

export const FanView = v.object({
  parent: v.pipe(v.string(), v.uuid()),
  /** Their ids, in the order of `children`. */
  tasks: v.array(v.string()),
  children: v.array(v.object({ task: v.string(), device: v.string(), did: v.string() })),
  leftOut: v.array(LeftOut),
})
export type FanView = v.InferOutput<typeof FanView>

/** How one of the commands ended, or why it did not begin. */
export const FanEnd = v.object({
  index: v.number(),
  task: v.string(),
  device: v.string(),
  result: v.picklist(FAN.results),
  /** What `errand run` would exit with; null for what never began. */
  exitCode: v.nullable(v.number()),
  signal: v.nullable(v.string()),
  /** What there is to say besides. */
  message: v.nullable(v.string()),
  hint: v.nullable(v.string()),
  durationMs: v.nullable(v.number()),
  stdoutBytes: v.number(),
  stderrBytes: v.number(),
})
export type FanEnd = v.InferOutput<typeof FanEnd>

export const FanOutcome = v.object({
  parent: v.string(),
  /** 0 only if all are, else the highest of theirs. */
  exitCode: v.number(),
  /** Why not all were run to their end; null where they were. */
  stopped: v.nullable(v.picklist(['fail-fast', 'cancelled'])),
  counts: v.record(v.picklist(FAN.results), v.number()),
})
export type FanOutcome = v.InferOutput<typeof FanOutcome>

/** How a fan-out stands: `state` is a task's; `result` is null while it is not settled. */
export const FanStand = v.object({
  parent: v.string(),
  children: v.array(
    v.object({
      task: v.string(),
      device: v.string(),
      state: v.nullable(v.string()),
      result: v.nullable(v.picklist(FAN.results)),
      exitCode: v.nullable(v.number()),
    }),
  ),
})
export type FanStand = v.InferOutput<typeof FanStand>
