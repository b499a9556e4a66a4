/** The owner's key of this home. */
import { systemRandom } from '../base/clock.ts'
import { type Did, Identity } from '../identity/identity.ts'
import type { OwnerKeyPort } from '../runtime/owner-desk.ts'
import type { Home } from './home.ts'

export class OwnerKey implements OwnerKeyPort {
  #held: Identity | undefined
  #next: Identity | undefined

  constructor(private readonly home: Home) {
    this.#held = home.owner()
  }

  did(): Did | undefined {
    return this.#held?.did
  }

  current(): Identity | undefined {
    return this.#held
  }

  next(): Identity {
    this.#next ??= new Identity(systemRandom(32))
    return this.#next
  }

  adopt(): void {
    const next = this.next()
    this.home.replaceOwner(next)
    this.#held = next
    this.#next = undefined
  }

  make(): { readonly identity: Identity; readonly created: boolean } {
    const created = this.#held === undefined
    this.#held ??= this.home.makeOwner()
    return { identity: this.#held, created }
  }
}
