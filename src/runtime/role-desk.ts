/** Roles, as an owner makes, changes and gives them. What somebody may by a role hangs on the role's links, so a change counts for what runs already. */

import type { OrderView } from '../../protocols/local/orders.ts'
import type {
  Assigned,
  AssignRequest,
  RoleChange,
  RoleChanged,
  RoleName,
  RoleRequest,
  RoleView,
  Unassigned,
  UnassignRequest,
} from '../../protocols/local/roles.ts'
import { LAST_LINK } from '../authority/chain.ts'
import { parseRight, wordsOfRight } from '../authority/rights.ts'
import { circleThrough, isBuiltIn, isReservedRole, lineageOf, type RoleRules } from '../authority/roles.ts'
import type { Delegation } from '../authority/token.ts'
import type { Clock } from '../base/clock.ts'
import { sayDuration } from '../base/duration.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { RoleGiver } from './gifts.ts'
import { type Groups, groupMarks, groupOf } from './groups.ts'
import type { Keyring } from './keyring.ts'
import type { OrderDesk } from './order-desk.ts'
import type { RightsDesk } from './rights-desk.ts'
import type { RoleHand } from './role-hand.ts'
import type { Roles } from './roles.ts'

/** What the runtime offers of it. */
export interface RoleRoom {
  list(): Promise<RoleView[]>
  /** @throws ROLE_EXISTS, BAD_RIGHT, BAD_ROLE, ROLE_CIRCLE, NOT_AN_OWNER */
  add(request: RoleRequest): Promise<RoleChanged>
  /** What is added and taken away counts at once; what runs on a right that is gone is stopped. */
  change(request: RoleChange): Promise<RoleChanged>
  remove(request: RoleName): Promise<RoleChanged>
  /** @throws ROLE_TOO_LONG beyond what the role allows */
  assign(request: AssignRequest): Promise<Assigned>
  unassign(request: UnassignRequest): Promise<Unassigned>
}

export interface RoleDeskOn {
  readonly roles: Roles
  readonly hand: RoleHand
  readonly groups: Groups
  readonly orders: Pick<OrderDesk, 'decide'>
  readonly rights: Pick<RightsDesk, 'issue' | 'takeBack'>
  readonly keyring: Keyring
  readonly directory: Directory
  readonly clock: Clock
}

const NO_RULES: RoleRules = { can: [], inherits: [], maxMs: null }

type Heard = Pick<OrderView, 'stopped' | 'acknowledged' | 'unreachable'>

export class RoleDesk implements RoleRoom, RoleGiver {
  constructor(private readonly on: RoleDeskOn) {}

