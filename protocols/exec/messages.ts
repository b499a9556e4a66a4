/** `/errand/exec/1`: one command on another device. Frames, caps and the words of an outcome; see README.md beside this file. */
import * as v from 'valibot'
import { About, Terminal, WindowSize } from '../task/messages.ts'
import { Bytes, Count, ExactBytes, List, Text, WireFault } from '../wire.ts'

export { EXEC, TAG } from './frames.ts'

/** dialer → executor, first frame: the signed invocation, its proofs, and the environment values whose names it declares. */
export const Open = v.object({
  invocation: Bytes(65_536),
  proofs: List(Bytes(8_192), 8),
  env: v.record(v.pipe(v.string(), v.maxLength(256)), Text(32_768)),
  /** What the executor runs it on without its asker: demanded of what is detached, but for what a device asks of itself. Since 0.3. */
  mandate: v.exactOptional(Bytes(8_192)),
  /** Only where `tty` is signed; absent then: 80 × 24 of a plain kind. Since 0.4. */
  terminal: v.exactOptional(Terminal),
  /** What comes back with the task. Absent: attached, and nothing to say. Since 0.2. */
  about: v.exactOptional(About),
})
export type Open = v.InferOutput<typeof Open>

/** executor → dialer: the start is durable in the executor's log and the process runs. */
export const Accepted = v.object({ task: Text(64), startTime: Count })
export type Accepted = v.InferOutput<typeof Accepted>

export const Refused = WireFault

/** dialer → executor: its terminal has this size from now on. Since 0.4. */
export const Resize = WindowSize

/** executor → dialer: the command goes on without its caller, and this stream is over; with a fault it does not, and nothing has changed. Since 0.5. */
export const Detached = v.object({ fault: v.exactOptional(WireFault) })
export type Detached = v.InferOutput<typeof Detached>

export const StdinCredit = v.object({ bytes: Count })
export type StdinCredit = v.InferOutput<typeof StdinCredit>

/** Why a command ended. `exit` covers its own exit and signals that others sent it. */
export const WHY = ['exit', 'timeout', 'cancelled', 'limit', 'lost', 'revoked', 'not-found', 'not-executable', 'spawn-failed'] as const
export type Why = (typeof WHY)[number]

/** executor → dialer, last frame, after every byte of output. */
export const Ended = v.object({
  exitCode: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255))),
  signal: v.nullable(Text(16)),
  why: v.picklist(WHY),
  message: v.exactOptional(Text(1_024)),
  startTime: Count,
  endTime: Count,
  stdoutBytes: Count,
  stderrBytes: Count,
  /** So many of the first bytes were dropped by the spool's policy before anybody could read them. Since 0.2. */
  droppedBytes: v.exactOptional(Count),
})
export type Ended = v.InferOutput<typeof Ended>

/** executor → dialer: the rest of the output can be had at this port of the executor, with this key, once, within seconds. Since 0.2. */
export const Bulk = v.object({ port: Count, id: ExactBytes(16), key: ExactBytes(32) })
export type Bulk = v.InferOutput<typeof Bulk>

/** An offset in the output: `bulkMoved` (all before it came on this stream), `resumeAt` (send what follows on this stream). Since 0.2. */
export const At = v.object({ offset: Count })
export type At = v.InferOutput<typeof At>

/** dialer → executor, first frame in place of `open`: the output of a task from an offset on, and how it ends. Since 0.2. */
export const Attach = v.object({
  task: Text(64),
  /** null: no output, only the end. */
  from: v.nullable(Count),
  /** False: what there is now, and no waiting for more; `ended` then comes only when the task has. */
  follow: v.boolean(),
  invocation: Bytes(65_536),
  proofs: List(Bytes(8_192), 8),
  /** In which session the caller asks: a pass (protocols/authority/README.md). Absent: outside of any. Since 0.2. */
  session: v.exactOptional(List(Bytes(8_192), 2)),
})
export type Attach = v.InferOutput<typeof Attach>

/** executor → dialer: all places are taken; so many stand before this command, and itself. Since 0.2. */
export const Queued = v.object({ task: Text(64), place: Count })
export type Queued = v.InferOutput<typeof Queued>

/** executor → dialer: it waits until enough people have approved it; said again whenever one has. Since 0.3. */
export const Waits = v.object({
  task: Text(64),
  /** In words: who may approve, and which rule asks for it. */
  message: Text(1_024),
  need: Count,
  have: Count,
  /** Milliseconds since the epoch. */
  expiresAt: Count,
})
export type Waits = v.InferOutput<typeof Waits>
