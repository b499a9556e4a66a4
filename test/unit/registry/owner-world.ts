/** Chains of owners for tests: steps as data, signed for one mesh. */
import type { OwnersBody } from '../../../protocols/member/owners.ts'
import type { Did, Identity } from '../../../src/identity/identity.ts'
import { keptOf, majorityOf, readStep, type Standing, signStep, stepAfter } from '../../../src/registry/owner-chain.ts'
import { Owners } from '../../../src/registry/owners.ts'
import { keyOf, MeshWorld, owner } from '../runtime/mesh-world.ts'

export const world = new MeshWorld()
/** One of them founded the mesh. */
export const [ann, ben, cleo, dora] = [owner, keyOf(21), keyOf(22), keyOf(23)] as const
export const [words, otherWords] = [keyOf(31), keyOf(32)] as const

export const ownersOf = (): Owners => new Owners(world.mesh)

export interface Step {
  readonly owners: readonly Identity[]
  readonly by: readonly Identity[]
  readonly threshold?: number
  readonly recovery?: Identity | null
  readonly at?: number
  readonly kept?: readonly Uint8Array[]
}

/** A chain that goes on from another one, whether it holds or not. */
export function chainOf(steps: readonly Step[], from?: OwnersBody): OwnersBody {
  const owners = ownersOf()
  if (from !== undefined) owners.admit(from)
  const signed = [...(from?.steps ?? [])]
  let before: Standing = owners.standing
  let kept = from?.kept ?? new Uint8Array()
  for (const step of steps) {
    const { by, threshold = majorityOf(step.owners.length), at = before.at + 1 } = step
    const recovery = step.recovery === undefined ? before.recovery : (step.recovery?.did ?? null)
    kept = keptOf(step.kept ?? [])
    const bytes = stepAfter(before, { owners: step.owners.map(({ did }) => did), threshold, recovery, at, kept })
    signed.push({ step: bytes, sigs: by.map((key): [Did, Uint8Array] => [key.did, signStep(world.mesh.id, key, bytes)]) })
    const read = readStep(before, bytes)
    before = read.ok ? read.standing : { ...before, at: before.at + 1 }
  }
  return { steps: signed, kept }
}

export function listed(owners: Owners): string[] {
  const names = new Map<string, string>([ann, ben, cleo, dora].map(({ did }, n) => [did, ['ann', 'ben', 'cleo', 'dora'][n] ?? '']))
  return owners.list().map((did) => names.get(did) ?? did)
}
