/**
 * Work that outlives its asker: this device invokes itself on the chain that ends with the asker's mandate (or, for what it asked of itself, on
 * its own), whenever such work is about to start. Everything is judged anew each time: revocations, policies, the clock.
 */
import type { Warrant } from '../../protocols/host/messages.ts'
import { mandateIn } from '../authority/chain.ts'
import type { RevocationView } from '../authority/revocations.ts'
import type { SeenNonces } from '../authority/seen.ts'
import { type AnyRecord, decodeDelegation, sealInvocation, TokenError } from '../authority/token.ts'
import { type Admission, type Refusal, verifyInvocation } from '../authority/verify.ts'
import type { Clock, Random } from '../base/clock.ts'
import type { Did, Identity } from '../identity/identity.ts'
import { NONCE_BYTES } from './keyring.ts'

/** From the invocation to the exec-host's look at it lies one write to the disk. */
const LIFE_SECONDS = 120
const CHALLENGE_BYTES = 16

export interface MandatesOn {
  readonly device: Identity
  readonly revocations: RevocationView
  readonly clock: Clock
  readonly random: Random
}

/** What runs without whoever asked: the mandate, and the links that it rests on. */
export interface Mandated {
  readonly caller: Did
  readonly command: string
  readonly args: AnyRecord
  /** Root first; the mandate last, where the caller is another device. */
  readonly proofs: readonly Uint8Array[]
}

export type Invoked = { readonly admission: Admission; readonly warrant: Warrant } | Refusal

export class Mandates {
  constructor(private readonly on: MandatesOn) {}

  /** Of the asker's own invocation nothing is used but what it declared: it may be long dead. */
  invoke({ caller, command, args, proofs }: Mandated): Invoked {
    const { device, revocations, clock, random } = this.on
    try {
      const chain = proofs.map((bytes) => decodeDelegation(bytes))
      if (caller !== device.did && mandateIn(chain)?.iss !== caller) return noMandate('what was sent for the time after the asker is no mandate of the asker')
      const now = Math.floor(clock.now() / 1_000)
      const challenge = random(CHALLENGE_BYTES)
      const invocation = sealInvocation(device, {
        ...{ sub: device.did, aud: device.did, cmd: command, args, prf: chain.map(({ cid }) => cid), exp: now + LIFE_SECONDS, iat: now },
        nonce: Buffer.concat([challenge, random(NONCE_BYTES)]),
      })
      const context = { self: device.did, peer: device.did, challenge, now, revocations, seen: FRESH, isWork: true }
      const seen = verifyInvocation(invocation, proofs, context)
      return seen.ok ? { admission: seen, warrant: { caller: device.did, challenge, invocation, proofs: [...proofs] } } : seen
    } catch (thrown) {
      if (thrown instanceof TokenError) return { ok: false, code: thrown.code, detail: `the mandate: ${thrown.message}` }
      throw thrown
    }
  }
}

/** It was made a moment ago, here. */
const FRESH: SeenNonces = { take: () => 'new' }

export function noMandate(detail: string): Refusal {
  return { ok: false, code: 'BAD_MANDATE', detail }
}
