/** Gossip topics: what devices say of themselves, and news that everybody needs. See README.md beside this file. */
import * as v from 'valibot'
import { DeviceName } from '../member/messages.ts'
import { Count, DidText, List, Text } from '../wire.ts'

export const ANNOUNCE = {
  maxBytes: 16 * 1024,
  everyMs: 10_000,
  /** Without a connection and without an announcement for this long, a device is shown offline. */
  staleMs: 35_000,
} as const

/** Topic names under one mesh. */
export const topics = (mesh: string) =>
  ({ announce: `errand/${mesh}/announce/1`, revocation: `errand/${mesh}/revocation/1`, head: `errand/${mesh}/head/1` }) as const

/** An agent that a device hosts, or a skill that it lends: a name to ask for, and what it does. */
const Offered = v.object({ id: v.pipe(v.string(), v.minLength(1), v.maxLength(64)), description: Text(200) })

/** Signed by the device (DOMAIN.announce). Never argv, paths or environment. */
export const Announcement = v.object({
  v: v.literal(1),
  device: DidText,
  seq: Count,
  name: DeviceName,
  labels: v.pipe(v.record(Text(64), Text(256)), v.maxEntries(32)),
  os: Text(32),
  arch: Text(32),
  cpus: Count,
  memoryBytes: Count,
  /** One-minute load average, in hundredths (DAG-CBOR of this mesh has no floats). */
  loadPercent: Count,
  version: Text(64),
  freeSlots: Count,
  /** How far it can shut a command in, and what it can bound (`protocols/task`). Since 0.4. */
  sandbox: v.exactOptional(Text(32)),
  limits: v.exactOptional(List(Text(32), 16)),
  /** GPUs to compute on, and well-known programs that commands there can start. Since 0.4. */
  gpus: v.exactOptional(Count),
  tools: v.exactOptional(List(Text(64), 128)),
  /** Since 0.2, as are the skills. */
  agents: v.exactOptional(List(Offered, 16)),
  skills: v.exactOptional(List(Offered, 32)),
})
export type Announcement = v.InferOutput<typeof Announcement>
