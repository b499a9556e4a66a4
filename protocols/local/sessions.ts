/** Sessions, as the local API says them: rights of their own on some devices, for a while. */
import * as v from 'valibot'
import { List, Text } from '../wire.ts'

const Duration = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3_650 * 86_400_000))

export const SessionRequest = v.strictObject({
  /** Names or DIDs of the devices that it is for. */
  on: v.pipe(v.array(Text(128)), v.minLength(1), v.maxLength(64)),
  can: v.optional(List(Text(1_024), 16)),
  role: v.optional(Text(64)),
  /** How long it lives; a day at most. Default: the setting `security.sessionFor`. */
  forMs: v.optional(Duration),
  /** How long it lives while nobody uses it. Default: the setting `security.sessionIdle`. */
  idleMs: v.optional(Duration),
  /** What its commands get where their right permits the name. In the node's memory only. */
  env: v.optional(v.pipe(v.record(Text(256), Text(32_768)), v.maxEntries(64))),
  name: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(64))),
})
export type SessionRequest = v.InferOutput<typeof SessionRequest>

const Time = v.pipe(v.string(), v.isoTimestamp())
const Names = v.array(v.string())

/** A session of this device. */
export const SessionView = v.object({
  session: v.pipe(v.string(), v.uuid()),
  name: v.nullable(v.string()),
  state: v.picklist(['OPEN', 'CLOSED', 'EXPIRED']),
  openedAt: Time,
  /** At the latest. */
  expiresAt: Time,
  /** Milliseconds without any use after which it ends. */
  idleMs: v.number(),
  lastUsedAt: Time,
  /** When it ends if nobody uses it any more; when it ended. */
  endsAt: Time,
  endedAt: v.nullable(Time),
  why: v.nullable(v.picklist(['closed', 'idle', 'expired'])),
  can: v.array(v.object({ device: v.string(), words: v.string() })),
  /** Names; the values stay in the node's memory. */
  env: Names,
  tasks: v.object({ active: v.number(), total: v.number() }),
})
export type SessionView = v.InferOutput<typeof SessionView>

/** The token is shown once: whoever has it acts in the session and does nothing else. `Authorization: Bearer …` */
export const SessionOpened = v.object({ ...SessionView.entries, token: v.string() })
export type SessionOpened = v.InferOutput<typeof SessionOpened>

/** What ended with a session, and which of its devices know. */
export const SessionClosed = v.object({
  session: v.string(),
  stopped: Names,
  acknowledged: Names,
  /** They hear of it when they come back; what runs there ends by itself then at the latest. */
  unreachable: v.array(v.object({ device: v.string(), expiresAt: Time })),
})
export type SessionClosed = v.InferOutput<typeof SessionClosed>
