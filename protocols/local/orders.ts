/** What an owner decides for the whole mesh, as the local API says it. */
import * as v from 'valibot'
import { ORDERS } from '../member/orders.ts'
import { List, Text } from '../wire.ts'

/** Labels to give a device, and names of labels to take away. */
export const LabelRequest = v.strictObject({
  device: Text(128),
  labels: ORDERS.label.body.entries.labels,
  remove: v.optional(List(Text(64), 64)),
})
export type LabelRequest = v.InferOutput<typeof LabelRequest>

/** The policy of the mesh, as its author wrote it; empty for none any more. */
export const PolicyRequest = v.strictObject({ text: ORDERS.policy.body.entries.text })
export type PolicyRequest = v.InferOutput<typeof PolicyRequest>

const Names = v.array(v.string())

/** An order that was given: the tasks it ended, and which devices know of it. */
export const OrderView = v.object({ kind: v.string(), subject: v.string(), stopped: Names, acknowledged: Names, unreachable: Names })
export type OrderView = v.InferOutput<typeof OrderView>
