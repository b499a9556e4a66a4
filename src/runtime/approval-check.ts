/** Whether the right behind a request wants people asked before it is used. */
import { APPROVAL } from '../../protocols/approval/messages.ts'
import { approvalsOf } from '../authority/approval.ts'
import { people } from './approvals.ts'
import type { Asked, Check, Verdict } from './checks.ts'

const HINT = 'run it: it waits then, and those who may approve it see it with errand requests'

export class ApprovalCheck implements Check {
  readonly step = 'approval'

  judge({ admission }: Asked): Verdict {
    const approvals = approvalsOf(admission.chain)
    if (approvals === 0) return { ok: true, detail: 'the right asks for no approval' }
    if (approvals > APPROVAL.maxApprovals)
      return { ok: false, code: 'BAD_APPROVALS', detail: 'the right asks for approvals in a way that this device cannot read', hint: 'ask for a new grant' }
    return { ok: false, code: 'APPROVAL', detail: `the right asks for the approval of ${people(approvals)}`, hint: HINT, waitsFor: 'approval', approvals }
  }
}
