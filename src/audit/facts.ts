/**
 * From a fact to an entry and from an entry to what people read.
 * Texts are clipped, never refused: an act must not fail because its description is long.
 */
import { type AuditResult, ENTRY_TEXT, type Entry, type EntryDetails, MAX_COMMAND_BYTES, MAX_COMMAND_WORDS } from '../../protocols/audit/messages.ts'
import type { Did } from '../identity/identity.ts'

/** One thing that happened. `command` may be raw argv: it is sanitised here. Times in `details` are milliseconds since the epoch. */
export interface Fact {
  readonly actor: Did
  /** A dotted fact in the past or as an act: `exec.start`, `grant.revoke`. */
  readonly action: string
  readonly result: AuditResult
  readonly subject?: string | null
  readonly task?: string | null
  readonly session?: string | null
  readonly grant?: string | null
  readonly details?: EntryDetails
}

/** An entry as `audit --json` prints it; times are ISO 8601 UTC, `hash` is the leaf hash in hex. */
export interface AuditRecord {
  readonly device: Did
  readonly n: number
  readonly time: string
  readonly actor: string
  readonly action: string
  readonly subject: string | null
  readonly task: string | null
  readonly session: string | null
  readonly grant: string | null
  readonly result: AuditResult
  readonly exitCode: number | null
  readonly command: readonly string[] | null
  readonly startTime: string | null
  readonly durationMs: number | null
  readonly from: string | null
  readonly requestedBy: string | null
  readonly policyApplied: string | null
  readonly signal: string | null
  readonly why: string | null
  readonly name: string | null
  readonly words: string | null
  readonly reason: string | null
  readonly intent: string | null
  readonly approvedBy: string | null
  readonly sandbox: string | null
  readonly subjectDevice: string | null
  readonly expiresAt: string | null
  /** Of a forward. */
  readonly bytesIn: number | null
  readonly bytesOut: number | null
  readonly connections: number | null
  readonly hash: string
}

export function entryOf(fact: Fact, place: { readonly n: number; readonly prev: Uint8Array; readonly time: number }): Entry {
  const optional = (text: string | null | undefined, max: number): string | null => (text === null || text === undefined ? null : clip(text, max))
  return {
    v: 1,
    ...place,
    actor: fact.actor,
    action: fact.action,
    subject: optional(fact.subject, ENTRY_TEXT.subject),
    task: optional(fact.task, ENTRY_TEXT.task),
    session: optional(fact.session, ENTRY_TEXT.session),
    grant: optional(fact.grant, ENTRY_TEXT.grant),
    result: fact.result,
    details: clipDetails(fact.details ?? {}),
  }
}

export function recordOf(device: Did, entry: Entry, leaf: Uint8Array): AuditRecord {
  const { details } = entry
  const iso = (ms: number | undefined): string | null => (ms === undefined ? null : sayTime(ms))
  return {
    device,
    n: entry.n,
    time: sayTime(entry.time),
    actor: entry.actor,
    action: entry.action,
    subject: entry.subject,
    task: entry.task,
    session: entry.session,
    grant: entry.grant,
    result: entry.result,
    exitCode: details.exitCode ?? null,
    command: details.command ?? null,
    startTime: iso(details.startTime),
    durationMs: details.durationMs ?? null,
    from: details.from ?? null,
    requestedBy: details.requestedBy ?? null,
    policyApplied: details.policyApplied ?? null,
    signal: details.signal ?? null,
    why: details.why ?? null,
    name: details.name ?? null,
    words: details.words ?? null,
    reason: details.reason ?? null,
    intent: details.intent ?? null,
    approvedBy: details.approvedBy ?? null,
    sandbox: details.sandbox ?? null,
    subjectDevice: details.device ?? null,
    expiresAt: iso(details.expiresAt),
    ...carriedIn(details),
    hash: Buffer.from(leaf).toString('hex'),
  }
}

function carriedIn({ bytesIn, bytesOut, connections }: EntryDetails): Pick<AuditRecord, 'bytesIn' | 'bytesOut' | 'connections'> {
  return { bytesIn: bytesIn ?? null, bytesOut: bytesOut ?? null, connections: connections ?? null }
}

const SECRET_NAME = /(pass(word|wd|phrase)?|secret|token|api[-_]?key|credential|private[-_]?key|authorization)$/i
const HIDDEN = '[hidden]'

/**
 * Argv as it may be shown: control and direction characters replaced, values of options and variables with telling
 * names and passwords in URLs hidden, at most 4 KiB. A best effort: a secret in an unusual place is not recognised.
 */
export function displayCommand(argv: readonly string[]): string[] {
  const shown: string[] = []
  let left = MAX_COMMAND_BYTES
  let hideNext = false
  for (const raw of argv) {
    const word = hideNext ? HIDDEN : hideSecrets(raw.slice(0, 4 * MAX_COMMAND_BYTES)) // more than is shown, so that no secret is cut before it is seen
    hideNext = !hideNext && /^--?[A-Za-z]/.test(raw) && SECRET_NAME.test(raw.slice(0, 64))
    if (shown.length === MAX_COMMAND_WORDS - 1 || left <= 8) return [...shown, '…']
    const clipped = clip(word, left - 8)
    left -= Buffer.byteLength(clipped)
    shown.push(clipped)
  }
  return shown
}

function hideSecrets(word: string): string {
  const assigned = /^([^=\s]{1,64})=/.exec(word)
  if (assigned?.[1] !== undefined && SECRET_NAME.test(assigned[1])) return `${assigned[1]}=${HIDDEN}`
  // Every part but the last is bounded and the last stops at a slash: linear, whatever the argument.
  return word.replace(/(\b[a-z][a-z0-9+.-]{0,31}:\/\/[^\s/:@]{0,255}):[^\s/@]+@/gi, `$1:${HIDDEN}@`)
}

function clipDetails(details: EntryDetails): EntryDetails {
  const clipped: EntryDetails = { ...details }
  for (const key of ['signal', 'why', 'from', 'requestedBy', 'policyApplied', 'name', 'words', 'reason', 'intent', 'approvedBy', 'sandbox'] as const) {
    const text = details[key]
    if (text !== undefined) clipped[key] = clip(text, ENTRY_TEXT[key])
  }
  if (details.command !== undefined) clipped.command = displayCommand(details.command)
  return clipped
}

// C0, C1, bidirectional controls and lone surrogates: what could make a terminal or a reader see something else, or not survive UTF-8.
const UNSHOWABLE = /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu

function clip(text: string, maxBytes: number): string {
  const clean = text.slice(0, maxBytes).replace(UNSHOWABLE, '\u{fffd}')
  if (clean.length === text.length && Buffer.byteLength(clean) <= maxBytes) return clean
  let kept = ''
  let bytes = 0
  for (const letter of clean) {
    bytes += Buffer.byteLength(letter)
    if (bytes > maxBytes - 3) return `${kept}…`
    kept += letter
  }
  return clean.length === text.length ? kept : `${kept}…`
}

/** Entries of others may carry any time a number can say; a Date cannot. */
function sayTime(ms: number): string {
  return ms <= 8.64e15 ? new Date(ms).toISOString() : `+${ms}`
}
