/** The ceiling of trust: what a device may ask for at most, whatever it was granted. It counts for everybody a right passes through, not only for who asks. */
import type { TrustLevel } from '../../protocols/member/orders.ts'
import { coversPath } from '../authority/commands.ts'
import type { Did } from '../identity/identity.ts'
import type { TrustOf } from '../registry/trust.ts'
import type { Asked, Check, Verdict } from './checks.ts'

/** Administration: what changes who may do what, or what a device is. */
export const ADMIN = ['/mesh', '/config/write', '/audit/export', '/approval', '/ucan'] as const

/** What each level may ask for. protocols/member/README.md shows the same table. */
const CEILING: Readonly<Record<TrustLevel, (command: string) => boolean>> = {
  trusted: () => true,
  verified: (command) => !ADMIN.some((path) => coversPath(path, command)),
  untrusted: (command) => command === '/device/info',
}

export class TrustCheck implements Check {
  readonly step = 'trust'

  constructor(private readonly on: { readonly self: Did; readonly trustOf: TrustOf; readonly isDevice: (did: Did) => boolean }) {}

  judge({ caller, command, admission }: Asked): Verdict {
    const { self, trustOf, isDevice } = this.on
    const through = [...admission.chain.flatMap(({ iss, aud }) => [iss, aud]), caller]
    const devices = [...new Set(through)].filter((did) => did !== self && isDevice(did))
    const low = devices.find((did) => !CEILING[trustOf(did)](command))
    if (low === undefined) return { ok: true, detail: `trust ${trustOf(caller)}` }
    const who = low === caller ? 'the asking device' : `${low}, which the right passes through,`
    return {
      ok: false,
      code: 'TRUST',
      detail: `${who} is ${trustOf(low)}, and such a device may not ask for ${command}`,
      hint: `an owner can raise it: errand device trust ${low} ${trustOf(low) === 'untrusted' ? 'verified' : 'trusted'}`,
    }
  }
}
