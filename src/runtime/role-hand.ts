/**
 * Signs for roles: owner → role, one link for each right of the role, and role → member, one for each command. What a role's rights are is said on
 * the upper links alone, so that changing them changes what every member may, and taking one back ends what runs on it.
 */
import { approvalsIn, rightMeta } from '../authority/approval.ts'
import { limitsOf, narrowest } from '../authority/limits.ts'
import { rateIn } from '../authority/rate.ts'
import type { Revocations } from '../authority/revocations.ts'
import type { Right } from '../authority/rights.ts'
import { sameRight } from '../authority/roles.ts'
import { type AnyRecord, type Delegation, signDelegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { type Keyring, NONCE_BYTES } from './keyring.ts'
import type { Lineage } from './lineage.ts'
import type { OrderDesk } from './order-desk.ts'
import type { RightsDesk } from './rights-desk.ts'
import { ROLE_LINK, type RoleOrder, type Roles, roleKey } from './roles.ts'

/** A link from the owner to a role is renewed when somebody gets the role for longer. */
const ROLE_LINK_SECONDS = 365 * 86_400
const SALT_BYTES = 16
const JOIN = '/mesh/join'

export interface RoleHandOn {
  readonly roles: Roles
  readonly keyring: Keyring
  readonly wallet: Wallet
  readonly revocations: Revocations
  /** Those of now and those of before. */
  readonly owners: () => readonly Did[]
  readonly lineage: Lineage
  readonly orders: Pick<OrderDesk, 'decide'>
  readonly rights: Pick<RightsDesk, 'issue' | 'takeBack'>
  readonly random: Random
}

/** To whom a role is given, where and until when. */
export interface Membership {
  readonly aud: Did
  /** null: everywhere. */
  readonly sub: Did | null
  /** Seconds. */
  readonly exp: number
  readonly nbf?: number
  readonly meta?: AnyRecord
}

/** A right of a role as the owner's link to it has to say it. */
interface Carried extends Right {
  readonly sub: Did | null
}

export class RoleHand {
  constructor(private readonly on: RoleHandOn) {}

  /** @throws NOT_AN_OWNER, NOT_THIS_OWNER unless this device can sign for the role. */
  require(name: string): void {
    this.#owner(name)
  }

  /** Writes a role's order; the first one gives it its key. @throws NOT_AN_OWNER, NOT_THIS_OWNER */
  async define(name: string, rules: Pick<RoleOrder, 'can' | 'inherits' | 'maxMs'>, action: 'role.add' | 'role.change'): ReturnType<OrderDesk['decide']> {
    const owner = this.#owner(name)
    const known = this.on.roles.orderOf(name)
    const salt = known?.salt ?? this.on.random(SALT_BYTES)
    const body: RoleOrder = { ...rules, did: known?.did ?? roleKey(owner, name, salt).did, salt, removed: false }
    return await this.on.orders.decide({ kind: 'role', subject: name, body, fact: { action, details: { name, words: sayRules(rules) } } })
  }

  /** The role has its key, and every right of it a link from the owner that lives long enough. @returns the links that are new. */
  async ready(name: string, exp: number): Promise<Delegation[]> {
    const { roles, rights } = this.on
    const rules = roles.rulesOf(name)
    if (rules === undefined) throw new ErrandError('BAD_ROLE', `no role "${name}" in this mesh`)
    if (roles.orderOf(name) === undefined) await this.define(name, { can: [...rules.can], inherits: [...rules.inherits], maxMs: rules.maxMs }, 'role.add')
    const { owner, role } = this.#keys(name)
    const held = this.upper(name)
    const until = Math.max(exp, this.on.keyring.nowSeconds() + ROLE_LINK_SECONDS)
    const missing = this.#carried(name, owner).filter((right) => !held.some((link) => carries(link, right) && (link.exp ?? 0) >= exp))
    const links = missing.map(({ cmd, pol, sub, ...beside }) => {
      const meta = { [ROLE_LINK]: name, ...rightMeta(beside) }
      return signDelegation(owner, { aud: role.did, sub, cmd, pol, exp: until, nonce: this.on.random(NONCE_BYTES), meta })
    })
    if (links.length > 0) await rights.issue(links, 'role.grant')
    return links
  }

  /** What a member gets: a link for each command of the role. Its policies are those of the links above. */
  memberLinks(name: string, { aud, sub, ...rest }: Membership): Delegation[] {
    const { owner, role } = this.#keys(name)
    const carried = this.#carried(name, owner).filter((right) => right.sub === null || sub === null)
    const ways = new Map(carried.map((right) => [`${right.cmd} ${right.sub}`, { cmd: right.cmd, sub: right.sub ?? sub }]))
    return [...ways.values()].map((way) => signDelegation(role, { ...rest, ...way, aud, pol: [], nonce: this.on.random(NONCE_BYTES) }))
  }

  /** Living links from the owner to the role. */
  upper(name: string): Delegation[] {
    const did = this.on.roles.orderOf(name)?.did
    const { owner } = this.on.keyring
    return this.on.wallet.list().filter((link) => link.aud === did && link.iss === owner?.did && this.on.lineage.isLive(link))
  }

  /** Living links from the role to whoever has it. Those whose right the role lost for now are among them. */
  lower(name: string): Delegation[] {
    const { roles, wallet, keyring, revocations, owners } = this.on
    const did = roles.orderOf(name)?.did
    const now = keyring.nowSeconds()
    return wallet
      .list()
      .filter((link) => link.iss === did && (link.exp ?? now) > now && revocations.revokedBy(link.cid, new Set([link.iss, ...owners()])) === undefined)
  }

  /** Rights that the role has no more. */
  surplus(name: string): Delegation[] {
    const { owner } = this.#keys(name)
    const carried = this.#carried(name, owner)
    return this.upper(name).filter((link) => !carried.some((right) => carries(link, right)))
  }

  #carried(name: string, owner: Identity): Carried[] {
    const { rights, invites } = this.on.roles.bundle(name)
    return [...rights.map((right) => ({ ...right, sub: null })), ...(invites ? [{ cmd: JOIN, pol: [], sub: owner.did }] : [])]
  }

  #keys(name: string): { owner: Identity; role: Identity } {
    const owner = this.#owner(name)
    const role = this.on.roles.keyOf(name)
    if (role === undefined) throw notThisOwner(name)
    return { owner, role }
  }

  #owner(name: string): Identity {
    const { keyring } = this.on
    const { owner } = keyring
    if (owner === undefined)
      throw keyring.noOwner(
        `only an owner decides on the role ${name}`,
        'run it on a device that holds an owner’s key; what you hold yourself you can hand on with errand grant',
      )
    if (this.on.roles.orderOf(name) !== undefined && this.on.roles.keyOf(name) === undefined) throw notThisOwner(name)
    return owner
  }
}

function carries(link: Delegation, { sub, ...right }: Carried): boolean {
  const held = { approvals: approvalsIn(link.meta), rate: rateIn(link.meta) ?? null, limits: limitsOf([link]) }
  const isSame = JSON.stringify(held) === JSON.stringify({ approvals: right.approvals ?? 0, rate: right.rate ?? null, limits: narrowest([right.limits]) })
  return isSame && link.sub === sub && sameRight({ cmd: link.cmd, pol: link.pol }, { cmd: right.cmd, pol: right.pol })
}

function notThisOwner(name: string): ErrandError {
  return new ErrandError('NOT_THIS_OWNER', `the role ${name} was made by another owner, and its key is theirs`, {
    hint: 'let them change it, or make a role of your own',
  })
}

function sayRules({ can, inherits, maxMs }: Pick<RoleOrder, 'can' | 'inherits' | 'maxMs'>): string {
  return [...can, ...inherits.map((role) => `all of ${role}`), ...(maxMs === null ? [] : [`for ${maxMs / 1_000} s at most`])].join('; ')
}
