/** Routes for what waits for somebody's yes. */
import * as v from 'valibot'
import { ApprovalView, ApproveRequest, DecisionView, DenyRequest, RightRequest } from '../../protocols/local/approvals.ts'
import { Text } from '../../protocols/wire.ts'
import { json, type Route, route } from './route.ts'

const RequestPath = v.strictObject({ id: v.pipe(Text(64), v.minLength(1)) })
const MINE = v.strictObject({ mine: v.optional(v.picklist(['true', 'false'])) })
const PATH = '/api/runtime/approvals'

export const APPROVAL_ROUTES: readonly Route[] = [
  route(
    {
      method: 'GET',
      path: PATH,
      does: 'What waits for a yes of this device; with `mine`, the rights that it has asked for.',
      answer: json(v.array(ApprovalView)),
    },
    { query: MINE },
    ({ runtime, query }) => runtime.approvals.list({ mine: query.mine === 'true' }),
  ),
  route(
    { method: 'POST', path: PATH, does: 'Asks for a right those who could grant it.', answer: json(ApprovalView) },
    { body: RightRequest },
    ({ runtime, body }) => runtime.approvals.request(body),
  ),
  route(
    { method: 'POST', path: `${PATH}/{id}/approve`, does: 'Says yes to exactly what was shown; to a right by granting it.', answer: json(DecisionView) },
    { params: RequestPath, body: ApproveRequest },
    ({ runtime, params, body }) => runtime.approvals.approve(params.id, body),
  ),
  route(
    { method: 'POST', path: `${PATH}/{id}/deny`, does: 'Says no, with a reason.', answer: json(DecisionView) },
    { params: RequestPath, body: DenyRequest },
    ({ runtime, params, body }) => runtime.approvals.deny(params.id, body),
  ),
]
