/** What is known here of devices, for whoever shows them or chooses among them. Builds, starts nothing. */
import type { Membership } from '../../protocols/member/messages.ts'
import { systemClock as clock } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import type { MeshNode } from '../mesh/mesh.ts'
import type { DeviceViewOn } from '../runtime/device-view.ts'
import type { Ceiling } from './ceiling.ts'
import type { NodeParts } from './parts.ts'
import type { Rooms } from './rooms.ts'

export interface Viewing extends DeviceViewOn {
  /** The devices that are shown here. */
  readonly shown: () => readonly Membership[]
}

export function openViewing(p: NodeParts, rooms: Rooms, { mesh, ceiling }: { readonly mesh: MeshNode; readonly ceiling: Ceiling }): Viewing {
  return {
    ...{ self: p.device.did, directory: rooms.directory, clock },
    shown: () => shownHere(p.device.did, rooms),
    labelsOf: (did) => rooms.orders.get('label', did)?.labels ?? {},
    trustOf: ceiling.trustOf,
    lineTo: (did) => mesh.lineTo(did),
    lostAt: (did) => mesh.lostAt(did),
  }
}

/** A guest may have met others by their own doing, its host among them; its list is what it can use. */
function shownHere(self: Did, { directory, records }: Rooms): readonly Membership[] {
  if (!directory.isGuest(self)) return directory.everyone()
  const granted = records.guests.granted(self)
  return directory.everyone().filter(({ device }) => device === self || granted.includes(device as Did))
}
