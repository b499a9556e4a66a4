/** What owners decide about devices: that one is removed, how far it is trusted, that nothing new happens for now. Orders say who counts; what rests on whom does not, ends. */
import type { LockdownRequest, RemoveRequest, TrustRequest } from '../../protocols/local/devices.ts'
import type { OrderView } from '../../protocols/local/orders.ts'
import { revoke } from '../authority/revocations.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { LocalLockdown } from './lockdown.ts'
import type { OrderDesk, OrderDeskOn } from './order-desk.ts'

/** What the runtime offers of it. */
export interface DeviceRoom {
  /** @throws NOT_AN_OWNER, UNKNOWN_DEVICE, OWN_DEVICE */
  remove(request: RemoveRequest): Promise<OrderView>
  /** @throws NOT_AN_OWNER, UNKNOWN_DEVICE */
  trust(request: TrustRequest): Promise<OrderView>
  /** @throws NOT_AN_OWNER, but for `here` */
  lockdown(request: LockdownRequest): Promise<OrderView>
}

export interface DeviceDeskOn extends Omit<OrderDeskOn, 'orders'> {
  readonly desk: Pick<OrderDesk, 'decide'>
  readonly wallet: Wallet
  readonly random: Random
  readonly local: LocalLockdown
  /** Ends what a lockdown of this device forbids. @returns the tasks. */
  readonly stopBarred: () => string[]
}

export class DeviceDesk implements DeviceRoom {
  constructor(private readonly on: DeviceDeskOn) {}

  /** The order ends all that passes through the device. What was given to it is revoked as well, so that nothing of it comes back with the device. */
  async remove({ device, reason }: RemoveRequest): Promise<OrderView> {
    const { directory, keyring, desk } = this.on
    const subject = directory.resolve(device)
    if (subject === keyring.device.did) {
      throw new ErrandError('OWN_DEVICE', 'a device does not remove itself', { hint: 'run it on another device that holds an owner’s key' })
    }
    const name = directory.nameOf(subject) ?? device
    const seen = await desk.decide({
      ...{ kind: 'remove', subject, body: reason === undefined ? {} : { reason } },
      after: directory.member(subject)?.at ?? 0,
      fact: { action: 'device.remove', details: { name, ...(reason === undefined ? {} : { reason }) } },
    })
    const stopped = await this.#takeBack(subject)
    return { ...seen, stopped: [...new Set([...seen.stopped, ...stopped])] }
  }

  async trust({ device, level }: TrustRequest): Promise<OrderView> {
    const subject = this.on.directory.resolve(device)
    if (level === 'trusted' && this.on.directory.isGuest(subject)) {
      throw new ErrandError('GUEST', 'a guest is never trusted with more than its grants', { hint: 'invite it as a member, without --guest' })
    }
    return await this.on.desk.decide({ kind: 'trust', subject, body: { level }, fact: { action: 'device.trust', details: { words: `trust ${level}` } } })
  }

  async lockdown({ on, reason, device, here }: LockdownRequest): Promise<OrderView> {
    if (here === true) return await this.#here(on, reason)
    const subject = device === undefined ? '' : this.on.directory.resolve(device)
    const body = { on, ...(reason === undefined ? {} : { reason }) }
    return await this.on.desk.decide({ kind: 'lockdown', subject, body, fact: lockdownFact(on, reason, subject === '' ? 'all devices' : 'one device') })
  }

  async #here(on: boolean, reason: string | undefined): Promise<OrderView> {
    const { audit, keyring, local } = this.on
    const self = keyring.device.did
    await local.set(on ? { reason: reason ?? '' } : undefined)
    const stopped = on ? this.on.stopBarred() : []
    await audit.append({ actor: self, result: 'ok', subject: self, ...lockdownFact(on, reason, 'this device alone') })
    return { kind: 'lockdown', subject: self, stopped, acknowledged: [], unreachable: [] }
  }

  async #takeBack(subject: Did): Promise<string[]> {
    const { wallet, keyring, records, telling, random } = this.on
    const { owner } = keyring
    if (owner === undefined) return []
    const now = keyring.nowSeconds()
    const given = wallet.list().filter(({ aud, exp }) => aud === subject && (exp === null || exp > now))
    const revocations = given.map(({ cid }) => revoke(owner, cid, random).bytes)
    const stopped: string[] = []
    for (const bytes of revocations) stopped.push(...(await records.admit('revocations', bytes)).stopped)
    const told = revocations.length === 0 ? [] : await telling.push('revocations', revocations)
    return [...stopped, ...told.flatMap((one) => one.stopped)]
  }
}

function lockdownFact(on: boolean, reason: string | undefined, whom: string): { action: string; details: { words: string; reason?: string } } {
  return { action: on ? 'lockdown.on' : 'lockdown.off', details: { words: `lockdown of ${whom}`, ...(reason === undefined ? {} : { reason }) } }
}
