/** Whether a chain says in which session it acts in the one form that proves it. That the session lives is in the chain itself: expiry, revocation. */
import { sessionIn } from '../authority/session.ts'
import type { Asked, Check, Verdict } from './checks.ts'

export class SessionCheck implements Check {
  readonly step = 'session'

  judge({ admission }: Asked): Verdict {
    const seen = sessionIn(admission.chain)
    if (!seen.ok) return { ok: false, code: 'BAD_SESSION', detail: seen.detail, hint: 'open a session where you are: errand session open' }
    return { ok: true, detail: seen.session === undefined ? 'outside of any session' : `in session ${seen.session.id}` }
  }
}
