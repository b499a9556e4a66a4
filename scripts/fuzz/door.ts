/** What a door is, and what it may say. */
import { decode } from '@ipld/dag-cbor'
import { ErrandError } from '../../src/base/errors.ts'

export interface Door {
  readonly name: string
  readonly seeds: readonly Uint8Array[]
  /** Says why not by throwing; returns something when it took the bytes. @throws Wrong when it took what it must not. */
  readonly feed: (bytes: Uint8Array) => unknown
}

/** A door let in what it should have refused. */
export class Wrong extends Error {}

/** What a door may throw: the errors that its callers handle. By name or code, so that a TypeError or a RangeError is found. */
export function isExpected(thrown: unknown): boolean {
  if (thrown instanceof ErrandError) return thrown.code !== 'INTERNAL'
  return thrown instanceof Error && ['TOO_LARGE', 'NOT_CBOR', 'NOT_CANONICAL', 'BAD_SHAPE', 'BadSignature'].includes(thrown.name)
}

export function attemptDecode(bytes: Uint8Array): unknown {
  try {
    return decode(bytes)
  } catch {
    return undefined
  }
}

export function jsonIn(said: string): unknown {
  try {
    return JSON.parse(said)
  } catch {
    throw new ErrandError('BAD_REQUEST', 'not JSON')
  }
}

export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
