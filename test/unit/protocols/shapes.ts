/** The messages and records of these protocols by name, each with its longest form; and how a value with bytes is written as JSON. */

import { ANNOUNCE, Announcement } from '../../../protocols/announce/messages.ts'
import { CALL, Answer as CallAnswer, Ask as CallAsk } from '../../../protocols/call/messages.ts'
import { HELLO, Hello, HelloRefused } from '../../../protocols/hello/messages.ts'
import { Ask, Challenge, JOIN, JoinRefused, Offer, Welcome } from '../../../protocols/join/messages.ts'
import { AddressRecord, Genesis, Membership } from '../../../protocols/member/messages.ts'
import { ORDER, Order } from '../../../protocols/member/orders.ts'
import { Ack, Pull, Push, Records, SYNC, SyncRefused } from '../../../protocols/sync/messages.ts'
import { CommandSpec, Standing, Submission, TASK, TaskEvent } from '../../../protocols/task/messages.ts'
import { DOMAIN, type Domain } from '../../../protocols/wire.ts'

/** Everything with a shape: its schema and the longest it may be. */
export const SCHEMAS = {
  Genesis: { schema: Genesis, max: 65_536 },
  Membership: { schema: Membership, max: 65_536 },
  AddressRecord: { schema: AddressRecord, max: 65_536 },
  Announcement: { schema: Announcement, max: ANNOUNCE.maxBytes },
  Offer: { schema: Offer, max: 16_384 },
  Hello: { schema: Hello, max: HELLO.maxBytes },
  HelloRefused: { schema: HelloRefused, max: HELLO.maxBytes },
  Challenge: { schema: Challenge, max: JOIN.maxAskBytes },
  Ask: { schema: Ask, max: JOIN.maxAskBytes },
  Welcome: { schema: Welcome, max: JOIN.maxWelcomeBytes },
  JoinRefused: { schema: JoinRefused, max: JOIN.maxWelcomeBytes },
  Pull: { schema: Pull, max: SYNC.maxMessageBytes },
  Push: { schema: Push, max: SYNC.maxMessageBytes },
  Records: { schema: Records, max: SYNC.maxMessageBytes },
  Ack: { schema: Ack, max: SYNC.maxMessageBytes },
  SyncRefused: { schema: SyncRefused, max: SYNC.maxMessageBytes },
  CallAsk: { schema: CallAsk, max: CALL.maxFrameBytes },
  CallAnswer: { schema: CallAnswer, max: CALL.maxFrameBytes },
  CommandSpec: { schema: CommandSpec, max: 4 << 20 },
  Submission: { schema: Submission, max: TASK.maxSubmissionBytes },
  TaskEvent: { schema: TaskEvent, max: TASK.maxEventBytes },
  Order: { schema: Order, max: ORDER.maxBodyBytes },
  Standing: { schema: Standing, max: TASK.maxEventBytes },
} as const
export type SchemaName = keyof typeof SCHEMAS
export const RECORD_SCHEMA = {
  [DOMAIN.genesis]: 'Genesis',
  [DOMAIN.membership]: 'Membership',
  [DOMAIN.offer]: 'Offer',
  [DOMAIN.address]: 'AddressRecord',
  [DOMAIN.announce]: 'Announcement',
  [DOMAIN.order]: 'Order',
} as const satisfies Partial<Record<Domain, SchemaName>>

/** A value as JSON can hold it. */
export function legible(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $hex: Buffer.from(value).toString('hex') }
  if (Array.isArray(value)) return value.map(legible)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, legible(inner)]))
}

export function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived)
  if (typeof value !== 'object' || value === null) return value
  if ('$hex' in value) return new Uint8Array(Buffer.from(String(value.$hex), 'hex'))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revived(inner)]))
}
