/** Begins a mesh: the owner key, the signed genesis document, the founder's own membership. */
import { DOMAIN, NO_MESH } from '../../protocols/wire.ts'
import type { Clock, Random } from '../base/clock.ts'
import { seal } from '../identity/envelope.ts'
import type { Identity } from '../identity/identity.ts'
import { type KnownMesh, readGenesis } from '../runtime/joining.ts'

export interface Founded {
  readonly mesh: KnownMesh
  readonly membership: Uint8Array
}

export function foundMesh(o: { device: Identity; owner: Identity; name: string; deviceName: string; clock: Clock; random: Random }): Founded {
  const { device, owner, clock, random } = o
  const now = clock.now()
  const mesh = readGenesis(seal(owner, DOMAIN.genesis, NO_MESH, { v: 1, name: o.name, owners: [owner.did], threshold: 1, created: now, nonce: random(16) }))
  const membership = seal(owner, DOMAIN.membership, mesh.id, { v: 1, device: device.did, name: o.deviceName, kind: 'member', own: true, at: now, proofs: [] })
  return { mesh, membership }
}
