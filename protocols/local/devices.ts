/** What owners decide about devices, as the local API says it. */
import * as v from 'valibot'
import { TRUST_LEVELS } from '../member/orders.ts'
import { Text } from '../wire.ts'

const Device = Text(128)
const Reason = v.exactOptional(Text(200))

export const RemoveRequest = v.strictObject({ device: Device, reason: Reason })
export type RemoveRequest = v.InferOutput<typeof RemoveRequest>

export const TrustRequest = v.strictObject({ device: Device, level: v.picklist(TRUST_LEVELS) })
export type TrustRequest = v.InferOutput<typeof TrustRequest>

/** Of all devices; of one, which is named; or `here`, of this one alone and by nobody else's leave. */
export const LockdownRequest = v.strictObject({ on: v.boolean(), reason: Reason, device: v.exactOptional(Device), here: v.exactOptional(v.boolean()) })
export type LockdownRequest = v.InferOutput<typeof LockdownRequest>

/** The new key of this device; it counts with the next start. */
export const RotateView = v.object({
  did: v.string(),
  peerId: v.string(),
  words: v.string(),
  before: v.string(),
  acknowledged: v.array(v.string()),
  unreachable: v.array(v.string()),
})
export type RotateView = v.InferOutput<typeof RotateView>
