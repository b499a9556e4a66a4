/** Routes for what owners decide about devices. */
import { LockdownRequest, RemoveRequest, RotateView, TrustRequest } from '../../protocols/local/devices.ts'
import { OrderView } from '../../protocols/local/orders.ts'
import { json, type Route, route } from './route.ts'

const post = (path: string, does: string) => ({ method: 'POST', path, does, answer: json(OrderView) }) as const

export const DEVICE_ROUTES: readonly Route[] = [
  route(
    { method: 'POST', path: '/api/runtime/device/rotate', does: 'Names a new key of this device; it counts with the next start.', answer: json(RotateView) },
    {},
    ({ runtime }) => runtime.succession.rotate(),
  ),
  route(post('/api/runtime/devices/remove', 'Removes a device from the mesh; what rests on it ends.'), { body: RemoveRequest }, ({ runtime, body }) =>
    runtime.devices.remove(body),
  ),
  route(post('/api/runtime/devices/trust', 'Says how far a device is trusted.'), { body: TrustRequest }, ({ runtime, body }) => runtime.devices.trust(body)),
  route(post('/api/runtime/lockdown', 'No new work for others, no joins, no new grants; or the end of that.'), { body: LockdownRequest }, ({ runtime, body }) =>
    runtime.devices.lockdown(body),
  ),
]
