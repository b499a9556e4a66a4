/** `/errand/forward/1`: a connection that another device makes, or takes. Frames, caps and the words of an end; see README.md beside this file. */
import * as v from 'valibot'
import { Bytes, Count, ExactBytes, List, Text, WireFault } from '../wire.ts'
import { FORWARD_WHY } from './frames.ts'

export { FORWARD, FORWARD_TAG, FORWARD_WHY } from './frames.ts'

const Port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535))
/** Names a forward that stays, between the two devices that have it. */
export const ForwardId = ExactBytes(16)

/** dialer → executor, first frame. */
export const OpenForward = v.object({
  invocation: Bytes(32_768),
  proofs: List(Bytes(8_192), 8),
  /** This very stream is the connection. */
  single: v.boolean(),
})
export type OpenForward = v.InferOutput<typeof OpenForward>

/** executor → dialer: the start is durable in the executor's log. */
export const AcceptedForward = v.object({ forward: ForwardId, startTime: Count, address: Text(64), port: Port })
export type AcceptedForward = v.InferOutput<typeof AcceptedForward>

export const RefusedForward = WireFault

/** dialer → executor, first frame of one connection of a forward. */
export const Connect = v.object({ forward: ForwardId })
export type Connect = v.InferOutput<typeof Connect>

/** executor → dialer, first frame of a stream that the executor opens: somebody has connected where it listens. */
export const Incoming = v.object({ forward: ForwardId, address: Text(64), port: Port })
export type Incoming = v.InferOutput<typeof Incoming>

/** Last frame of a connection, and of a forward that stays. */
export const EndedForward = v.object({
  why: v.picklist(FORWARD_WHY),
  message: v.exactOptional(Text(1_024)),
  bytesIn: Count,
  bytesOut: Count,
  connections: Count,
})
export type EndedForward = v.InferOutput<typeof EndedForward>