  list(): Promise<RoleView[]> {
    return Promise.resolve(this.on.roles.names().map((name) => this.#view(name)))
  }

  async add({ role, can = [], inherits = [], maxMs }: RoleRequest): Promise<RoleChanged> {
    const { roles, hand } = this.on
    if (isReservedRole(role)) throw new ErrandError('ROLE_EXISTS', `the role ${role} is built in`, { hint: 'give yours another name; it can inherit this one' })
    if (roles.rulesOf(role) !== undefined) throw new ErrandError('ROLE_EXISTS', `there is a role ${role} already`, { hint: `errand role change ${role} …` })
    const rules = this.#checked(role, { can: can.map(inWords), inherits, maxMs: maxMs ?? null })
    const heard = await hand.define(role, rules, 'role.add')
    return { role: this.#view(role), issued: [], revoked: [], ...heardOf(heard) }
  }

  async change({ role, can = [], cannot = [], inherits, maxMs }: RoleChange): Promise<RoleChanged> {
    const { roles, hand } = this.on
    const name = this.#custom(role)
    const before: RoleRules = roles.rulesOf(name) ?? NO_RULES
    const gone = cannot.map(inWords)
    const unknown = gone.find((words) => !before.can.includes(words))
    if (unknown !== undefined)
      throw new ErrandError('NO_SUCH_RIGHT', `the role ${name} has no right "${unknown}" of its own`, { hint: `errand role show ${name}` })
    const own = [...new Set([...before.can.filter((words) => !gone.includes(words)), ...can.map(inWords)])]
    const rules = this.#checked(name, { can: own, inherits: inherits ?? before.inherits, maxMs: maxMs === undefined ? before.maxMs : maxMs })
    const heard = await hand.define(name, rules, 'role.change')
    return await this.#settled(name, heardOf(heard))
  }

  async remove({ role }: RoleName): Promise<RoleChanged> {
    const { roles, hand, orders, rights, keyring } = this.on
    const name = this.#custom(role)
    const heirs = roles.names().filter((one) => one !== name && lineageOf(one, roles.rulesOf).includes(name))
    if (heirs.length > 0)
      throw new ErrandError('ROLE_IN_USE', `${heirs.join(', ')} inherit${heirs.length === 1 ? 's' : ''} the role ${name}`, {
        hint: `first: errand role change ${heirs[0]} --inherits …`,
      })
    const view = this.#view(name)
    const order = roles.orderOf(name)
    const links = [...hand.upper(name), ...hand.lower(name)]
    if (order === undefined) throw new ErrandError('BAD_ROLE', `no role "${role}" in this mesh`)
    hand.require(name)
    const taken = await rights.takeBack(links, 'role.narrow', keyring.owner)
    const heard = await orders.decide({ kind: 'role', subject: name, body: { ...order, removed: true }, fact: { action: 'role.remove', details: { name } } })
    return { role: view, issued: [], revoked: taken.grants, ...heardOf(heard), stopped: [...new Set([...taken.stopped, ...heard.stopped])] }
  }

  async assign(request: AssignRequest): Promise<Assigned> {
    const { roles, hand, groups, rights, clock } = this.on
    const name = roles.named(request.role)
    const [to, on] = [groups.resolve(request.who), request.on === undefined ? undefined : groups.resolve(request.on)]
    groups.refuseGuests(to.devices)
    const forMs = roles.lifeOf(name, request.forMs)
    const exp = Math.ceil((Math.max(clock.now(), request.fromMs ?? 0) + forMs) / 1_000)
    const nbf = request.fromMs === undefined ? {} : { nbf: Math.floor(request.fromMs / 1_000) }
    const marks = { ...groupMarks({ on, to }), ...(request.passOn === false ? { [LAST_LINK]: true } : {}) }
    const meta = Object.keys(marks).length === 0 ? {} : { meta: marks }
    await hand.ready(name, exp)
    const targets = on === undefined ? [null] : on.devices
    const links = to.devices.flatMap((aud) => targets.filter((sub) => sub !== aud).flatMap((sub) => hand.memberLinks(name, { aud, sub, exp, ...nbf, ...meta })))
    if (links.length === 0) throw new ErrandError('CANNOT_GRANT', `${request.who} already holds what it would be given`)
    const grants = await rights.issue(links, 'role.assign')
    const where = request.on ?? 'every device of the owner'
    return { role: name, words: `${request.who} is ${name} on ${where}, for ${sayDuration(forMs)}`, grants }
  }

  async ready(role: string, exp: number): Promise<void> {
    await this.on.hand.ready(role, exp)
  }

  /** For a device that joins: it gets the links with its welcome. */
  linksFor(role: string, to: { readonly aud: Did; readonly exp: number }): readonly Delegation[] {
    return this.on.hand.memberLinks(role, { ...to, sub: null })
  }

  async unassign(request: UnassignRequest): Promise<Unassigned> {
    const { roles, hand, groups, rights, keyring } = this.on
    const name = roles.named(request.role)
    hand.require(name)
    const [to, on] = [groups.resolve(request.who), request.on === undefined ? undefined : groups.resolve(request.on)]
    const links = hand.lower(name).filter(({ aud, sub }) => to.devices.includes(aud) && (on === undefined || (sub !== null && on.devices.includes(sub))))
    if (links.length === 0)
      throw new ErrandError('NO_SUCH_GRANT', `${request.who} does not have the role ${name}${request.on === undefined ? '' : ` on ${request.on}`}`, {
        hint: `errand role show ${name}`,
      })
    return { role: name, ...(await rights.takeBack(links, 'role.unassign', keyring.owner)) }
  }

  /** Brings the links of a role, and of every role that inherits it, in line with what they are now. New ones first: what still holds is not interrupted. */
  async #settled(name: string, heard: Heard): Promise<RoleChanged> {
    const { roles, hand, rights, keyring } = this.on
    const concerned = roles.names().filter((one) => roles.orderOf(one) !== undefined && lineageOf(one, roles.rulesOf).includes(name))
    const issued: Delegation[] = []
    for (const one of concerned) issued.push(...(await this.#renewed(one)))
    const surplus = concerned.flatMap((one) => hand.surplus(one))
    const taken = surplus.length === 0 ? undefined : await rights.takeBack(surplus, 'role.narrow', keyring.owner)
    const stopped = [...new Set([...heard.stopped, ...(taken?.stopped ?? [])])]
    return { role: this.#view(name), issued: issued.map(({ cid }) => cid), revoked: taken?.grants ?? [], ...heard, stopped }
  }

  /** Links that a role and its members lack. Of a role that nobody has there is nothing to renew. */
  async #renewed(name: string): Promise<Delegation[]> {
    const { hand, rights } = this.on
    const held = hand.lower(name)
    if (held.length === 0 && hand.upper(name).length === 0) return []
    const upper = await hand.ready(name, Math.max(0, ...held.map(({ exp }) => exp ?? 0)))
    const lower = latestOf(held.filter((link) => !this.#isOwners(link.sub))).flatMap((link) =>
      hand.memberLinks(name, membershipOf(link)).filter((one) => !held.some((have) => have.aud === one.aud && have.sub === one.sub && have.cmd === one.cmd)),
    )
    if (lower.length > 0) await rights.issue(lower, 'role.assign')
    return [...upper, ...lower]
  }

  #checked(name: string, rules: RoleRules): { can: string[]; inherits: string[]; maxMs: number | null } {
    const { roles } = this.on
    const inherits = [...new Set(rules.inherits.map((one) => roles.named(one)))]
    const circle = circleThrough(name, inherits, roles.rulesOf)
    if (circle !== undefined)
      throw new ErrandError('ROLE_CIRCLE', `a role cannot inherit itself: ${circle.join(' → ')}`, { hint: 'take one of these steps away' })
    if (rules.can.length === 0 && inherits.length === 0)
      throw new ErrandError('BAD_ROLE', `the role ${name} would have no right`, { hint: 'name rights with --can, or roles with --inherits' })
    return { can: [...rules.can], inherits, maxMs: rules.maxMs }
  }

  #custom(text: string): string {
    const name = this.on.roles.named(text)
    if (isBuiltIn(name))
      throw new ErrandError('ROLE_BUILT_IN', `the role ${name} is built in and stays as it is`, {
        hint: `make one of your own: errand role add NAME --inherits ${name} --can …`,
      })
    return name
  }

  #isOwners(sub: Did | null): boolean {
    return sub !== null && sub === this.on.keyring.owner?.did
  }

  #view(name: string): RoleView {
    const { roles, hand } = this.on
    const rules = roles.rulesOf(name) ?? NO_RULES
    const { rights, maxMs } = roles.bundle(name)
    const members = latestOf(hand.lower(name).filter((link) => !this.#isOwners(link.sub)))
    return {
      role: name,
      builtIn: isBuiltIn(name),
      did: roles.orderOf(name)?.did ?? null,
      can: rights.map(wordsOfRight),
      own: rules.can.map(inWords),
      inherits: [...rules.inherits],
      maxMs,
      members: members.map((link) => ({ who: this.#nameOf(link.aud), on: link.sub === null ? null : this.#nameOf(link.sub), expiresAt: timeOf(link.exp) })),
    }
  }

  #nameOf(did: Did): string {
    return this.on.directory.nameOf(did) ?? did
  }
}

/** As `sayRight` writes it, so that one right has one spelling. @throws BAD_RIGHT */
function inWords(text: string): string {
  return wordsOfRight(parseRight(text))
}

/** Of the links by which somebody has a role somewhere, the one that lives longest. */
function latestOf(links: readonly Delegation[]): Delegation[] {
  const latest = new Map<string, Delegation>()
  for (const link of links) {
    const key = `${link.aud} ${link.sub} ${groupOf(link, 'on')} ${groupOf(link, 'to')} ${link.meta?.[LAST_LINK]}`
    if ((latest.get(key)?.exp ?? 0) < (link.exp ?? 0)) latest.set(key, link)
  }
  return [...latest.values()]
}

function membershipOf({ aud, sub, exp, nbf, meta }: Delegation): Parameters<RoleHand['memberLinks']>[1] {
  return { aud, sub, exp: exp ?? 0, ...(nbf === undefined ? {} : { nbf }), ...(meta === undefined ? {} : { meta }) }
}

function heardOf({ stopped, acknowledged, unreachable }: OrderView): Heard {
  return { stopped, acknowledged, unreachable }
}

function timeOf(seconds: number | null): string | null {
  return seconds === null ? null : new Date(seconds * 1_000).toISOString()
}
