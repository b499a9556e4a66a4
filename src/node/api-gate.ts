/**
 * Who may come in at the HTTP API beyond its shared secret, and what is written down of it. Answers from the node that runs at the moment;
 * while there is none, nobody is a member and nothing can be recorded, so nothing is changed.
 */
import type { Fact } from '../audit/facts.ts'
import type { Revocations } from '../authority/revocations.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { asDid, type Did, didOfPeerId } from '../identity/identity.ts'
import type { CallLog } from '../local/tcp.ts'
import type { Directory } from '../registry/directory.ts'
import { DenialMeter } from '../runtime/denial.ts'
import type { Log } from './parts.ts'

/** What a node knows of who is who. */
export interface Standing {
  /** Mesh id in hex. */
  readonly mesh: string
  readonly directory: Pick<Directory, 'isMember' | 'named'>
  readonly wallet: Pick<Wallet, 'find'>
  readonly revocations: Revocations
  readonly audit: { append(fact: Fact): Promise<unknown> }
}

export interface ApiGateOn {
  readonly self: Did
  readonly standing: () => Standing | undefined
  readonly clock: Clock
  readonly log: Log
}

/** Strangers have as many addresses as they like, so all of them share one bucket (docs/decisions/0009). */
const STRANGERS = 'strangers'

export class ApiGate implements CallLog {
  readonly #denials: DenialMeter

  constructor(private readonly on: ApiGateOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /**
   * The API acts with this device's own power. So a certificate lets in this device itself, and devices that hold all of that power by grants:
   * the chain that the exec door would ask for, for everything and without conditions, living and unrevoked at this moment.
   * Security order: 1. this mesh, 2. a member of it, 3. the power.
   * @returns its DID. @throws FORBIDDEN_CERTIFICATE, DENIED
   */
  memberOf(mesh: string, peerId: string): Did {
    const { self, clock } = this.on
    const standing = this.on.standing()
    if (standing === undefined || standing.mesh !== mesh) throw forbidden('it names a device of another mesh')
    const did = didNamed(peerId)
    if (!standing.directory.isMember(did)) throw forbidden(`it names ${did}, which is no member of this mesh`)
    const { wallet, revocations } = standing
    const found = wallet.find({ issuer: did, subject: self, command: '/', now: Math.floor(clock.now() / 1_000), revocations })
    if (found.ok && found.chain.every(({ pol }) => pol.length === 0)) return did
    throw new ErrandError('DENIED', `${standing.directory.named(did)} may not do everything on this device, and this API can`, {
      hint: 'it can ask for what it may over the mesh: errand run; a device that joined with --role admin may come in here',
    })
  }

  refused({ what, from, actor, reason }: Parameters<CallLog['refused']>[0]): void {
    const { self, log } = this.on
    log('API: refused', { what, from, reason })
    const more = this.#denials.take(actor ?? STRANGERS)
    if (more === undefined) return
    const said = more === 0 ? reason : `${reason} (and ${more} more refusals before)`
    const fact: Fact = {
      actor: actor === undefined ? self : asDid(actor),
      action: 'api.denied',
      result: 'denied',
      subject: what,
      details: { reason: said, from },
    }
    this.#append(fact).catch((thrown: unknown) => log('API: not recorded', { what, why: asErrand(thrown).message }))
  }

  async called({ what, from, actor, by }: Parameters<CallLog['called']>[0]): Promise<void> {
    await this.#append({ actor: asDid(actor), action: 'api.call', result: 'allowed', subject: what, details: { from, why: by } })
  }

  async #append(fact: Fact): Promise<void> {
    const standing = this.on.standing()
    if (standing === undefined)
      throw new ErrandError('NO_MESH', 'this device belongs to no mesh yet, so nothing can be recorded', { hint: 'join one on this device: errand join' })
    await standing.audit.append(fact)
  }
}

function didNamed(peerId: string): Did {
  try {
    return didOfPeerId(peerId)
  } catch {
    throw forbidden('its URI names no device')
  }
}

function forbidden(why: string): ErrandError {
  return new ErrandError('FORBIDDEN_CERTIFICATE', `the client certificate is not for this node: ${why}`, {
    hint: 'errand status --json shows the mesh id, errand devices --json the peer ids of its members',
  })
}
