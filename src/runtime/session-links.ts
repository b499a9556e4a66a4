/**
 * The chain of a session: person or device → session key → device. The key is made here, never leaves this object, is never written down and is
 * replaced while the session is used; what it was given travels as proofs of its invocations only, so no other device keeps it.
 */

import { RUNS_UNTIL_META } from '../../protocols/authority/messages.ts'
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
  /** How long a link of a session is good for asking; past the half of it there is another key. */
  readonly linkSeconds: number
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

/** One key of the session, and what it was given. */
interface Epoch {
  readonly key: Identity
  readonly pass: Delegation
  readonly given: readonly Given[]
  /** From the key back to this device, by what they rest on. */
  readonly leaves: Map<string, Delegation>
  /** When its links expire, and from when on the next one is made; seconds. */
  readonly expires: number
  readonly stale: number
}

/** Signs for a link of the session: to its key, or back from it. */
interface Link extends Pick<Held, 'subject' | 'cmd' | 'pol' | 'approvals' | 'rate' | 'limits'> {
  readonly expires: number
  readonly more?: AnyRecord
}

export class SessionLinks {
  readonly #held: readonly Held[]
  /** By its name all links of the session die at once, also those of later keys. */
  readonly #anchor: Delegation
  #epoch: Epoch

  /** @param until when the session ends, seconds. */
  constructor(
    private readonly id: string,
    held: readonly Held[],
    private readonly until: number,
    private readonly on: LinksOn,
  ) {
    this.#held = held
    this.#epoch = this.#begin(undefined)
    this.#anchor = this.#epoch.pass
  }

  /** What has to be revoked to end the session, and by whom. */
  get anchor(): { readonly cid: string; readonly by: readonly Identity[] } {
    const signers = [this.on.device, ...this.#held.map(({ by }) => by)]
    return { cid: this.#anchor.cid, by: [...new Map(signers.map((key) => [key.did, key])).values()] }
  }

  get rights(): readonly Held[] {
    return this.#held
  }

  /** Shows in which session this device asks about its own tasks. */
  pass(): Uint8Array[] {
    const epoch = this.#now()
    return [epoch.pass.bytes, this.#leaf(epoch, epoch.pass).bytes]
  }

  /** The chain for a command on a device; undefined when the session has nothing like it there. */
  prove(wanted: { readonly subject: Did; readonly command: string; readonly args: AnyRecord }): Proof | undefined {
    const { wallet, revocations, now } = this.on
    const epoch = this.#now()
    const fitting = epoch.given.filter(({ held }) => held.subject === wanted.subject && coversPath(held.cmd, wanted.command))
    let nearest: Proof | undefined
    for (const { held, root } of fitting) {
      const above = wallet.find({ ...wanted, issuer: held.by.did, now: now(), revocations })
      const chain = [...(above.ok ? above.chain : (above.nearest ?? [])), root, this.#leaf(epoch, root)]
      const isWithin = refusePolicies([root], wanted.args) === undefined
      if (above.ok && isWithin) return { chain }
      nearest ??= { chain, doubt: above.ok ? 'the session’s right does not allow it' : above.why }
    }
    return nearest
  }

  /** The key in use; past the half of its life another one takes its place, and nothing here remembers it. */
  #now(): Epoch {
    if (this.on.now() >= this.#epoch.stale) this.#epoch = this.#begin(this.#anchor)
    return this.#epoch
  }

  #begin(anchor: Delegation | undefined): Epoch {
    const { device, random, linkSeconds } = this.on
    const now = this.on.now()
    const key = new Identity(random(32))
    const expires = Math.min(this.until, now + linkSeconds)
    const stale = expires === this.until ? Number.POSITIVE_INFINITY : now + Math.ceil(linkSeconds / 2)
    const dies = (cid: string): AnyRecord => ({ [DIES_WITH]: linkTo(cid) })
    const about = { subject: device.did, cmd: TASKS, pol: [], expires }
    const pass = this.#sign(device, key.did, anchor === undefined ? about : { ...about, more: dies(anchor.cid) })
    const more = dies((anchor ?? pass).cid)
    const given = this.#held.map((held) => ({ held, root: this.#sign(held.by, key.did, { ...held, expires, more }) }))
    return { key, pass, given, leaves: new Map(), expires, stale }
  }

  #leaf({ key, leaves, expires }: Epoch, root: Delegation): Delegation {
    const leaf =
      leaves.get(root.cid) ??
      this.#sign(key, this.on.device.did, { subject: root.sub ?? this.on.device.did, cmd: root.cmd, pol: [], expires, more: { [LAST_LINK]: true } })
    leaves.set(root.cid, leaf)
    return leaf
  }

  #sign(by: Identity, to: Did, { subject, cmd, pol, expires, more, ...beside }: Link): Delegation {
    const later = expires === this.until ? {} : { [RUNS_UNTIL_META]: this.until }
    return signDelegation(by, {
      ...{ aud: to, sub: subject, cmd, pol, exp: expires, nonce: this.on.random(NONCE_BYTES) },
      meta: { [SESSION]: this.id, [SIGNED_META]: this.on.now(), ...later, ...rightMeta(beside), ...more },
    })
  }
}
