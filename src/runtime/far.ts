/** The way to the exec door of a device, this one included, and the signed words that open it. Carries nothing itself. */
import { QUESTION_META } from '../../protocols/authority/messages.ts'
import { EXEC } from '../../protocols/exec/messages.ts'
import { sealInvocation } from '../authority/token.ts'
import { type Clock, pause, type Random } from '../base/clock.ts'
import { FrameLink } from '../base/frames.ts'
import { memoryLinks } from '../base/memory-link.ts'
import type { Did } from '../identity/identity.ts'
import type { ExecCaller } from './exec-admission.ts'
import { type Keyring, NONCE_BYTES, type Proof } from './keyring.ts'

const INVOCATION_LIFE_SECONDS = 120
const GRANT_WAIT_MS = 3_000

/** An exec stream to a device. */
export interface Far {
  readonly link: FrameLink
  readonly challenge: Uint8Array
  /** Resolves when the grants that the device knows of are here. */
  readonly synced: Promise<void>
  /** Where the device is, for whoever comes to it directly; null when it is reached through another one. */
  readonly host: string | null
}

/** The way to another device's exec door. */
export interface ExecRoute {
  /** @throws NO_ROUTE, LINK_CLOSED, NOT_ADMITTED */
  open(device: Did, o: { signal: AbortSignal }): Promise<Far>
}

export interface FarOn {
  readonly keyring: Keyring
  readonly route: ExecRoute
  readonly door: { serve(link: FrameLink, caller: ExecCaller, o: { signal: AbortSignal }): Promise<void> }
  readonly clock: Clock
  readonly random: Random
}

export interface Signed {
  readonly invocation: Uint8Array
  readonly proofs: Uint8Array[]
}

type Args = Parameters<Keyring['prove']>[2]

export class FarSide {
  constructor(private readonly on: FarOn) {}

  /** @throws NO_ROUTE, LINK_CLOSED, NOT_ADMITTED */
  async open(device: Did, signal: AbortSignal): Promise<Far> {
    const { keyring, route, door, random } = this.on
    if (device !== keyring.device.did) return await route.open(device, { signal })
    const [mine, doors] = memoryLinks()
    const challenge = random(16)
    const caller = { did: device, challenge, address: 'this device', synced: Promise.resolve() }
    void door.serve(new FrameLink(doors, EXEC.maxFrameBytes), caller, { signal })
    return { link: new FrameLink(mine, EXEC.maxFrameBytes), challenge, synced: Promise.resolve(), host: '127.0.0.1' }
  }

  /** Whether the device would do it, as far as this one knows. */
  may(device: Did, command: string, args: Args): boolean {
    return this.on.keyring.prove(device, command, args).doubt === undefined
  }

  /** An invocation for this one connection, with the proofs that this device can show. `asks`: a question, which nobody can take for an order. */
  async sign(device: Did, command: string, args: Args, far: Pick<Far, 'challenge' | 'synced'> & { readonly asks?: boolean }): Promise<Signed> {
    const { keyring, random } = this.on
    const now = keyring.nowSeconds()
    const { chain } = await this.#prove(device, command, args, far.synced)
    const invocation = sealInvocation(keyring.device, {
      sub: device,
      aud: device,
      cmd: command,
      args,
      prf: chain.map((link) => link.cid),
      nonce: Buffer.concat([far.challenge, random(NONCE_BYTES)]),
      exp: now + INVOCATION_LIFE_SECONDS,
      iat: now,
      ...(far.asks === true ? { meta: { [QUESTION_META]: true } } : {}),
    })
    return { invocation, proofs: chain.map((link) => link.bytes) }
  }

  /** A device that was met a moment ago may be about to tell of the very grant that is needed. */
  async #prove(device: Did, command: string, args: Args, synced: Promise<void>): Promise<Proof> {
    const { keyring, clock } = this.on
    const proof = keyring.prove(device, command, args)
    if (proof.doubt === undefined) return proof
    await Promise.race([synced, pause(clock, GRANT_WAIT_MS)])
    return keyring.prove(device, command, args)
  }
}
