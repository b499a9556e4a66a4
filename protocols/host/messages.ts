/** The socket of the exec-host: who may run, read and stop what a device executes. See README.md beside this file. */
import * as v from 'valibot'
import { WHY } from '../exec/messages.ts'
import { Limits } from '../task/limits.ts'
import { CommandSpec, WindowSize } from '../task/messages.ts'
import { Bytes, Count, DidText, ExactBytes, List, Text, WireFault } from '../wire.ts'

export { BULK, HOST, HOST_TAG } from './frames.ts'

const Version = v.pipe(Count, v.minValue(1))
/** Every first frame has it; looked at before all else, so that a frame of a later version is refused for that. */
export const Speaks = v.object({ v: Version })
const Task = v.pipe(v.string(), v.regex(/^[A-Za-z0-9-]{1,64}$/, 'not the id of a task'))

/** What happens when nobody reads and the spool is full. */
export const SPOOL_POLICIES = ['drop-oldest', 'block', 'kill'] as const

export const SpoolBounds = v.strictObject({ maxBytes: v.pipe(Count, v.minValue(1 << 16)), policy: v.picklist(SPOOL_POLICIES) })
export type SpoolBounds = v.InferOutput<typeof SpoolBounds>

/** What the daemon was shown: the host checks it again, by itself. */
export const Warrant = v.strictObject({
  caller: DidText,
  challenge: ExactBytes(16),
  invocation: Bytes(65_536),
  proofs: List(Bytes(8_192), 8),
})
export type Warrant = v.InferOutput<typeof Warrant>

/** First frame: a command that may follow with `go`. */
export const Order = v.strictObject({
  v: Version,
  task: Task,
  spec: CommandSpec,
  /** True: somebody waits for every byte, and what nobody reads blocks the command. False: the spool's policy rules. */
  attached: v.boolean(),
  spool: SpoolBounds,
  warrant: Warrant,
})
export type Order = v.InferOutput<typeof Order>

/** With `go`: what the daemon's policies were asked about at the last moment. The host runs just this, or nothing; absent: no policy asks. */
export const Judged = v.strictObject({
  /** The real path of the program; null: there was none. */
  file: v.exactOptional(v.nullable(Text(4_096))),
  /** The real path of the working directory; null: there was none. */
  cwd: v.exactOptional(v.nullable(Text(4_096))),
  /** Ends it after so long, whatever it asked for. */
  timeoutMs: v.exactOptional(v.pipe(Count, v.minValue(1))),
  /** Holds it to these, too. */
  limits: v.exactOptional(Limits),
})
export type Judged = v.InferOutput<typeof Judged>

/** First frame: the output of a task from an offset; null: only its end. */
export const Follow = v.strictObject({
  v: Version,
  task: Task,
  from: v.nullable(Count),
  /** True: only what there is by now; `held` follows it. */
  now: v.exactOptional(v.boolean()),
})
export type Follow = v.InferOutput<typeof Follow>

/** First frame: the daemon's lifeline. A host that loses it takes no more orders and ends when its commands have. */
export const Attend = v.strictObject({ v: Version })
export type Attend = v.InferOutput<typeof Attend>

/** On the lifeline: one reader from the network may follow this task, with this key, once, soon. */
export const Ticket = v.strictObject({ task: Task, id: ExactBytes(16), key: ExactBytes(32), address: Text(64) })
export type Ticket = v.InferOutput<typeof Ticket>
/** On the lifeline: whoever came, or comes, with this ticket reads no more; a host that does not know the frame passes over it. */
export const Expel = v.strictObject({ id: ExactBytes(16) })
export const Ticketed = v.strictObject({ id: ExactBytes(16), port: v.nullable(Count) })
export type Ticketed = v.InferOutput<typeof Ticketed>

export const Stop = v.strictObject({ why: v.picklist(WHY) })
export type Stop = v.InferOutput<typeof Stop>
export const Resize = WindowSize
/** Nobody waits for an attached command any more: it goes on as a detached one does. A host that does not know the frame ends it when its caller stays away. */
export const Detach = v.strictObject({ policy: v.picklist(SPOOL_POLICIES) })
export type Detach = v.InferOutput<typeof Detach>
export const StdinCredit = v.strictObject({ bytes: Count })
export type StdinCredit = v.InferOutput<typeof StdinCredit>

export const Started = v.strictObject({ pid: Count, startTime: Count })
export type Started = v.InferOutput<typeof Started>
export const Failed = WireFault
/** The next byte of output has this offset; what lies between was dropped by the spool's policy, or skipped. */
export const At = v.strictObject({ offset: Count })
export type At = v.InferOutput<typeof At>
/** The answer to `hold`: this follower has sent everything before the offset and sends nothing more. */
export const Held = v.strictObject({ offset: Count })
export type Held = v.InferOutput<typeof Held>

export const JobView = v.strictObject({ task: Task, pid: Count, startTime: Count, attached: v.boolean() })
export type JobView = v.InferOutput<typeof JobView>
export const Attending = v.strictObject({ v: Version, pid: Count, jobs: List(JobView, 65_536) })
export type Attending = v.InferOutput<typeof Attending>
