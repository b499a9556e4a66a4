/**
 * The policy that an owner gave the whole mesh, as this device holds it: one text, signed, the latest counts. One that this device cannot read
 * was checked by whoever signed it, so it is of a newer errand: the last that could be read holds, and without one nothing is done for others.
 */
import type { Layer } from './judge.ts'
import type { PolicyNews, Standing } from './keeper.ts'
import { readPolicy } from './read.ts'

export const MESH_NAME = 'the policy of the mesh'

export interface MeshPolicyOn {
  /** What is held; undefined or empty where nobody gave one. */
  readonly text: () => string | undefined
  readonly told: (news: PolicyNews) => void
  /** For whoever wants to see what holds without asking the node. */
  readonly keep: (text: string) => void
}

export class MeshPolicy {
  #text = ''
  #layer: Layer | undefined
  #problem: string | undefined

  /** What is found at a start is no news. */
  #isOpening = true

  constructor(private readonly on: MeshPolicyOn) {
    this.#take(on.text() ?? '')
    this.#isOpening = false
  }

  standing(): Standing {
    this.look()
    return this.held
  }

  get held(): Standing {
    const isClosed = this.#problem !== undefined && this.#layer === undefined
    return { layers: this.#layer === undefined ? [] : [this.#layer], closed: isClosed ? this.#problem : undefined }
  }

  get problem(): string | undefined {
    return this.#problem
  }

  look(): void {
    const text = this.on.text() ?? ''
    if (text !== this.#text) this.#take(text)
  }

  #take(text: string): void {
    this.#text = text
    this.on.keep(text)
    const hash = this.#layer?.hash
    if (text === '') {
      this.#problem = undefined
      this.#layer = undefined
      if (hash !== undefined) this.on.told({ t: 'removed', hash })
      return
    }
    const read = readPolicy(text, 'mesh')
    if (!read.ok) return this.#refuse(`line ${read.faults[0]?.line}: ${read.faults[0]?.message}`)
    this.#problem = undefined
    this.#layer = { name: MESH_NAME, policy: read.policy, hash: read.hash, lineOf: read.lineOf, root: null }
    if (!this.#isOpening) this.on.told({ t: 'changed', hash: read.hash })
  }

  #refuse(why: string): void {
    const rest = this.#layer === undefined ? 'nothing is done for other devices' : 'the one before it holds'
    this.#problem = `${MESH_NAME} cannot be read here (${why}); ${rest}: is this errand older than the owner's?`
    this.on.told({ t: 'invalid', why, hash: this.#layer?.hash })
  }
}
