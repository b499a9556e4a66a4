/** The desk of the owners, and what follows on this device when they change. Builds, starts nothing. */
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import { Lineage } from '../runtime/lineage.ts'
import type { OrderDesk } from '../runtime/order-desk.ts'
import { OwnerDesk } from '../runtime/owner-desk.ts'
import { OwnerNews } from '../runtime/owner-news.ts'
import { missingRoots } from '../runtime/owner-roots.ts'
import { RecoveryDesk } from '../runtime/recovery-desk.ts'
import type { Telling } from '../runtime/rights-desk.ts'
import type { NodeParts } from './parts.ts'
import type { Cellar, Rooms } from './rooms.ts'

export interface OwnerRooms {
  readonly owners: OwnerDesk
  readonly recovery: RecoveryDesk
  readonly ownerNews: OwnerNews
}

export function openOwnerRooms(p: NodeParts, { audit }: Cellar, rooms: Rooms, on: { desk: OrderDesk; telling: Telling }): OwnerRooms {
  const { owners, orders, directory, wallet, records, keyring, ownerKey } = rooms
  const shared = { owners, orders, directory, wallet, records, keyring, audit, clock, ...on }
  const desk = new OwnerDesk({ ...shared, key: ownerKey })
  const news = new OwnerNews({ self: p.device.did, owners, audit, clock })
  const failed = (thrown: unknown): void => p.log('owners not heeded', { why: String(thrown) })
  records.onOrder(() => {
    void desk.settle().catch(failed)
    void news
      .hear()
      .then((changed) => (changed ? giveRoots(p, rooms, on.telling) : undefined))
      .catch(failed)
    return []
  })
  return { owners: desk, recovery: new RecoveryDesk({ ...shared, ownerKey }), ownerNews: news }
}

/** Signs what the owners of now lack, keeps it, and tells the owners' devices. */
export async function giveRoots(p: NodeParts, rooms: Rooms, telling?: Pick<Telling, 'push'>): Promise<void> {
  const { owners, wallet, directory, records, revocations, keyring } = rooms
  const lineage = new Lineage({ wallet, revocations, nowSeconds: () => keyring.nowSeconds() })
  const links = missingRoots({ device: p.device, owners, wallet, directory, lineage, random })
  for (const { bytes } of links) await records.admit('delegations', bytes)
  const own = directory.members().flatMap(({ own: isOwn, device }) => (isOwn && device !== p.device.did ? [device as Did] : []))
  const bytes = links.map((link) => link.bytes)
  if (bytes.length > 0) await telling?.push('delegations', bytes, own)
}
