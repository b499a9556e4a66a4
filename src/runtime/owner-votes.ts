/** Changes of the owners that were signed by some and wait for others; read from the orders that carry them. */
import { sameBytes } from '../../protocols/wire.ts'
import type { Did } from '../identity/identity.ts'
import type { Orders } from '../registry/orders.ts'
import { idsIn, isSigned, keptDigest, neededFor, readStep, type Standing } from '../registry/owner-chain.ts'
import { wordsOf } from './words.ts'

export interface Vote {
  /** Of the step, in hex. */
  readonly id: string
  readonly step: Uint8Array
  readonly kept: Uint8Array
  readonly after: Standing
  readonly sigs: readonly (readonly [Did, Uint8Array])[]
  readonly needed: number
}

/** Where an owner's consent to what follows a step is kept: an owner agrees to one change at a time. */
export function consentSubject(before: Standing, owner: Did): string {
  return `${hex(before.hash)} ${owner}`
}

/** Every change that would follow what holds now, with the signatures that hold. */
export function votesIn(orders: Orders): Vote[] {
  const { standing: before, mesh } = orders.owners
  const votes = new Map<string, Vote>()
  for (const owner of before.owners) {
    const consent = orders.get('consent', consentSubject(before, owner))
    if (consent === undefined || !isSigned(mesh.id, owner, consent.step, consent.sig)) continue
    const read = readStep(before, consent.step)
    if (!read.ok || !sameBytes(keptDigest(consent.kept), read.standing.kept)) continue
    const id = hex(read.standing.hash)
    const { sigs = [] } = votes.get(id) ?? {}
    const { step, kept, sig } = consent
    votes.set(id, { id, step, kept, after: read.standing, sigs: [...sigs, [owner, sig]], needed: neededFor(before, read.standing) })
  }
  return [...votes.values()]
}

/** A change in words. */
export function sayChange(before: Standing, after: Standing): string {
  const added = after.owners.filter((did) => !before.owners.includes(did)).map((did) => `${wordsOf(did)} becomes an owner`)
  const gone = before.owners.filter((did) => !after.owners.includes(did)).map((did) => `${wordsOf(did)} is an owner no more`)
  const many = `changes are signed by ${after.threshold} of ${after.owners.length}`
  const shape = before.threshold === after.threshold && before.owners.length === after.owners.length ? [] : [many]
  const words = before.recovery === after.recovery ? [] : [sayWords(before.recovery, after.recovery)]
  return [...added, ...gone, ...shape, ...words].join('; ')
}

/** Records that a change keeps and this device does not know of. */
export function unknownIn(kept: Uint8Array, known: Uint8Array): number {
  const here = idsIn(known)
  return [...idsIn(kept)].filter((id) => !here.has(id)).length
}

function sayWords(before: Did | null, after: Did | null): string {
  if (after === null) return 'there are no recovery words any more'
  return before === null ? 'there are recovery words' : 'the recovery words are others'
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
