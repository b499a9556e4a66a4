/**
 * The words of the audit log: the entry that is hashed, the head that is signed, and the frames of `/errand/audit/1`.
 * Spec: README.md beside this file. Holds no hashing and no keys.
 */
import * as v from 'valibot'
import { Bytes, Count, DidText, ExactBytes, List } from '../wire.ts'

/** Ids and caps of the pull protocol. A page worth of the largest entries between two kept heads always fits a frame. */
export const AUDIT = {
  ids: ['/errand/audit/1'],
  maxFrameBytes: (1 << 20) + (1 << 14),
  maxPageEntries: 512,
  maxPageBytes: 1 << 20,
  maxHeads: 1_024,
} as const

export const MAX_ENTRY_BYTES = 8_192
export const MAX_HEAD_BYTES = 512
export const HASH_BYTES = 32
/** What `prev` of entry 0 and `last` of an empty log say. */
export const NO_HASH = new Uint8Array(HASH_BYTES)

/** Caps of the free texts of an entry, in UTF-8 bytes; together they keep an entry below MAX_ENTRY_BYTES. */
export const ENTRY_TEXT = {
  subject: 512,
  task: 64,
  session: 128,
  grant: 128,
  signal: 16,
  why: 256,
  from: 128,
  requestedBy: 128,
  policyApplied: 384,
  name: 128,
  words: 384,
  reason: 384,
  intent: 64,
  approvedBy: 640,
  sandbox: 256,
} as const
export const MAX_COMMAND_BYTES = 4_096
export const MAX_COMMAND_WORDS = 256

const Utf8 = (max: number) => v.pipe(v.string(), v.maxBytes(max))
const Command = v.pipe(
  List(Utf8(MAX_COMMAND_BYTES), MAX_COMMAND_WORDS),
  v.check((words) => words.reduce((sum, word) => sum + Buffer.byteLength(word), 0) <= MAX_COMMAND_BYTES, `a command has at most ${MAX_COMMAND_BYTES} bytes`),
)

const detailFields = {
  exitCode: v.optional(v.pipe(v.number(), v.integer())),
  signal: v.optional(Utf8(ENTRY_TEXT.signal)),
  why: v.optional(Utf8(ENTRY_TEXT.why)),
  command: v.optional(Command),
  startTime: v.optional(Count),
  durationMs: v.optional(Count),
  from: v.optional(Utf8(ENTRY_TEXT.from)),
  requestedBy: v.optional(Utf8(ENTRY_TEXT.requestedBy)),
  policyApplied: v.optional(Utf8(ENTRY_TEXT.policyApplied)),
  name: v.optional(Utf8(ENTRY_TEXT.name)),
  words: v.optional(Utf8(ENTRY_TEXT.words)),
  reason: v.optional(Utf8(ENTRY_TEXT.reason)),
  /** Digest of what people were asked to approve, in hex; and who did. Since 0.3. */
  intent: v.optional(Utf8(ENTRY_TEXT.intent)),
  approvedBy: v.optional(Utf8(ENTRY_TEXT.approvedBy)),
  /** How a command was held: level, tools, bounds. Since 0.4. */
  sandbox: v.optional(Utf8(ENTRY_TEXT.sandbox)),
  device: v.optional(DidText),
  expiresAt: v.optional(Count),
  /** Of a forward: what came from who asked for it, what went to it, and in how many connections. Since 0.4. */
  bytesIn: v.optional(Count),
  bytesOut: v.optional(Count),
  connections: v.optional(Count),
}

const entryFields = {
  v: v.literal(1),
  n: Count,
  prev: ExactBytes(HASH_BYTES),
  time: Count,
  actor: DidText,
  action: v.pipe(v.string(), v.maxLength(64), v.regex(/^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/)),
  subject: v.nullable(Utf8(ENTRY_TEXT.subject)),
  task: v.nullable(Utf8(ENTRY_TEXT.task)),
  session: v.nullable(Utf8(ENTRY_TEXT.session)),
  grant: v.nullable(Utf8(ENTRY_TEXT.grant)),
  result: v.picklist(['allowed', 'denied', 'ok', 'failed']),
}

/** An entry as it is written: closed, so that nothing unnamed is ever recorded. */
export const WrittenEntry = v.strictObject({ ...entryFields, details: v.strictObject(detailFields) })
/** An entry as it is read: a newer writer's extra fields are kept in the hashed bytes and ignored here. */
export const Entry = v.object({ ...entryFields, details: v.object(detailFields) })
export type Entry = Omit<v.InferOutput<typeof WrittenEntry>, 'prev'> & { prev: Uint8Array }
export type EntryDetails = Entry['details']
export type AuditResult = Entry['result']

/** What a device signs after each commit group (domain `errand audit head v1`). `log` must be the signer. */
export const Head = v.object({
  v: v.literal(1),
  log: DidText,
  /** How many entries the log has; the newest is entry `n - 1`. */
  n: v.pipe(Count, v.minValue(1)),
  /** Leaf hash of the newest entry. */
  last: ExactBytes(HASH_BYTES),
  /** RFC 6962 Merkle tree hash over all `n` leaves. */
  root: ExactBytes(HASH_BYTES),
  time: Count,
})
export type Head = v.InferOutput<typeof Head>

export const Pull = v.object({ t: v.literal('pull'), log: DidText, from: Count, max: v.pipe(Count, v.minValue(1), v.maxValue(AUDIT.maxPageEntries)) })
export const AskHeads = v.object({ t: v.literal('heads') })
export const AuditRequest = v.variant('t', [Pull, AskHeads])
export type AuditRequest = v.InferOutput<typeof AuditRequest>

const PageEntries = v.pipe(
  List(Bytes(MAX_ENTRY_BYTES), AUDIT.maxPageEntries),
  v.minLength(1),
  v.check((entries) => entries.reduce((sum, bytes) => sum + bytes.length, 0) <= AUDIT.maxPageBytes, `a page has at most ${AUDIT.maxPageBytes} bytes`),
)
export const Page = v.object({ t: v.literal('page'), log: DidText, from: Count, entries: PageEntries, head: Bytes(MAX_HEAD_BYTES) })
export type Page = Omit<v.InferOutput<typeof Page>, 'entries' | 'head'> & { readonly entries: readonly Uint8Array[]; readonly head: Uint8Array }
export const Heads = v.object({ t: v.literal('heads'), heads: List(Bytes(MAX_HEAD_BYTES), AUDIT.maxHeads) })
export const NoPage = v.object({ t: v.literal('none'), log: DidText, from: Count })
export const AuditAnswer = v.variant('t', [Page, Heads, NoPage])
export type AuditAnswer = Page | { readonly t: 'heads'; readonly heads: readonly Uint8Array[] } | v.InferOutput<typeof NoPage>
