/**
 * What this device gives to the owners goes to whoever they are: when the owners change, it signs for the new ones what it gave to the old ones.
 * A device of the owners gives everything, to them and to the words of an emergency; another one exactly what was asked of it when it joined.
 */

import { encode, sameBytes } from '../../protocols/wire.ts'
import { type Delegation, type DelegationFields, signDelegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Random } from '../base/clock.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Owners } from '../registry/owners.ts'
import { NONCE_BYTES } from './keyring.ts'
import type { Lineage } from './lineage.ts'

export interface OwnerRootsOn {
  readonly device: Identity
  readonly owners: Owners
  readonly wallet: Wallet
  readonly directory: Pick<Directory, 'member'>
  readonly lineage: Pick<Lineage, 'isLive'>
  readonly random: Random
}

type Given = Pick<Delegation, 'cmd' | 'pol' | 'exp' | 'nbf' | 'meta'>

/** What is missing: signed here, not yet kept anywhere. What this device took back from an owner it does not give again. */
export function missingRoots(on: OwnerRootsOn): Delegation[] {
  const { device, owners, wallet, lineage } = on
  const given = wallet.list().filter(({ iss, sub, aud }) => iss === device.did && sub === iss && owners.ever().includes(aud))
  const everything: Given = { cmd: '/', pol: [], exp: null }
  const living: Given[] = given.filter((link) => lineage.isLive(link))
  const isOwn = on.directory.member(device.did)?.own === true
  const due = isOwn && given.length === 0 ? [everything] : unlike(living)
  const links = owners
    .list()
    .flatMap((aud) => due.filter((right) => !given.some((link) => link.aud === aud && isSame(link, right))).map((right) => sign(on, aud, right)))
  const recovery = owners.recovery()
  const isForWords =
    isOwn &&
    recovery !== null &&
    due.some(({ cmd, exp }) => cmd === '/' && exp === null) &&
    wallet.list().every(({ iss, aud }) => iss !== device.did || aud !== recovery)
  return isForWords ? [...links, sign(on, recovery, everything)] : links
}

function sign({ device, random }: OwnerRootsOn, aud: Did, { cmd, pol, exp, nbf, meta }: Given): Delegation {
  const fields: DelegationFields = { aud, sub: device.did, cmd, pol, exp, nonce: random(NONCE_BYTES) }
  return signDelegation(device, { ...fields, ...(nbf === undefined ? {} : { nbf }), ...(meta === undefined ? {} : { meta }) })
}

function unlike(rights: readonly Given[]): Given[] {
  const seen: Given[] = []
  for (const right of rights) if (!seen.some((one) => isSame(one, right))) seen.push(right)
  return seen
}

function isSame(a: Given, b: Given): boolean {
  return a.cmd === b.cmd && a.exp === b.exp && sameBytes(encode([a.pol, a.nbf ?? null, a.meta ?? null]), encode([b.pol, b.nbf ?? null, b.meta ?? null]))
}
