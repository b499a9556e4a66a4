/** The way to the exec door of a device, this one included, and the signed words that open it. Carries nothing itself. */
import { QUESTION_META } from '../../protocols/authority/messages.ts'
import { EXEC } from '../../protocols/exec/messages.ts'
import { hasRoomFor, signMandate } from '../authority/mandate.ts'
import { decodeDelegation, sealInvocation } from '../authority/token.ts'
import { type Clock, pause, type Random } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
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
  /** In which session this device asks about a task of its own. */
  readonly session?: Uint8Array[]
}

export interface Mandate {
  readonly mandate?: Uint8Array
}

/** A session, as far as signing goes. */
export interface Scope {
  readonly id: string
  /** @throws DENIED when it has no right of that kind there. */
  prove(subject: Did, command: string, args: Args): Proof
  pass(): Uint8Array[]
}

/** Opens streams, and signs for them with one set of rights: all that this device has, or those of a session. */
export interface Side {
  /** @throws NO_ROUTE, LINK_CLOSED, NOT_ADMITTED */
  open(device: Did, signal: AbortSignal): Promise<Far>
  /** An invocation for this one connection, with the proofs that can be shown. @throws DENIED in a session without a right of that kind. */
  sign(device: Did, command: string, args: Args, far: Pick<Far, 'synced'> & ToSeal): Promise<Signed>
  /** Lets the device run just this by itself, later too, on the proofs that were shown for it. None where a device asks itself, or the chain is full. */
  mandate(device: Did, command: string, args: Args, shown: Pick<Signed, 'proofs'>): Mandate
}

interface ToSeal extends Pick<Far, 'challenge'> {
  /** A question, which nobody can take for an order. */
  readonly asks?: boolean
}

type Args = Parameters<Keyring['prove']>[2]

export class FarSide implements Side {
  constructor(private readonly on: FarOn) {}

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
    return this.doubt(device, command, args) === undefined
  }

  /** Why the device would refuse, as far as this one knows. */
  doubt(device: Did, command: string, args: Args): string | undefined {
    try {
      return this.on.keyring.prove(device, command, args).doubt
    } catch (thrown) {
      return asErrand(thrown).message
    }
  }

  /** The same for whatever acts in a session; outside of one, this. */
  in(scope: Scope | undefined): Side {
    if (scope === undefined) return this
    return {
      open: (device, signal) => this.open(device, signal),
      mandate: (device, command, args, shown) => this.mandate(device, command, args, shown),
      sign: async (device, command, args, far) => {
        const pass = { session: scope.pass() }
        // Its tasks are its own without a right of anybody else's; for all else it shows its chain, and never none: that would be this device.
        if (command.startsWith('/task/')) return { ...this.#seal(device, { command, args, chain: [] }, far), ...pass }
        const { chain } = await this.#settled(() => scope.prove(device, command, args), far.synced)
        return this.#seal(device, { command, args, chain }, far)
      },
    }
  }

  async sign(device: Did, command: string, args: Args, far: Pick<Far, 'synced'> & ToSeal): Promise<Signed> {
    const { chain } = await this.#settled(() => this.on.keyring.prove(device, command, args), far.synced)
    return this.#seal(device, { command, args, chain }, far)
  }

  mandate(device: Did, command: string, args: Args, { proofs }: Pick<Signed, 'proofs'>): Mandate {
    const { keyring, random } = this.on
    if (device === keyring.device.did || !hasRoomFor(proofs)) return {}
    const chain = proofs.map((bytes) => decodeDelegation(bytes))
    const signing = { chain, now: keyring.nowSeconds(), nonce: random(NONCE_BYTES) }
    return { mandate: signMandate(keyring.device, { subject: device, command, args }, signing).bytes }
  }

  #seal(device: Did, { command, args, chain }: { command: string; args: Args; chain: Proof['chain'] }, far: ToSeal): Signed {
    const { keyring, random } = this.on
    const now = keyring.nowSeconds()
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
  async #settled(prove: () => Proof, synced: Promise<void>): Promise<Proof> {
    const proof = prove()
    if (proof.doubt === undefined) return proof
    await Promise.race([synced, pause(this.on.clock, GRANT_WAIT_MS)])
    return prove()
  }
}
