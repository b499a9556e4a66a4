/** `/errand/sync/1`: members bring each other's sets of signed records up to date. See README.md beside this file. */
import * as v from 'valibot'
import { Bytes, Count, List, Text, WireFault } from '../wire.ts'

export const SYNC = {
  ids: ['/errand/sync/1'],
  maxMessageBytes: 1 << 20,
  maxRecords: 256,
  deadlineMs: 10_000,
  /** Bytes of a record's id that are enough to say "I have it": 2^-64 for a chance match. */
  idPrefixBytes: 8,
} as const

/** `delegations` holds only what concerns the asking device; the other sets are the same everywhere. */
export const SETS = ['orders', 'members', 'addresses', 'announcements', 'revocations', 'delegations'] as const
export type SetName = (typeof SETS)[number]

/** The sets of which anything is said on the line to a guest: what concerns it, and what it says of itself. */
export const GUEST_SETS: readonly SetName[] = ['orders', 'members', 'addresses', 'revocations', 'delegations']
/** The sets in which a guest has words of its own. */
export const GUEST_WORDS: readonly SetName[] = ['addresses', 'revocations', 'delegations']

/** "Send me what I lack": `have` is the concatenation of the id prefixes of the records held. */
export const Pull = v.object({ t: v.literal('pull'), set: v.picklist(SETS), have: Bytes(1 << 18) })
export const Push = v.object({ t: v.literal('push'), set: v.picklist(SETS), records: List(Bytes(65_536 + 256), SYNC.maxRecords) })
export const SyncAsk = v.variant('t', [Pull, Push])
export type SyncAsk = v.InferOutput<typeof SyncAsk>

export const Records = v.object({ t: v.literal('records'), records: List(Bytes(65_536 + 256), SYNC.maxRecords), more: v.boolean() })
/** `stopped`: tasks that a pushed revocation ended on this device. */
export const Ack = v.object({ t: v.literal('ack'), accepted: Count, stopped: List(Text(64), 1_024) })
export const SyncRefused = v.object({ t: v.literal('refused'), fault: WireFault })
export const SyncAnswer = v.variant('t', [Records, Ack, SyncRefused])
export type SyncAnswer = v.InferOutput<typeof SyncAnswer>
