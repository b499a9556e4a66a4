/** `/errand/hello/1`: both sides prove membership before anything else is served. See README.md beside this file. */
import * as v from 'valibot'
import { Bytes, Count, ExactBytes, List, Text, WireFault } from '../wire.ts'

export const HELLO = {
  ids: ['/errand/hello/1'],
  maxBytes: 96 * 1024,
  /** A connection without a finished hello or join is closed after this long. */
  deadlineMs: 10_000,
  challengeBytes: 16,
} as const

/** SHA-256 over the sorted ids of the records of each set: equal digests need no sync. */
export const Digests = v.object({
  members: ExactBytes(32),
  addresses: ExactBytes(32),
  revocations: ExactBytes(32),
  /** Absent from a device that knows no orders. Since 0.2. */
  orders: v.exactOptional(ExactBytes(32)),
})
export type Digests = v.InferOutput<typeof Digests>

export const Hello = v.object({
  t: v.literal('hello'),
  v: v.literal(1),
  /** The program's version, for people. */
  version: Text(64),
  mesh: ExactBytes(32),
  /** The sender's own membership record; its device must be the Noise peer. */
  membership: Bytes(65_536),
  /** Fresh for this connection. Invocations sent to this side must carry it. */
  challenge: ExactBytes(16),
  protocols: List(Text(64), 32),
  digests: Digests,
  time: Count,
})
export type Hello = v.InferOutput<typeof Hello>

/** `proof`: orders of owners that show why; a removed device learns from them that it is one. Since 0.2. */
export const HelloRefused = v.object({ t: v.literal('refused'), fault: WireFault, proof: v.exactOptional(List(Bytes(33_024), 2)) })
export const HelloAnswer = v.variant('t', [Hello, HelloRefused])
