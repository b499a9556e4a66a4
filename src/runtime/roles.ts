/**
 * The roles of this mesh: the built-in ones and those that owners defined, and the keys that stand between an owner and whoever has a role.
 * A role's key is derived from the owner's key and never kept: device → owner → role → member. Whoever lacks the owner's key can use what hangs
 * on a role, and cannot sign for it.
 */
import { hkdfSync } from 'node:crypto'
import type { OrderBody } from '../../protocols/member/orders.ts'
import { BUILT_IN_ROLES, type Bundle, bundleOf, isBuiltIn, type RoleRules, roleName } from '../authority/roles.ts'
import type { Delegation } from '../authority/token.ts'
import { sayDuration } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'
import { Identity } from '../identity/identity.ts'
import type { Orders } from '../registry/orders.ts'

/** Names the role on the link from an owner to its key: `meta: {"errand/role": name}`. */
export const ROLE_LINK = 'errand/role'

/** A role is for people who stay; it is renewed, not eternal. */
const ROLE_LIFE_MS = 365 * 86_400_000

export type RoleOrder = OrderBody<'role'>

export class Roles {
  readonly #keys = new Map<string, Identity>()

  constructor(private readonly on: { readonly orders: Orders; readonly owner: () => Identity | undefined }) {}

  /** Built-in ones first. */
  names(): string[] {
    const custom = this.#orders().flatMap(([name, { removed }]) => (removed || isBuiltIn(name) ? [] : [name]))
    return [...Object.keys(BUILT_IN_ROLES), ...custom.sort()]
  }

  /** @throws BAD_ROLE */
  named(text: string): string {
    const name = roleName(text)
    if (this.rulesOf(name) !== undefined) return name
    throw new ErrandError('BAD_ROLE', `no role "${text}"`, { hint: `there are ${this.names().join(', ')}  (errand role list)` })
  }

  /** For a built-in role what the program says, whatever an order may say. */
  readonly rulesOf = (name: string): RoleRules | undefined => {
    if (isBuiltIn(name)) return BUILT_IN_ROLES[name]
    const order = this.on.orders.get('role', name)
    return order === undefined || order.removed ? undefined : order
  }

  bundle(name: string): Bundle {
    return bundleOf(name, this.rulesOf)
  }

  /** For how long a role is given. @throws ROLE_TOO_LONG */
  lifeOf(name: string, forMs: number | undefined): number {
    const { maxMs } = this.bundle(name)
    if (maxMs === null || (forMs ?? 0) <= maxMs) return forMs ?? Math.min(maxMs ?? ROLE_LIFE_MS, ROLE_LIFE_MS)
    throw new ErrandError('ROLE_TOO_LONG', `the role ${name} is given for ${sayDuration(maxMs)} at most`, { hint: `--for ${sayDuration(maxMs)}` })
  }

  /** The order behind a role; a built-in one has none before it is first given to somebody. */
  orderOf(name: string): RoleOrder | undefined {
    const order = this.on.orders.get('role', name)
    return order === undefined || order.removed ? undefined : order
  }

  /** How a role's key is called in a sentence. */
  called(did: string): string | undefined {
    const name = this.#orders().find(([, order]) => order.did === did)?.[0]
    return name === undefined ? undefined : `the role ${name}`
  }

  /** Derived from the owner's key. @returns undefined where this device cannot sign for the role: no owner's key, or another owner's role. */
  keyOf(name: string): Identity | undefined {
    const owner = this.on.owner()
    const order = this.orderOf(name)
    if (owner === undefined) this.#keys.clear() // it may be locked, and these follow from it
    if (owner === undefined || order === undefined) return undefined
    const at = `${owner.did} ${order.did}`
    const key = this.#keys.get(at) ?? roleKey(owner, name, order.salt)
    if (key.did !== order.did) return undefined
    this.#keys.set(at, key)
    return key
  }

  /** Whether this device signs for the role with this key, so that whatever it takes back is known here first. */
  signsAs(did: string): boolean {
    const name = this.#orders().find(([, order]) => order.did === did)?.[0]
    return name !== undefined && this.keyOf(name)?.did === did
  }

  #orders(): readonly (readonly [string, RoleOrder])[] {
    return this.on.orders.all('role')
  }
}

/** One way only: whoever learns a role's key learns nothing of the owner's. */
export function roleKey(owner: Identity, name: string, salt: Uint8Array): Identity {
  return new Identity(new Uint8Array(hkdfSync('sha256', owner.seed, salt, `errand role v1 ${name}`, 32)))
}

/** The roles that a chain goes through. Only an owner's link names one, so nobody lends himself a role by calling a link after it. */
export function rolesIn(chain: readonly Delegation[], isOwner: (did: string) => boolean): string[] {
  return chain.flatMap(({ iss, meta }) => {
    const role = meta?.[ROLE_LINK]
    return typeof role === 'string' && isOwner(iss) ? [role] : []
  })
}

/** Whether a role that there is has this key. What was signed for a role that is none any more is nobody's. */
export function isRoleKey(orders: Orders, did: string): boolean {
  return orders.all('role').some(([, order]) => order.did === did && !order.removed)
}
