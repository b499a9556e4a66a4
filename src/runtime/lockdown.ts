/** Lockdown: no new work for others, no joins, no new grants. An owner orders it for all devices or for one; whoever is at a device can order it for that one alone. */
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { Orders } from '../registry/orders.ts'
import type { Asked, Check, Verdict } from './checks.ts'

/** A lockdown of this device alone, kept on its disk. */
export interface LocalLockdown {
  get(): { readonly reason: string } | undefined
  set(state: { readonly reason: string } | undefined): Promise<void>
}

export interface LockdownOn {
  readonly self: Did
  readonly orders: Pick<Orders, 'get'>
  readonly local: LocalLockdown
}

export class Lockdown implements Check {
  readonly step = 'lockdown'

  constructor(private readonly on: LockdownOn) {}

  /** In words, while there is one here. */
  get words(): string | undefined {
    const { orders, local, self } = this.on
    const here = local.get()
    if (here !== undefined) return sayLockdown('this device is in lockdown by its own word', here.reason)
    const all = orders.get('lockdown', '')
    if (all?.on === true) return sayLockdown('the mesh is in lockdown', all.reason)
    const own = orders.get('lockdown', self)
    return own?.on === true ? sayLockdown('this device is in lockdown', own.reason) : undefined
  }

  get hint(): string {
    return this.on.local.get() === undefined ? 'an owner lifts it: errand lockdown off' : 'on that device: errand lockdown off --here'
  }

  /** What a device asks of itself goes on, unless an owner has locked down the asking device: then nobody else does anything for it. */
  judge({ caller }: Asked): Verdict {
    const { self, orders } = this.on
    if (caller === self) return { ok: true, detail: 'a device runs its own commands in a lockdown too' }
    const theirs = orders.get('lockdown', caller)
    const words = this.words ?? (theirs?.on === true ? sayLockdown('the asking device is in lockdown', theirs.reason) : undefined)
    if (words === undefined) return { ok: true, detail: 'no lockdown' }
    return { ok: false, code: 'LOCKDOWN', detail: words, hint: this.hint }
  }

  /** For what hands out power: invites, joins, grants. @throws LOCKDOWN */
  refuse(): void {
    const { words } = this
    if (words !== undefined) throw new ErrandError('LOCKDOWN', words, { hint: this.hint })
  }
}

function sayLockdown(what: string, reason: string | undefined): string {
  return reason === undefined || reason === '' ? what : `${what}: ${reason}`
}
