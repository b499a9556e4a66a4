/** What a device does that goes on under a new key, and what the others do for it. Builds, starts nothing by itself. */
import { systemClock as clock, systemRandom as random } from '../base/clock.ts'
import type { Identity } from '../identity/identity.ts'
import { Lineage } from '../runtime/lineage.ts'
import { reissues } from '../runtime/reissue.ts'
import type { RightsDesk, Telling } from '../runtime/rights-desk.ts'
import { SuccessionDesk } from '../runtime/succession-desk.ts'
import type { NodeParts } from './parts.ts'
import type { Cellar, Rooms } from './rooms.ts'

export function openSuccession(p: NodeParts, { audit }: Cellar, rooms: Rooms, telling: Telling): SuccessionDesk {
  const { keyring, directory, book } = rooms
  const keep = (next: Identity, membership: Uint8Array): void => p.home.keepNext(next, membership)
  return new SuccessionDesk({
    mesh: p.mesh.id,
    keyring,
    directory,
    telling,
    audit,
    active: () => book.counts().active,
    idle: () => book.idle(),
    keep,
    clock,
    random,
  })
}

/** The first entry of a new log names the one before it, and what the old key gave the new one gives. */
export async function takeOver(p: NodeParts, { audit }: Cellar, rooms: Rooms): Promise<void> {
  const { directory, records } = rooms
  const self = p.device.did
  const [before] = directory.before(self)
  if (before === undefined) return
  if (audit.head() === undefined) {
    const words = `this log begins where that of ${before} ends`
    void audit
      .append({ actor: self, action: 'device.succeeds', result: 'ok', subject: before, details: { words } })
      .catch((thrown: unknown) => p.log('not in the log', { why: String(thrown) }))
  }
  const signers = new Map<string, Identity>(directory.before(self).map((did) => [did, p.device]))
  for (const { bytes } of reissues(signers, reissueOn(rooms))) await records.admit('delegations', bytes)
}

/** Signs again what the keys here have given to devices that have new ones. */
export async function reissueHere(rooms: Rooms, rights: Pick<RightsDesk, 'issue'>): Promise<void> {
  const { keyring, roles } = rooms
  const keys = [...keyring.keys(), ...roles.names().flatMap((name) => roles.keyOf(name) ?? [])]
  const links = reissues(new Map<string, Identity>(keys.map((key) => [key.did, key])), reissueOn(rooms))
  if (links.length > 0) await rights.issue(links, 'grant.follow')
}

function reissueOn({ wallet, revocations, directory, keyring }: Rooms): Parameters<typeof reissues>[1] {
  const lineage = new Lineage({ wallet, revocations, nowSeconds: () => keyring.nowSeconds() })
  return { wallet, revocations, lineage, successions: directory.successions(), nowSeconds: keyring.nowSeconds(), random }
}
