/** How an error leaves by gRPC: a status of gRPC's own for programs that know no other, and our code, hint and fields in the trailing metadata. */
import type { Metadata } from '@grpc/grpc-js'
import { asErrand, type ErrandError } from '../base/errors.ts'
import { wireOf } from './door.ts'

/** gRPC's numbers (grpc.io/docs/guides/status-codes). */
export const STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const
export type Status = keyof typeof STATUS

const BY_CODE: Readonly<Record<string, Status>> = {
  CANCELLED: 'CANCELLED',
  DENIED: 'PERMISSION_DENIED',
  UNAUTHENTICATED: 'UNAUTHENTICATED',
  COMMAND_NOT_FOUND: 'NOT_FOUND',
  TASK_EXISTS: 'ALREADY_EXISTS',
  TOO_LARGE: 'RESOURCE_EXHAUSTED',
  TOO_BUSY: 'RESOURCE_EXHAUSTED',
  RATE_LIMITED: 'RESOURCE_EXHAUSTED',
  // What may have run must not look as if it could simply be tried again.
  LINK_LOST: 'ABORTED',
  UNSUPPORTED: 'UNIMPLEMENTED',
  NO_ROUTE: 'UNAVAILABLE',
  LINK_CLOSED: 'UNAVAILABLE',
  BUSY: 'UNAVAILABLE',
  DRAINING: 'UNAVAILABLE',
  STOPPING: 'UNAVAILABLE',
  INTERNAL: 'INTERNAL',
}
const BY_PREFIX: readonly (readonly [string, Status])[] = [
  ['REFUSED_', 'PERMISSION_DENIED'],
  ['FORBIDDEN_', 'PERMISSION_DENIED'],
  ['NO_SUCH_', 'NOT_FOUND'],
  ['UNKNOWN_', 'NOT_FOUND'],
  ['AMBIGUOUS_', 'INVALID_ARGUMENT'],
  ['BAD_', 'INVALID_ARGUMENT'],
]

/** What is not listed is a fact that the caller has to know: FAILED_PRECONDITION. */
export function statusOf(code: string): Status {
  return BY_CODE[code] ?? BY_PREFIX.find(([prefix]) => code.startsWith(prefix))?.[1] ?? 'FAILED_PRECONDITION'
}

export interface Failure {
  readonly code: number
  readonly details: string
  readonly metadata: Metadata
}

/** Clients take 8 KiB of headers: words are cut, and fields that have no room are left out. */
const MAX_WORDS_CHARS = 1_024
const MAX_FIELDS_BYTES = 2_048

/** @param empty made by the library, which is loaded late. */
export function failureOf(thrown: unknown, empty: Metadata): Failure {
  const error = asErrand(thrown)
  return { code: STATUS[statusOf(error.code)], details: words(error.message), metadata: trailing(error, empty) }
}

function trailing(error: ErrandError, metadata: Metadata): Metadata {
  metadata.set('errand-code', error.code)
  if (error.hint !== undefined) metadata.set('errand-hint-bin', Buffer.from(words(error.hint)))
  const { source, fields } = wireOf(error)
  const said = Buffer.from(JSON.stringify({ source, ...fields }))
  if (said.length <= MAX_FIELDS_BYTES) metadata.set('errand-fields-bin', said)
  return metadata
}

/** A cut may halve a character, and the library fails on halves. */
function words(text: string): string {
  return Buffer.from(text.slice(0, MAX_WORDS_CHARS)).toString()
}
