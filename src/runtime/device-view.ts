/** A device as it is shown: what it says of itself, what owners say of it, and whether it is there. */
import { ANNOUNCE, type Announcement } from '../../protocols/announce/messages.ts'
import type { DeviceView } from '../../protocols/local/messages.ts'
import type { Membership } from '../../protocols/member/messages.ts'
import type { Clock } from '../base/clock.ts'
import { type Did, peerIdOf } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { TrustOf } from '../registry/trust.ts'

export interface DeviceViewOn {
  readonly self: Did
  readonly directory: Directory
  readonly clock: Clock
  readonly lineTo: (did: Did) => { path: 'direct' | 'relayed'; rttMs: number } | undefined
  /** When the last line to a device went down, milliseconds since the epoch. */
  readonly lostAt: (did: Did) => number | undefined
  /** Labels that an owner gave it. */
  readonly labelsOf: (did: Did) => Readonly<Record<string, string>>
  readonly trustOf: TrustOf
}

export function deviceView(member: Membership, on: DeviceViewOn): DeviceView {
  const did = member.device as Did
  const isSelf = did === on.self
  const line = isSelf ? undefined : on.lineTo(did)
  const heard = on.directory.announcementOf(did)
  const now = on.clock.now()
  // What it said before its line went down says nothing of now.
  const isFresh = heard !== undefined && now - heard.heardAt < ANNOUNCE.staleMs && heard.heardAt > (on.lostAt(did) ?? 0)
  const trust = on.trustOf(did)
  const said = trust === 'untrusted' ? undefined : heard?.said // what an untrusted device claims of itself decides nothing
  return {
    name: member.name,
    did,
    peerId: peerIdOf(did),
    online: isSelf || line !== undefined || isFresh,
    path: isSelf ? 'self' : (line?.path ?? null),
    rttMs: isSelf ? 0 : (line?.rttMs ?? null),
    lastSeen: isSelf || line !== undefined ? new Date(now).toISOString() : heard === undefined ? null : new Date(heard.heardAt).toISOString(),
    labels: { ...said?.labels, ...on.labelsOf(did) },
    capabilities: said === undefined ? null : capabilitiesOf(said),
    addresses: [...on.directory.addressesOf(did)],
    trust,
    membership: member.kind,
    ...(member.until === undefined ? {} : { until: new Date(member.until).toISOString() }),
  }
}

function capabilitiesOf(said: Announcement): NonNullable<DeviceView['capabilities']> {
  const { os, arch, cpus, memoryBytes, loadPercent, version, freeSlots, sandbox, limits, gpus, tools } = said
  const holds = { ...(sandbox === undefined ? {} : { sandbox }), ...(limits === undefined ? {} : { limits }) }
  const has = { ...(gpus === undefined ? {} : { gpus }), ...(tools === undefined ? {} : { tools }) }
  return { os, arch, cpus, memoryBytes, load: loadPercent / 100, version, freeSlots, ...holds, ...has }
}
