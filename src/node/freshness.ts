/** What tells a device how lately it has heard of revocations. Builds, starts nothing. */
import { systemClock as clock } from '../base/clock.ts'
import type { MeshNode } from '../mesh/mesh.ts'
import type { Check } from '../runtime/checks.ts'
import { FreshnessCheck } from '../runtime/freshness.ts'
import type { NodeParts } from './parts.ts'
import type { Rooms } from './rooms.ts'

/** Keys whose revocations are made here: this device's, and the owner's where it lies here. */
export function openFreshness(p: NodeParts, { directory, keyring, news }: Rooms, mesh: () => MeshNode): Check {
  const ours = new Set<string>(keyring.keys().map(({ did }) => did))
  return new FreshnessCheck({
    ...{ self: p.device.did, owners: p.mesh.genesis.owners, news, clock },
    isOurs: (signer) => ours.has(signer),
    members: () => directory.members().map(({ device }) => device),
    freshen: (except) => mesh().freshen(except),
  })
}
