/**
 * The chain of a session: person or device → session key → device. The key is made here, never leaves this object and is never written down;
 * what it was given travels as proofs of its invocations only, so no other device keeps it.
 */

import { rightMeta } from '../authority/approval.ts'
import { DIES_WITH, LAST_LINK, refusePolicies } from '../authority/chain.ts'
import { coversPath } from '../authority/commands.ts'
import { SIGNED_META } from '../authority/freshness.ts'
import type { Revocations } from '../authority/revocations.ts'
import type { Right } from '../authority/rights.ts'
import { SESSION } from '../authority/session.ts'
import { type AnyRecord, type Delegation, linkTo, signDelegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Random } from '../base/clock.ts'
import { type Did, Identity } from '../identity/identity.ts'
import { NONCE_BYTES, type Proof } from './keyring.ts'

export interface LinksOn {
  readonly device: Identity
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly random: Random
  /** Seconds since the epoch. */
  readonly now: () => number
}

/** A right on a device, and the key that holds it. */
export interface Held extends Right {
  readonly subject: Did
  readonly by: Identity
  /** For people. */
  readonly words: string
}

interface Given {
  readonly held: Held
  readonly root: Delegation
}

/** Of which a session asks about its tasks, wherever they run. */
const TASKS = '/task'

export class SessionLinks {
  readonly #key: Identity
  readonly #pass: Delegation
  readonly #given: readonly Given[]
  readonly #leaves = new Map<string, Delegation>()

  /** @param until when the session ends, seconds. */
  constructor(
    private readonly id: string,
    held: readonly Held[],
    private readonly until: number,
    private readonly on: LinksOn,
  ) {
    const { device, random } = on
    this.#key = new Identity(random(32))
    this.#pass = this.#root(device, { subject: device.did, cmd: TASKS, pol: [] })
    this.#given = held.map((one) => ({ held: one, root: this.#root(one.by, one, this.#pass) }))
  }

  /** What has to be revoked to end the session, and by whom. */
  get anchor(): { readonly cid: string; readonly by: readonly Identity[] } {
    const signers = [this.on.device, ...this.#given.map(({ held }) => held.by)]
    return { cid: this.#pass.cid, by: [...new Map(signers.map((key) => [key.did, key])).values()] }
  }

  get rights(): readonly Held[] {
    return this.#given.map(({ held }) => held)
  }

  /** Shows in which session this device asks about its own tasks. @param lease seconds: how long that is true without being said again. */
  pass(lease: number): Uint8Array[] {
    return [this.#pass.bytes, this.#leaf(this.#pass, lease).bytes]
  }

  /** The chain for a command on a device; undefined when the session has nothing like it there. */
  prove(wanted: { readonly subject: Did; readonly command: string; readonly args: AnyRecord }, lease: number): Proof | undefined {
    const { wallet, revocations, now } = this.on
    const fitting = this.#given.filter(({ held }) => held.subject === wanted.subject && coversPath(held.cmd, wanted.command))
    let nearest: Proof | undefined
    for (const { held, root } of fitting) {
      const above = wallet.find({ ...wanted, issuer: held.by.did, now: now(), revocations })
      const chain = [...(above.ok ? above.chain : (above.nearest ?? [])), root, this.#leaf(root, lease)]
      const isWithin = refusePolicies([root], wanted.args) === undefined
      if (above.ok && isWithin) return { chain }
      nearest ??= { chain, doubt: above.ok ? 'the session’s right does not allow it' : above.why }
    }
    return nearest
  }

  #root(by: Identity, { subject, cmd, pol, ...beside }: Pick<Held, 'subject' | 'cmd' | 'pol' | 'approvals' | 'rate'>, pass?: Delegation): Delegation {
    return signDelegation(by, {
      ...{ aud: this.#key.did, sub: subject, cmd, pol, exp: this.until, nonce: this.on.random(NONCE_BYTES) },
      meta: { [SESSION]: this.id, [SIGNED_META]: this.on.now(), ...rightMeta(beside), ...(pass === undefined ? {} : { [DIES_WITH]: linkTo(pass.cid) }) },
    })
  }

  /** From the session's key back to this device: short-lived, and made anew while the session is used. */
  #leaf(root: Delegation, lease: number): Delegation {
    const held = this.#leaves.get(root.cid)
    const slack = Math.max(1, (lease - this.on.now()) / 8)
    if (held?.exp !== undefined && held.exp !== null && held.exp <= lease && held.exp > lease - slack) return held
    const fresh = signDelegation(this.#key, {
      ...{ aud: this.on.device.did, sub: root.sub, cmd: root.cmd, pol: [], exp: lease, nonce: this.on.random(NONCE_BYTES) },
      meta: { [SESSION]: this.id, [SIGNED_META]: this.on.now(), [LAST_LINK]: true },
    })
    this.#leaves.set(root.cid, fresh)
    return fresh
  }
}
