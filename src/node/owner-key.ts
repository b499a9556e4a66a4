/** The owner's key of this home. */
import type { Did, Identity } from '../identity/identity.ts'
import type { OwnerKeyPort } from '../runtime/owner-desk.ts'
import type { Home } from './home.ts'

export class OwnerKey implements OwnerKeyPort {
  #held: Identity | undefined

  constructor(private readonly home: Home) {
    this.#held = home.owner()
  }

  did(): Did | undefined {
    return this.#held?.did
  }

  current(): Identity | undefined {
    return this.#held
  }

  make(): { readonly identity: Identity; readonly created: boolean } {
    const created = this.#held === undefined
    this.#held ??= this.home.makeOwner()
    return { identity: this.#held, created }
  }
}
