/** Who owns the mesh now, and what still counts of those who did. Holds the one chain of changes that this device believes; pure. */
import type { OwnersBody } from '../../protocols/member/owners.ts'
import type { Did } from '../identity/identity.ts'
import { genesisChain, idsIn, keptId, lastOf, type OwnedMesh, type OwnerChain, preferenceFor, readChain, type Standing } from './owner-chain.ts'

/** What everybody asks who has to know whether somebody is an owner. */
export interface OwnersView {
  list(): readonly Did[]
  has(did: string): boolean
  /** It was an owner, or the words of an emergency, and is none any more. */
  isFormer(did: string): boolean
  /** Whose words break the glass. */
  recovery(): Did | null
  /** Whether a record signed by somebody counts as an owner's: one of somebody who was taken out does when the change says so. */
  counts(did: string, record: Uint8Array): boolean
}

export class Owners implements OwnersView {
  #chain: OwnerChain
  #kept: ReadonlySet<string> = new Set()
  #former: ReadonlySet<string> = new Set()
  #conflict: OwnerChain | undefined

  constructor(readonly mesh: OwnedMesh) {
    this.#chain = genesisChain(mesh)
  }

  list(): readonly Did[] {
    return this.standing.owners
  }

  has(did: string): boolean {
    return this.standing.owners.includes(did as Did)
  }

  isFormer(did: string): boolean {
    return this.#former.has(did)
  }

  counts(did: string, record: Uint8Array): boolean {
    return this.has(did) || (this.isFormer(did) && this.keeps(record))
  }

  /** Whether a change named this record of somebody who is no owner any more. */
  keeps(record: Uint8Array): boolean {
    return this.#kept.has(keptId(record))
  }

  /** Those of now and those of before. */
  ever(): readonly Did[] {
    return [...this.list(), ...([...this.#former] as Did[])]
  }

  recovery(): Did | null {
    return this.standing.recovery
  }

  get standing(): Standing {
    return lastOf(this.#chain)
  }

  get chain(): OwnerChain {
    return this.#chain
  }

  /** A chain that was signed as well as the one that counts here, and does not agree with it. */
  get conflict(): OwnerChain | undefined {
    return this.#conflict
  }

  admit(body: OwnersBody): 'new' | 'known' | 'same' | 'refused' {
    const chain = readChain(this.mesh, body)
    if (chain === undefined) return 'refused'
    const is = preferenceFor(this.#chain, chain)
    if (is === 'conflict') this.#conflict = chain
    if (is !== 'longer' && is !== 'recovered') return is === 'same' ? 'same' : 'known'
    if (is === 'recovered') this.#conflict = undefined
    this.#believe(chain)
    return 'new'
  }

  #believe(chain: OwnerChain): void {
    const ever = chain.standings.flatMap(({ owners, recovery }) => [...owners, ...(recovery === null ? [] : [recovery])])
    const { owners, recovery } = lastOf(chain)
    this.#chain = chain
    this.#kept = idsIn(chain.kept)
    this.#former = new Set(ever.filter((did) => !owners.includes(did) && did !== recovery))
  }
}
