/** How many people a right wants asked before each use, and the digest of what they are asked about. Judges nobody's yes. */
import { createHash } from 'node:crypto'
import { APPROVAL, APPROVALS_META, type Intent } from '../../protocols/approval/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import { encode } from '../../protocols/wire.ts'
import { limitsMeta } from './limits.ts'
import { type Rate, rateMeta } from './rate.ts'
import type { AnyRecord, Delegation } from './token.ts'

/** What no number of people can satisfy: a right whose demand cannot be read. */
const UNREADABLE = Number.POSITIVE_INFINITY

/** 0: none. */
export function approvalsIn(meta: AnyRecord | undefined): number {
  const said = meta?.[APPROVALS_META]
  if (said === undefined) return 0
  return typeof said === 'number' && Number.isSafeInteger(said) && said >= 1 && said <= APPROVAL.maxApprovals ? said : UNREADABLE
}

/** Every link counts for itself, so that nobody who hands a right on can leave the question out. */
export function approvalsOf(chain: readonly Delegation[]): number {
  return chain.reduce((most, { meta }) => Math.max(most, approvalsIn(meta)), 0)
}

interface Beside {
  readonly approvals?: number | undefined
  readonly rate?: Rate | undefined
  readonly limits?: Limits | undefined
}

/** What stands beside the policy of a right when it is signed. Undefined where nothing does. */
export function rightMeta({ approvals, rate, limits }: Beside): AnyRecord | undefined {
  const meta = { ...rateMeta(rate), ...limitsMeta(limits), ...(approvals === undefined ? {} : { [APPROVALS_META]: approvals }) }
  return Object.keys(meta).length === 0 ? undefined : meta
}

/** SHA-256 over `errand intent v1`, a zero byte and the intent as DAG-CBOR. */
export function digestOf(intent: Intent): Uint8Array {
  return new Uint8Array(createHash('sha256').update(APPROVAL.intentDomain).update(Uint8Array.of(0)).update(encode(intent)).digest())
}
