/**
 * The chain of changes of a mesh's owners, from the genesis document on. Pure: says what a chain comes to and which of two counts, holds nothing.
 * Spec: protocols/member/README.md; why it is like this: docs/decisions/0029.
 */
import { createHash } from 'node:crypto'
import type { Genesis } from '../../protocols/member/messages.ts'
import { OWNERS, type OwnersBody, OwnersStep, type SignedStep } from '../../protocols/member/owners.ts'
import { DOMAIN, decodeAs, encode, sameBytes, signingInput } from '../../protocols/wire.ts'
import { type Did, type Identity, isDid, verifySignature } from '../identity/identity.ts'

/** Who owns a mesh after a step. */
export interface Standing {
  /** Names this step as the `prev` of the next one; of the genesis document the mesh id. */
  readonly hash: Uint8Array
  readonly owners: readonly Did[]
  /** Signatures that the next step needs. */
  readonly threshold: number
  readonly recovery: Did | null
  readonly at: number
  readonly kept: Uint8Array
  /** Who decided it; the genesis document counts as the owners' word. */
  readonly by: 'owners' | 'recovery'
}

export interface OwnerChain {
  /** The genesis document first. */
  readonly standings: readonly Standing[]
  readonly steps: readonly SignedStep[]
  /** Ids of records that go on to count, 16 bytes each. */
  readonly kept: Uint8Array
}

/** Mesh and genesis document, as the chain needs them. */
export interface OwnedMesh {
  readonly id: Uint8Array
  readonly genesis: Genesis
}

type Followed = { readonly ok: true; readonly standing: Standing } | { readonly ok: false; readonly why: string }

/** More than half: two changes that both follow one step share a signer, so whoever was taken out makes none alone. */
export function majorityOf(owners: number): number {
  return Math.floor(owners / 2) + 1
}

export function genesisChain({ id, genesis }: OwnedMesh): OwnerChain {
  const owners = [...new Set(genesis.owners)].filter(isDid)
  const threshold = Math.max(Math.min(genesis.threshold, owners.length), majorityOf(owners.length))
  const recovery = genesis.recovery !== undefined && isDid(genesis.recovery) ? genesis.recovery : null
  const kept = keptOf([])
  return { standings: [{ hash: id, owners, threshold, recovery, at: genesis.created, kept: digest(kept), by: 'owners' }], steps: [], kept }
}

export function lastOf({ standings }: OwnerChain): Standing {
  const last = standings.at(-1)
  if (last === undefined) throw new TypeError('a chain begins with the genesis document')
  return last
}

/** What a step has to say to follow another one. */
export function stepAfter(before: Standing, o: Pick<Standing, 'owners' | 'threshold' | 'recovery' | 'at'> & { readonly kept: Uint8Array }): Uint8Array {
  const { owners, threshold, recovery, at, kept } = o
  const step = { v: 1, prev: before.hash, owners: [...owners], threshold, recovery, at: Math.max(at, before.at + 1), kept: digest(kept) }
  return encode(step)
}

export function signStep(mesh: Uint8Array, signer: Identity, step: Uint8Array): Uint8Array {
  return signer.sign(signingInput(DOMAIN.owners, mesh, step))
}

export function isSigned(mesh: Uint8Array, signer: string, step: Uint8Array, signature: Uint8Array): boolean {
  return verifySignature(signer, signingInput(DOMAIN.owners, mesh, step), signature)
}

/** What a step says, whoever signed it, or why it cannot follow. */
export function readStep(before: Standing, bytes: Uint8Array): Followed {
  try {
    const step = decodeAs(OwnersStep, bytes, OWNERS.maxStepBytes)
    const owners = step.owners.filter(isDid)
    const { recovery } = step
    if (owners.length !== step.owners.length || (recovery !== null && !isDid(recovery))) return { ok: false, why: 'it names a key that is none' }
    if (new Set(owners).size < owners.length || (recovery !== null && owners.includes(recovery))) return { ok: false, why: 'it names a key twice' }
    if (!sameBytes(step.prev, before.hash)) return { ok: false, why: 'it follows another step' }
    if (step.at <= before.at) return { ok: false, why: 'it is older than what it follows' }
    if (step.threshold > owners.length || step.threshold < majorityOf(owners.length)) {
      return { ok: false, why: `of ${owners.length} owners ${majorityOf(owners.length)} to ${owners.length} have to sign, not ${step.threshold}` }
    }
    return { ok: true, standing: { hash: digest(bytes), owners, threshold: step.threshold, recovery, at: step.at, kept: step.kept, by: 'owners' } }
  } catch (cause) {
    return { ok: false, why: cause instanceof Error ? cause.message : String(cause) }
  }
}

