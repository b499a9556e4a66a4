/** Forwards over the local API: what a client asks its own node for. On the exec face and the WebSocket face, in place of a request. */
import * as v from 'valibot'
import { Text } from '../wire.ts'

const Port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535))

/** A way through a device. Answered by `accepted`; then, if it is a single one, this very conversation carries its bytes. */
export const ForwardRequest = v.strictObject({
  device: Text(128),
  /** Connected to by the device; with `listen` what it listens on. */
  host: v.pipe(Text(256), v.minLength(1)),
  port: Port,
  listen: v.optional(v.boolean()),
  single: v.optional(v.boolean()),
})
export type ForwardRequest = v.InferOutput<typeof ForwardRequest>

/** One connection of a forward that stays: a new one by its `forward`, or one that came in by its `connection`. */
export const CarryRequest = v.union([v.strictObject({ forward: Text(64) }), v.strictObject({ connection: Text(64) })])
export type CarryRequest = v.InferOutput<typeof CarryRequest>
