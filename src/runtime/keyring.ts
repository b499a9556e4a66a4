/** The keys this device signs with, and the proofs that it can show for what it asks of others. */
import { demandedOf, SIGNED_META } from '../authority/freshness.ts'
import type { Revocations } from '../authority/revocations.ts'
import { type AnyRecord, type Delegation, signDelegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock, Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'

/** A link from the owner key to the owner's own device. What runs on a chain ends with it, so it lasts as long as a long command; it is never kept. */
const OWN_LINK_SECONDS = 30 * 86_400
/** Signed anew so often, where nothing demands more. */
const OWN_LINK_FRESH_SECONDS = 3_600
export const NONCE_BYTES = 16

export interface KeyringOn {
  readonly device: Identity
  /** The owner's key of this device, while there is one and it is open. */
  readonly owner?: Identity | (() => Identity | undefined)
  /** Whether a key is that of an owner now. Absent: it is. */
  readonly isOwner?: (did: Did) => boolean
  /** Whose key lies here under a passphrase that nobody has typed lately. */
  readonly lockedOwner?: () => Did | undefined
  readonly wallet: Wallet
  readonly revocations: Revocations
  readonly clock: Clock
  readonly random: Random
}

export interface Proof {
  readonly chain: readonly Delegation[]
  /** Why the executor will refuse, as far as it can be told from here. */
  readonly doubt?: string
}

export class Keyring {
  readonly #ownLinks = new Map<string, Delegation>()

  constructor(private readonly on: KeyringOn) {}

  get device(): Identity {
    return this.on.device
  }

  /** Undefined where none lies, and also while it is locked, or is not that of an owner. */
  get owner(): Identity | undefined {
    const { owner, isOwner } = this.on
    const held = typeof owner === 'function' ? owner() : owner
    return held === undefined || isOwner?.(held.did) === false ? undefined : held
  }

  /** Why this device cannot do what needs an owner's key. @param what in words: only an owner … */
  noOwner(what: string, hint = 'run it on a device that holds an owner’s key'): ErrandError {
    const locked = this.#locked()
    if (locked !== undefined) return new ErrandError('OWNER_LOCKED', `${what}, and the owner’s key of this device is locked`, { hint: 'errand owner unlock' })
    return new ErrandError('NOT_AN_OWNER', `${what}, and this device holds no owner’s key`, { hint })
  }

  #locked(): Did | undefined {
    const did = this.on.lockedOwner?.()
    return did === undefined || this.on.isOwner?.(did) === false ? undefined : did
  }

  /** Strongest first. */
  keys(): Identity[] {
    const { owner } = this
    return owner === undefined ? [this.on.device] : [owner, this.on.device]
  }

  nowSeconds(): number {
    return Math.floor(this.on.clock.now() / 1_000)
  }

  /** The chain to show for a command on a device: this device's own grants, else the owner's power handed down. */
  prove(subject: Did, command: string, args: AnyRecord): Proof {
    const { device, wallet, revocations } = this.on
    const { owner } = this
    const wanted = { subject, command, args, now: this.nowSeconds(), revocations }
    const own = wallet.find({ ...wanted, issuer: device.did })
    if (own.ok) return { chain: own.chain }
    if (owner === undefined) {
      const locked = this.#locked()
      if (locked !== undefined && wallet.find({ ...wanted, issuer: locked }).ok) throw this.noOwner('only the owner may do that from this device')
      return { chain: own.nearest ?? [], doubt: own.why }
    }
    const byOwner = wallet.find({ ...wanted, issuer: owner.did })
    const chain = byOwner.ok ? byOwner.chain : byOwner.nearest
    // A chain that will be refused is shown all the same: the device then says what the grant lacks, and not that there is none.
    if (chain === undefined) return { chain: own.nearest ?? [], doubt: own.why }
    const whole = [...chain, this.#ownLink(owner, { subject, command, args })]
    return byOwner.ok ? { chain: whole } : { chain: whole, doubt: byOwner.why }
  }

  /** For this one command: a link for everything could not hang below a grant of `--ask`, which is for less. */
  #ownLink(owner: Identity, { subject, command, args }: { subject: Did; command: string; args: AnyRecord }): Delegation {
    const now = this.nowSeconds()
    const key = `${owner.did} ${subject} ${command}`
    const held = this.#ownLinks.get(key)
    const signedAt = Number(held?.meta?.[SIGNED_META] ?? 0)
    // Whoever runs it may have heard of no revocation for so long: the owner's own word is always young enough.
    const isYoung = now - signedAt < ((demandedOf(command, args) ?? OWN_LINK_FRESH_SECONDS) * 4) / 5
    if (held !== undefined && isYoung) return held
    const fresh = signDelegation(owner, {
      aud: this.on.device.did,
      sub: subject,
      cmd: command,
      pol: [],
      exp: now + OWN_LINK_SECONDS,
      nonce: this.on.random(NONCE_BYTES),
      meta: { [SIGNED_META]: now },
    })
    this.#ownLinks.set(key, fresh)
    return fresh
  }
}
