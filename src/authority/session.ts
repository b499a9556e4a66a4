/**
 * In which session a chain acts: `… → person or device → session key → device`. The two last links say so, and the session's own key signs the
 * last one; no message can. A session only ever narrows: outside of one, nothing here refuses anything. Spec: protocols/authority/README.md.
 */
import type { Did } from '../identity/identity.ts'
import { expiryOf, LAST_LINK, mandateIn, refuseChain } from './chain.ts'
import type { RevocationView } from './revocations.ts'
import { type Delegation, decodeDelegation, TokenError } from './token.ts'

/** Names the session, on the link to its key and on the link back from it. */
export const SESSION = 'errand/session'

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export interface InSession {
  readonly id: string
  /** Whose rights the session's key was given. */
  readonly by: Did
  readonly key: Did
}

export type SessionSeen = { readonly ok: true; readonly session?: InSession } | { readonly ok: false; readonly detail: string }

/** @param whole verified, root first. A mandate behind it is the device's own, and says nothing of sessions. */
export function sessionIn(whole: readonly Delegation[]): SessionSeen {
  const chain = mandateIn(whole) === undefined ? whole : whole.slice(0, -1)
  const marked = whole.filter(({ meta }) => meta?.[SESSION] !== undefined)
  if (marked.length === 0) return { ok: true }
  const [given, back] = chain.slice(-2)
  const id = back?.meta?.[SESSION]
  if (given === undefined || back === undefined || marked.length !== 2 || given.meta?.[SESSION] !== id)
    return { ok: false, detail: 'a session is named by the two last links of a chain, to its key and back from it, and by no other' }
  if (typeof id !== 'string' || !ID.test(id)) return { ok: false, detail: 'the name of a session is a UUID in lower case' }
  if (back.meta?.[LAST_LINK] !== true) return { ok: false, detail: 'what a session’s key gives to a device may not be passed on, and has to say so' }
  return { ok: true, session: { id, by: given.iss, key: given.aud } }
}

/** The session of a chain that was let in. */
export function sessionIdIn(chain: readonly Delegation[]): string | null {
  const seen = sessionIn(chain)
  return seen.ok ? (seen.session?.id ?? null) : null
}

export type PassSeen =
  | { readonly ok: true; readonly session: InSession; readonly chain: readonly Delegation[]; readonly expiresAt: number | null }
  | { readonly ok: false; readonly code: string; readonly detail: string }

/**
 * A pass: caller → session key → caller, about the caller itself and for the commands on tasks. It shows in which session a device asks about
 * tasks of its own, which needs no right of anybody else's. No bearer token: the connection has to be that of the caller.
 */
export function verifyPass(
  proofs: readonly Uint8Array[],
  on: { readonly caller: Did; readonly command: string; readonly now: number; readonly revocations: RevocationView },
): PassSeen {
  const { caller, command, now, revocations } = on
  try {
    const chain = proofs.map((bytes) => decodeDelegation(bytes))
    const refusal = refuseChain(chain, { subject: caller, invoker: caller, command, now }, 'profile')
    if (refusal !== undefined) return { ok: false, code: refusal.code, detail: refusal.detail }
    if (revocations.kills(chain) !== undefined) return { ok: false, code: 'REVOKED', detail: 'the session was closed' }
    const seen = sessionIn(chain)
    if (!seen.ok || seen.session === undefined) return { ok: false, code: 'BAD_SESSION', detail: seen.ok ? 'these links name no session' : seen.detail }
    return { ok: true, session: seen.session, chain, expiresAt: expiryOf(chain) }
  } catch (thrown) {
    if (thrown instanceof TokenError) return { ok: false, code: thrown.code, detail: thrown.message }
    throw thrown
  }
}
