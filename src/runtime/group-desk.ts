/**
 * Groups of devices, as an owner makes and changes them. Who was given something on account of a group has it on each of its devices: what a
 * device lacks when it comes in is signed for it, what it has by the group alone is taken back when it leaves.
 */
import type { GroupChanged, GroupRequest, GroupView } from '../../protocols/local/roles.ts'
import { type Delegation, signDelegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import { FOR_GROUP, type GroupEnd, type Groups, groupOf } from './groups.ts'
import { type Keyring, NONCE_BYTES } from './keyring.ts'
import type { Lineage } from './lineage.ts'
import type { OrderDesk } from './order-desk.ts'
import type { RightsDesk } from './rights-desk.ts'
import type { Roles } from './roles.ts'

/** What the runtime offers of it. */
export interface GroupRoom {
  list(): Promise<GroupView[]>
  /** @throws NOT_AN_OWNER, UNKNOWN_DEVICE, AMBIGUOUS_DEVICE when a device has that name */
  change(request: GroupRequest): Promise<GroupChanged>
}

export interface GroupDeskOn {
  readonly groups: Groups
  readonly roles: Roles
  readonly orders: Pick<OrderDesk, 'decide'>
  readonly rights: Pick<RightsDesk, 'issue' | 'takeBack'>
  readonly keyring: Keyring
  readonly wallet: Wallet
  readonly lineage: Lineage
  readonly directory: Directory
  readonly random: Random
}

export class GroupDesk implements GroupRoom {
  constructor(private readonly on: GroupDeskOn) {}

  list(): Promise<GroupView[]> {
    return Promise.resolve(this.on.groups.names().map((name) => this.#view(name)))
  }

  async change({ group, add = [], remove = [] }: GroupRequest): Promise<GroupChanged> {
    const { groups, directory, orders, rights, keyring } = this.on
    if (directory.everyone().some(({ name }) => name === group))
      throw new ErrandError('AMBIGUOUS_DEVICE', `a device is called "${group}"`, { hint: 'give the group another name' })
    const added = add.map((text) => directory.resolve(text))
    groups.refuseGuests(added)
    const leaving = remove.map((text) => directory.resolve(text))
    const devices = [...new Set([...groups.listed(group), ...added])].filter((did) => !leaving.includes(did))
    const words = devices.length === 0 ? 'no device' : devices.map((did) => this.#nameOf(did)).join(', ')
    const heard = await orders.decide({ kind: 'group', subject: group, body: { devices }, fact: { action: 'group.change', details: { name: group, words } } })
    const held = this.#held(group)
    const issued = lacking(held, group, devices).flatMap((link) => this.#signed(link))
    if (issued.length > 0) await rights.issue(issued, 'group.join')
    const surplus = held.filter((link) => endsIn(link, group).some(([, did]) => did !== null && !devices.includes(did)))
    const taken = surplus.length === 0 ? undefined : await rights.takeBack(surplus, 'group.leave', keyring.owner)
    const { acknowledged, unreachable } = heard
    return {
      ...this.#view(group),
      ...{ issued: issued.map(({ cid }) => cid), revoked: taken?.grants ?? [], acknowledged, unreachable },
      stopped: [...new Set([...heard.stopped, ...(taken?.stopped ?? [])])],
    }
  }

  /** What was given on account of the group with a key that this device has: others' grants are theirs to renew. */
  #held(group: string): Delegation[] {
    const keys = this.#keys()
    return this.on.wallet.list().filter((link) => keys.has(link.iss) && endsIn(link, group).length > 0 && this.on.lineage.isLive(link))
  }

  #keys(): Map<Did, Identity> {
    const { keyring, roles } = this.on
    const keys = [...keyring.keys(), ...roles.names().flatMap((name) => roles.keyOf(name) ?? [])]
    return new Map(keys.map((key) => [key.did, key]))
  }

  #signed({ iss, aud, sub, cmd, pol, exp, nbf, meta }: Wanting): Delegation[] {
    const key = this.#keys().get(iss)
    if (key === undefined) return []
    const rest = { ...(nbf === undefined ? {} : { nbf }), ...(meta === undefined ? {} : { meta }) }
    return [signDelegation(key, { aud, sub, cmd, pol, exp, ...rest, nonce: this.on.random(NONCE_BYTES) })]
  }

  #view(group: string): GroupView {
    return { group, devices: this.on.groups.listed(group).map((did) => this.#nameOf(did)) }
  }

  #nameOf(did: Did): string {
    return this.on.directory.nameOf(did) ?? did
  }
}

/** A link that is to be signed. */
type Wanting = Omit<Delegation, 'cid' | 'bytes' | 'nonce'>

/** Which ends of a link are there on account of the group, and the device at each. */
function endsIn(link: Wanting, group: string): (readonly [GroupEnd, Did | null])[] {
  return (Object.keys(FOR_GROUP) as GroupEnd[]).flatMap((end) => (groupOf(link, end) === group ? [[end, end === 'on' ? link.sub : link.aud] as const] : []))
}

/** The links that are there, for every device of the group for which they are not. */
function lacking(held: readonly Delegation[], group: string, devices: readonly Did[]): Wanting[] {
  const known = new Set(held.map(keyOf))
  const wanted = held.flatMap((link) =>
    endsIn(link, group).flatMap(([end]) => devices.map((did): Wanting => (end === 'on' ? { ...link, sub: did } : { ...link, aud: did }))),
  )
  return wanted.filter((link) => {
    const key = keyOf(link)
    return link.aud !== link.sub && !known.has(key) && known.add(key)
  })
}

function keyOf({ iss, aud, sub, cmd, pol, meta, nbf }: Wanting): string {
  return JSON.stringify([iss, aud, sub, cmd, pol, meta, nbf])
}
