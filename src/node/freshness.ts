/** What tells a device how far its clock can be trusted, and how lately it has heard of revocations. Builds, starts nothing. */
import { systemClock as clock } from '../base/clock.ts'
import type { MeshNode } from '../mesh/mesh.ts'
import type { Check } from '../runtime/checks.ts'
import { ClockCheck } from '../runtime/clock-watch.ts'
import { FreshnessCheck } from '../runtime/freshness.ts'
import type { NodeParts } from './parts.ts'
import type { Rooms } from './rooms.ts'

export function openFreshness(p: NodeParts, { directory, keyring, news, owners, roles, watch }: Rooms, mesh: () => MeshNode): readonly Check[] {
  // Keys whose revocations are made here: this device's, and, where the owner's lies here, that one and those of its roles.
  const isOurs = (did: string): boolean => keyring.keys().some((key) => key.did === did) || roles.signsAs(did)
  const freshness = new FreshnessCheck({
    ...{ self: p.device.did, isOwner: (did: string) => owners.has(did), news, clock },
    isOurs,
    members: () => directory.members().map(({ device }) => device),
    freshen: (except) => mesh().freshen(except),
  })
  return [new ClockCheck({ self: p.device.did, watch }), freshness]
}
