/** Devices of this mesh that are turned away at the door: in the log, as far as refusals are. Strangers are not: keys cost nothing. */
import type { Fact } from '../audit/facts.ts'
import { systemClock as clock } from '../base/clock.ts'
import type { Did } from '../identity/identity.ts'
import { DenialMeter } from '../runtime/denial.ts'

interface TurnedAway {
  readonly did: Did
  readonly address: string
  readonly code: string
  readonly reason: string
}

export function doorkeeper(audit: { append(fact: Fact): Promise<unknown> }): (seen: TurnedAway) => void {
  const meter = new DenialMeter(clock)
  return ({ did, address, code, reason }) => {
    const more = meter.take(did)
    if (more === undefined) return
    const said = more === 0 ? reason : `${reason} (and ${more} more refusals before)`
    const fact: Fact = { actor: did, action: 'device.refused', result: 'denied', subject: did, details: { reason: said, why: code, from: address } }
    void audit.append(fact).catch(() => undefined)
  }
}
