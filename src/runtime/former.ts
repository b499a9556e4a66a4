/** Owners who were taken out: which of their links do not count, and what of theirs a change of the owners keeps. */
import type { Delegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Directory } from '../registry/directory.ts'
import type { Orders } from '../registry/orders.ts'
import { keptOf } from '../registry/owner-chain.ts'
import type { Owners } from '../registry/owners.ts'
import { ROLE_LINK } from './roles.ts'

/** Who was taken out can still sign, and so can whoever has the keys of his roles: what the change did not name does not count. */
export function isVoid(owners: Owners, link: Delegation, above: Delegation | undefined): boolean {
  const isTheirs = owners.isFormer(link.iss) || (above !== undefined && owners.isFormer(above.iss) && isToRole(above))
  return isTheirs && !owners.keeps(link.bytes)
}

export interface KeptOn {
  readonly orders: Orders
  readonly directory: Directory
  readonly wallet: Wallet
  readonly nowSeconds: () => number
}

/** What goes on to count of those who leave now and of those who left before: all that this device knows and that is alive. */
export function keptFor(leaving: readonly string[], { orders, directory, wallet, nowSeconds }: KeptOn): Uint8Array {
  const living = wallet.list().filter(({ exp }) => exp === null || exp > nowSeconds())
  const theirs = living.filter(({ iss }) => leaving.includes(iss))
  const roles = new Set(theirs.filter(isToRole).map(({ aud }) => aud))
  const links = [...theirs, ...living.filter(({ iss }) => roles.has(iss))].filter(
    (link) => isToRole(link) || directory.isKnown(link.aud) || orders.owners.has(link.aud),
  )
  return keptOf([...orders.signedBy(leaving), ...directory.admittedBy(leaving), ...links.map(({ bytes }) => bytes)])
}

function isToRole({ meta }: Delegation): boolean {
  return typeof meta?.[ROLE_LINK] === 'string'
}