/** How many owners have to sign a step: other words for an emergency are for all of them to agree to. */
export function neededFor(before: Standing, after: Standing): number {
  return before.recovery === after.recovery ? before.threshold : before.owners.length
}

/** A step counts with the signatures of enough owners, or with that of the words, which are spent by it. */
export function follow(mesh: Uint8Array, before: Standing, { step, sigs }: SignedStep): Followed {
  const read = readStep(before, step)
  if (!read.ok) return read
  const signers = [...new Map(sigs)].filter(([signer, signature]) => isSigned(mesh, signer, step, signature)).map(([signer]) => signer)
  const { recovery, owners } = before
  if (recovery !== null && signers.includes(recovery)) {
    if (read.standing.recovery === recovery) return { ok: false, why: 'the recovery words are spent by their use' }
    return { ok: true, standing: { ...read.standing, by: 'recovery' } }
  }
  const needed = neededFor(before, read.standing)
  const signed = owners.filter((owner) => signers.includes(owner)).length
  return signed >= needed ? read : { ok: false, why: `${signed} of ${needed} owners signed it` }
}

/** @returns undefined unless every step follows the one before and the list of what is kept is that of the last. */
export function readChain(mesh: OwnedMesh, { steps, kept }: OwnersBody): OwnerChain | undefined {
  const standings = [...genesisChain(mesh).standings]
  let last = lastOf({ standings, steps: [], kept })
  for (const step of steps) {
    const seen = follow(mesh.id, last, step)
    if (!seen.ok) return undefined
    last = seen.standing
    standings.push(last)
  }
  return isKeptList(kept) && sameBytes(digest(kept), last.kept) ? { standings, steps, kept } : undefined
}

export type Preference = 'same' | 'older' | 'longer' | 'recovered' | 'conflict'

/**
 * What another chain is to the one that is held. It takes its place when it goes on where the held one ends, or when it begins, where the two part, with
 * the words that were in force there, and the held one has not replaced or used these since. Everything else stays out: who was taken out could have signed it.
 */
export function preferenceFor(held: OwnerChain, other: OwnerChain): Preference {
  const at = held.standings.findIndex(({ hash }, n) => !sameBytes(hash, other.standings[n]?.hash ?? new Uint8Array()))
  if (at < 0) return other.standings.length > held.standings.length ? 'longer' : 'same'
  const theirs = other.standings[at]
  if (theirs === undefined) return 'older'
  const words = held.standings[at - 1]?.recovery
  const stillStands = held.standings.slice(at).every(({ recovery }) => recovery === words)
  return theirs.by === 'recovery' && stillStands ? 'recovered' : 'conflict'
}

/** Ids as the list carries them. */
export function keptOf(records: Iterable<Uint8Array>): Uint8Array {
  const ids = [...records].map((bytes) => digest(bytes).slice(0, OWNERS.keptIdBytes))
  return joinIds(ids.map((id) => Buffer.from(id).toString('hex')))
}

/** Both lists in one. */
export function joinKept(...lists: readonly Uint8Array[]): Uint8Array {
  return joinIds(lists.flatMap((list) => [...idsIn(list)]))
}

/** How a step names its list. */
export function keptDigest(kept: Uint8Array): Uint8Array {
  return digest(kept)
}

/** In hex. */
export function idsIn(kept: Uint8Array): ReadonlySet<string> {
  const text = Buffer.from(kept).toString('hex')
  return new Set(text.match(/.{32}/g) ?? [])
}

export function keptId(record: Uint8Array): string {
  return Buffer.from(digest(record).subarray(0, OWNERS.keptIdBytes)).toString('hex')
}

function joinIds(ids: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from([...new Set(ids)].sort().join(''), 'hex'))
}

/** Ascending, each once: one list, one digest. */
function isKeptList(kept: Uint8Array): boolean {
  return kept.length % OWNERS.keptIdBytes === 0 && sameBytes(kept, joinIds([...idsIn(kept)]))
}

function digest(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}
