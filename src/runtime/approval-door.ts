/** Answers other devices about approvals and asked-for rights. The gate and the requests decide; here is only the table. */
import { type Answer, APPROVAL_QUESTIONS, type ApprovalQuestion, type Ask, CALL } from '../../protocols/call/messages.ts'
import { ErrandError } from '../base/errors.ts'
import type { ApprovalGate } from './approval-gate.ts'
import type { ExecCaller } from './exec-admission.ts'
import { fitting } from './fitting.ts'
import type { RightsAskedHere } from './rights-asked.ts'

export type ApprovalAsk = Ask & { readonly question: ApprovalQuestion }

export function isApprovalAsk(ask: Ask): ask is ApprovalAsk {
  return (APPROVAL_QUESTIONS as readonly string[]).includes(ask.question)
}

export class ApprovalDoor {
  constructor(private readonly on: { readonly gate: ApprovalGate; readonly asked: RightsAskedHere }) {}

  /** @throws DENIED, NO_SUCH_REQUEST, REFUSED_OTHER_INTENT, REFUSED_SELF_APPROVAL, TOO_BUSY, CANNOT_GRANT, BAD_RIGHT */
  async answer(ask: ApprovalAsk, caller: ExecCaller): Promise<Answer> {
    const { gate, asked } = this.on
    const shown = { caller, invocation: ask.invocation, proofs: ask.proofs }
    switch (ask.question) {
      case '/approval/list':
        return { tasks: [], waiting: fitting(await gate.list(shown), CALL.maxFrameBytes) }
      case '/approval/grant': {
        const { have, need } = await gate.decide(shown)
        return { tasks: [], decided: { have, need } }
      }
      case '/right/ask':
        return { tasks: [], right: await asked.take(ask.right ?? missing('right'), caller) }
      case '/right/state':
        return { tasks: [], right: asked.state(ask.request ?? missing('request'), caller.did) }
      case '/right/withdraw':
        return { tasks: [], right: await asked.withdraw(ask.request ?? missing('request'), caller.did) }
    }
  }
}

function missing(what: string): never {
  throw new ErrandError('BAD_SHAPE', `the question names no ${what}`)
}
