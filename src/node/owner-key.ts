/**
 * The owner's key of this home: there is none, it is open, or it lies under a passphrase and is open for a stated time. What was open is forgotten
 * by this object; the memory of a program that ran with it is not wiped.
 */
import { type Clock, type Random, systemRandom } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { type Did, Identity } from '../identity/identity.ts'
import { openSealed, sealedDid, sealedPem } from '../identity/sealed-key.ts'
import type { OwnerKeyPort } from '../runtime/owner-desk.ts'
import type { Home } from './home.ts'

export class OwnerKey implements OwnerKeyPort {
  #open: Identity | undefined
  /** The file, where it is under a passphrase. */
  #sealed: { readonly did: Did; readonly pem: string } | undefined
  #next: Identity | undefined
  #openUntil: number | undefined
  #stopWaiting = (): void => undefined
  #opened = (): void => undefined

  constructor(
    private readonly home: Pick<Home, 'owner' | 'makeOwner' | 'replaceOwner' | 'writeOwner'>,
    private readonly clock: Clock,
    private readonly random: Random = systemRandom,
  ) {
    const held = home.owner()
    if (held instanceof Identity) this.#open = held
    else this.#sealed = held
  }

  /** Called whenever the key was opened. */
  onOpen(fn: () => void): void {
    this.#opened = fn
  }

  did(): Did | undefined {
    return this.#open?.did ?? this.#sealed?.did
  }

  current(): Identity | undefined {
    return this.#open
  }

  openUntil(): number | undefined {
    return this.#openUntil
  }

  isProtected(): boolean {
    return this.#sealed !== undefined
  }

  make(): { readonly identity: Identity; readonly created: boolean } {
    if (this.#open !== undefined) return { identity: this.#open, created: false }
    if (this.#sealed !== undefined) throw new ErrandError('OWNER_LOCKED', 'the owner’s key of this device is locked', { hint: 'errand owner unlock' })
    this.#open = this.home.makeOwner()
    return { identity: this.#open, created: true }
  }

  next(): Identity {
    this.#next ??= new Identity(this.random(32))
    return this.#next
  }

  adopt(): void {
    const next = this.next()
    this.home.replaceOwner(next)
    this.#forget()
    this.#sealed = undefined
    this.#open = next
    this.#next = undefined
  }

  protect(passphrase: string): void {
    const { identity } = this.make()
    const pem = sealedPem(identity, passphrase, this.random(32))
    if (sealedDid(pem) === undefined || openSealed(pem, passphrase) === undefined) throw new TypeError('a key that was sealed just now does not open')
    this.home.writeOwner(pem)
    this.#sealed = { did: identity.did, pem }
    this.lock()
  }

  unlock(passphrase: string, forMs: number): boolean {
    const opened = this.#sealed === undefined ? undefined : openSealed(this.#sealed.pem, passphrase)
    if (opened === undefined) return false
    this.#forget()
    this.#open = opened
    this.#openUntil = this.clock.now() + forMs
    this.#stopWaiting = this.clock.after(forMs, () => this.lock())
    this.#opened()
    return true
  }

  lock(): void {
    if (this.#sealed !== undefined) this.#forget()
  }

  #forget(): void {
    this.#stopWaiting()
    this.#stopWaiting = () => undefined
    this.#open = undefined
    this.#openUntil = undefined
  }
}
