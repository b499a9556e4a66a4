/** What the desks of the owners and of the recovery words share: who is meant, who leaves, and what goes on to count of those. */
import type { Wallet } from '../authority/wallet.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Orders } from '../registry/orders.ts'
import type { Standing } from '../registry/owner-chain.ts'
import type { Owners } from '../registry/owners.ts'
import { keptFor } from './former.ts'
import type { Keyring } from './keyring.ts'
import { wordsOf } from './words.ts'

const MIN_ID_CHARS = 6

export interface KnownHere {
  readonly owners: Owners
  readonly orders: Orders
  readonly directory: Directory
  readonly wallet: Wallet
  readonly keyring: Keyring
}

/** Of those who were taken out before and of those who leave now. */
export function keptWithout(leaving: readonly Did[], { owners, orders, directory, wallet, keyring }: KnownHere): Uint8Array {
  const former = owners.ever().filter((did) => !owners.has(did))
  return keptFor([...former, ...leaving], { orders, directory, wallet, nowSeconds: () => keyring.nowSeconds() })
}

/** An owner by DID, by its end, or by the three words of its key. @throws UNKNOWN_OWNER */
export function findOwner({ standing: { owners } }: Owners, wanted: string): Did {
  const found = owners.filter((did) => did === wanted || wordsOf(did) === wanted || (wanted.length >= MIN_ID_CHARS && did.endsWith(wanted)))
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  throw new ErrandError('UNKNOWN_OWNER', `no owner "${wanted}"`, { hint: `owners are ${owners.map(wordsOf).join(', ')}  (errand owner list)` })
}

export function leavingIn(before: Standing, after: Pick<Standing, 'owners' | 'recovery'>): Did[] {
  const gone = before.owners.filter((did) => !after.owners.includes(did))
  return before.recovery === null || before.recovery === after.recovery ? gone : [...gone, before.recovery]
}

export function badChange(why: string): ErrandError {
  return new ErrandError('BAD_CHANGE', `the owners cannot be changed so: ${why}`, { hint: 'errand owner list shows how they are' })
}
