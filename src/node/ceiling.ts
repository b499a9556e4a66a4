/** What bounds every right on this device, whoever gave it: trust and lockdown; and what happens at once when owners decide something new. */
import { askerOf } from '../authority/mandate.ts'
import type { Did } from '../identity/identity.ts'
import { type TrustOf, trustOf } from '../registry/trust.ts'
import type { Check } from '../runtime/checks.ts'
import { askedOf } from '../runtime/exec-admission.ts'
import type { LiveCommands } from '../runtime/live.ts'
import { type LocalLockdown, Lockdown } from '../runtime/lockdown.ts'
import { TrustCheck } from '../runtime/trust-check.ts'
import { lockdownFile } from './lockdown-file.ts'
import type { NodeParts } from './parts.ts'
import type { Rooms } from './rooms.ts'

export interface Ceiling {
  readonly trustOf: TrustOf
  readonly lockdown: Lockdown
  readonly local: LocalLockdown
  readonly checks: readonly Check[]
  /** Steering and reading tasks goes on in a lockdown, but not for devices that are not trusted so far. */
  readonly trust: Check
  /** Ends what runs here and is not allowed any more. @returns the tasks. */
  stopBarred(live: LiveCommands): string[]
}

export function openCeiling(p: NodeParts, { orders, directory }: Rooms): Ceiling {
  const self = p.device.did
  const local = lockdownFile(p.home.at('lockdown'))
  const trust = trustOf(orders, directory)
  const isDevice = (did: Did): boolean => directory.isKnown(did)
  const lockdown = new Lockdown({ self, orders, local })
  const trustCheck = new TrustCheck({ self, trustOf: trust, isDevice })
  const ceilings = [lockdown, trustCheck] as const
  return {
    ...{ trustOf: trust, lockdown, local, checks: ceilings, trust: trustCheck },
    stopBarred: (live) =>
      live.stopWhere((resting) => {
        const asked = askedOf(resting, askerOf(resting))
        return ceilings.some((check) => !check.judge(asked).ok)
      }),
  }
}

/** Orders and revocations count at once: for lines, and for what runs. A guest whose last right here is gone has nothing here any more. */
export function heedNews({ records }: Rooms, o: { ceiling: Ceiling; live: LiveCommands; forwards: { judgeAnew(): Promise<void> }; expel: () => void }): void {
  records.onRevocation(() => {
    o.expel()
    return o.live.stopRevoked()
  })
  records.onOrder(() => {
    o.expel()
    void o.forwards.judgeAnew()
    return [...o.live.stopRevoked(), ...o.ceiling.stopBarred(o.live)]
  })
}
