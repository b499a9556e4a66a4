/**
 * A mandate: what lets the executor run one task by itself after whoever asked is gone. A delegation from the submitting device to the executor,
 * narrowed to the digest of one intent, which names the task and every declared argument. Spec: protocols/authority/README.md, "Mandates".
 */
import { MANDATE, MANDATE_META, TOKEN_LIMITS } from '../../protocols/authority/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { digestOf } from './approval.ts'
import { expiryOf, LAST_LINK, mandateIn } from './chain.ts'
import { SIGNED_META } from './freshness.ts'
import { type AnyRecord, type Delegation, type Invocation, signDelegation } from './token.ts'

/** What is to be done, and where. */
export interface Errand {
  readonly subject: Did
  readonly command: string
  /** As declared, whole, `task` among them. */
  readonly args: AnyRecord
}

interface Signing {
  /** What the submitter would show by itself: the mandate lives no longer. */
  readonly chain: readonly Delegation[]
  /** Seconds since the epoch. */
  readonly now: number
  readonly nonce: Uint8Array
}

export function signMandate(submitter: Identity, { subject, command, args }: Errand, { chain, now, nonce }: Signing): Delegation {
  const latest = now + MANDATE.lifeSeconds
  return signDelegation(submitter, {
    ...{ aud: subject, sub: subject, cmd: command, nonce },
    pol: [['==', '.task', args['task']]],
    exp: Math.min(expiryOf(chain) ?? latest, latest),
    meta: { [MANDATE_META]: intentOf(submitter.did, { subject, command, args }), [LAST_LINK]: true, [SIGNED_META]: now },
  })
}

/** Whether a chain leaves room for a mandate. */
export function hasRoomFor(chain: readonly unknown[]): boolean {
  return chain.length < TOKEN_LIMITS.chainLinks
}

/** A mandate lets nothing be done but what it was signed for. Undefined where it is that, and where the chain ends with none. */
export function refuseOther(chain: readonly Delegation[], asked: Errand): { readonly detail: string; readonly link: Delegation } | undefined {
  const link = mandateIn(chain)
  const digest = link?.meta?.[MANDATE_META]
  if (link === undefined || (digest instanceof Uint8Array && sameBytes(digest, intentOf(link.iss, asked)))) return undefined
  return { detail: 'the mandate was signed for another task, or for other arguments', link }
}

/** Who asked for what runs on this: the signer of the mandate where the device invoked itself on one. */
export function askerOf({ invocation, chain }: { readonly invocation: Pick<Invocation, 'iss'>; readonly chain: readonly Delegation[] }): Did {
  return mandateIn(chain)?.iss ?? invocation.iss
}

/** The grant that a chain ends with; a mandate is none, it stands for one task only. */
export function grantIn(chain: readonly Delegation[]): string | null {
  return (mandateIn(chain) === undefined ? chain.at(-1) : chain.at(-2))?.cid ?? null
}

/** The same digest that people approve. */
function intentOf(requester: Did, { subject, command, args }: Errand): Uint8Array {
  return digestOf({ v: 1, device: subject, requester, command, args })
}
