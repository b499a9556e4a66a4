/** Breaking the glass: the recovery words make a new key of this device the owner. The words sign elsewhere; here only their signature is seen. */
import type { OwnerChangeView, RecoverRequest, RecoveryDraft, RecoveryDraftRequest, RecoveryKey } from '../../protocols/local/owners.ts'
import { decodeDelegation } from '../authority/token.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { follow, joinKept, keptOf, majorityOf, readStep, stepAfter } from '../registry/owner-chain.ts'
import type { OrderDesk } from './order-desk.ts'
import type { OwnerKeyPort } from './owner-desk.ts'
import { badChange, findOwner, type KnownHere, keptWithout, leavingIn } from './owner-lists.ts'
import { hex, sayChange } from './owner-votes.ts'
import type { MeshRecords } from './records.ts'
import type { Telling } from './rights-desk.ts'
import { wordsOf } from './words.ts'

/** What the runtime offers of it. */
export interface RecoveryRoom {
  /** A key that was never an owner’s, for the recovery words to make one. @throws NO_RECOVERY */
  key(): Promise<RecoveryKey>
  /** What the words have to sign. @throws NO_RECOVERY, UNKNOWN_OWNER, BAD_CHANGE */
  draft(request: RecoveryDraftRequest): Promise<RecoveryDraft>
  /** @throws WRONG_WORDS */
  use(request: RecoverRequest): Promise<OwnerChangeView>
}

export interface RecoveryDeskOn extends KnownHere {
  readonly ownerKey: Pick<OwnerKeyPort, 'next' | 'adopt'>
  readonly records: MeshRecords
  readonly desk: Pick<OrderDesk, 'decide'>
  readonly telling: Pick<Telling, 'push'>
  readonly clock: Clock
}

export class RecoveryDesk implements RecoveryRoom {
  constructor(private readonly on: RecoveryDeskOn) {}

  key(): Promise<RecoveryKey> {
    if (this.on.owners.recovery() === null) throw noRecovery()
    const { did } = this.on.ownerKey.next()
    return Promise.resolve({ did, words: wordsOf(did) })
  }

  draft({ gift, keep = [] }: RecoveryDraftRequest): Promise<RecoveryDraft> {
    const { owners, ownerKey, clock } = this.on
    const before = owners.standing
    if (before.recovery === null) throw noRecovery()
    const next = [ownerKey.next().did, ...keep.map((one) => findOwner(owners, one))]
    const after = { owners: next, threshold: majorityOf(next.length), recovery: null, at: clock.now() }
    const kept = joinKept(keptWithout(leavingIn(before, after), this.on), keptOf([bytesOf(gift)]))
    const step = stepAfter(before, { ...after, kept })
    const read = readStep(before, step)
    if (!read.ok) throw badChange(read.why)
    return Promise.resolve({ step: base64(step), kept: base64(kept), words: sayChange(before, read.standing) })
  }

  async use({ step, kept, signature, gift }: RecoverRequest): Promise<OwnerChangeView> {
    const { owners, ownerKey, desk } = this.on
    const before = owners.standing
    const { recovery } = before
    const signed = { step: bytesOf(step), sigs: [[recovery ?? '', bytesOf(signature)] as [string, Uint8Array]] }
    const seen = recovery === null ? undefined : follow(owners.mesh.id, before, signed)
    const by = ownerKey.next()
    if (seen?.ok !== true || seen.standing.by !== 'recovery' || !seen.standing.owners.includes(by.did)) throw wrongWords()
    ownerKey.adopt() // before it counts: an owner's key that lies nowhere would be lost
    const words = sayChange(before, seen.standing)
    const body = { steps: [...owners.chain.steps, signed], kept: bytesOf(kept) }
    const order = await desk.decide({ kind: 'owners', subject: '', body, by, fact: { action: 'recovery.use', details: { words } } })
    await this.#take(bytesOf(gift), recovery)
    return { ...order, id: hex(seen.standing.hash), words, done: true, signedBy: ['the recovery words'], needed: 1 }
  }

  /** Devices that are away give to the new owner later; what the words hold of them goes over now. */
  async #take(gift: Uint8Array, recovery: string | null): Promise<void> {
    const link = decodeDelegation(gift)
    if (link.iss !== recovery) return
    await this.on.records.admit('delegations', link.bytes)
    await this.on.telling.push('delegations', [link.bytes])
  }
}

function wrongWords(): ErrandError {
  return new ErrandError('WRONG_WORDS', 'these are not the recovery words of this mesh, or they were used already', {
    hint: 'errand owner list says whether there are any',
  })
}

function noRecovery(): ErrandError {
  return new ErrandError('NO_RECOVERY', 'this mesh has no recovery words, or they were used', { hint: 'an owner makes new ones: errand recovery new' })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'))
}
