/** Routes for what owners decide for the whole mesh. */
import { LabelRequest, OrderView, PolicyRequest } from '../../protocols/local/orders.ts'
import { json, type Route, route } from './route.ts'

export const ORDER_ROUTES: readonly Route[] = [
  route(
    { method: 'POST', path: '/api/runtime/devices/label', does: 'Gives a device labels that count before its own.', answer: json(OrderView) },
    { body: LabelRequest },
    ({ runtime, body }) => runtime.orders.label(body),
  ),
  route(
    { method: 'POST', path: '/api/runtime/policy', does: 'Gives the mesh a policy, which narrows what every device does.', answer: json(OrderView) },
    { body: PolicyRequest },
    ({ runtime, body }) => runtime.orders.policy(body),
  ),
]
