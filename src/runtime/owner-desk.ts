/** Where owners decide who owns the mesh: changes that enough of them sign, and what the recovery words decide alone. */
import type {
  OwnerCardView,
  OwnerChangeRequest,
  OwnerChangeView,
  OwnerKeyView,
  OwnerSignRequest,
  OwnersView,
  PassphraseRequest,
  UnlockRequest,
} from '../../protocols/local/owners.ts'
import { OWNERS } from '../../protocols/member/owners.ts'
import type { Fact } from '../audit/facts.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did, Identity } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'
import type { Orders } from '../registry/orders.ts'
import { joinKept, majorityOf, neededFor, readStep, type Standing, signStep, stepAfter } from '../registry/owner-chain.ts'
import type { Owners } from '../registry/owners.ts'
import type { Keyring } from './keyring.ts'
import type { OrderDesk } from './order-desk.ts'
import { cardOf, readCard } from './owner-card.ts'
import { badChange, findOwner, keptWithout, leavingIn } from './owner-lists.ts'
import { consentSubject, hex, sayChange, unknownIn, type Vote, votesIn } from './owner-votes.ts'
import type { MeshRecords } from './records.ts'
import type { Telling } from './rights-desk.ts'
import { wordsOf } from './words.ts'

const MIN_ID_CHARS = 6

/** What the runtime offers of it. */
export interface OwnerRoom {
  list(): Promise<OwnersView>
  /** Makes an owner's key on this device where there is none, and its card. @throws OWNER_LOCKED */
  card(): Promise<OwnerCardView>
  /** @throws NOT_AN_OWNER, OWNER_LOCKED, BAD_CARD, UNKNOWN_OWNER, BAD_CHANGE */
  change(request: OwnerChangeRequest): Promise<OwnerChangeView>
  /** @throws NOT_AN_OWNER, OWNER_LOCKED, NO_SUCH_CHANGE */
  sign(request: OwnerSignRequest): Promise<OwnerChangeView>
  /** Puts the key of this device under a passphrase. @throws NOT_AN_OWNER, OWNER_LOCKED */
  protect(request: PassphraseRequest): Promise<OwnerKeyView>
  /** @throws NOT_AN_OWNER, WRONG_PASSPHRASE */
  unlock(request: UnlockRequest): Promise<OwnerKeyView>
  lock(): Promise<OwnerKeyView>
}

/** The owner's key of this device, wherever it lies. */
export interface OwnerKeyPort {
  did(): Did | undefined
  /** Undefined where there is none, or it is locked. */
  current(): Identity | undefined
  /** @throws OWNER_LOCKED */
  make(): { readonly identity: Identity; readonly created: boolean }
  /** A new key, in memory until it is adopted; the same one until then. */
  next(): Identity
  /** Puts the new key in the place of the one before, which is put aside. */
  adopt(): void
  isProtected(): boolean
  /** From then on it lies under a passphrase, and is locked. @throws OWNER_LOCKED */
  protect(passphrase: string): void
  /** @returns false with a passphrase that does not open it. */
  unlock(passphrase: string, forMs: number): boolean
  lock(): void
  /** When it locks itself, milliseconds since the epoch. */
  openUntil(): number | undefined
}

export interface OwnerDeskOn {
  readonly owners: Owners
  readonly orders: Orders
  readonly directory: Directory
  readonly wallet: Wallet
  readonly records: MeshRecords
  readonly keyring: Keyring
  readonly key: OwnerKeyPort
  readonly desk: Pick<OrderDesk, 'decide'>
  readonly telling: Pick<Telling, 'push'>
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
}

export class OwnerDesk implements OwnerRoom {
  constructor(private readonly on: OwnerDeskOn) {}

  list(): Promise<OwnersView> {
    const { owners, orders, key } = this.on
    const { standing } = owners
    const mine = key.did()
    const known = this.#kept([])
    return Promise.resolve({
      mesh: hex(owners.mesh.id),
      owners: standing.owners.map((did) => ({ did, words: wordsOf(did), here: did === mine })),
      ...{ threshold: standing.threshold, recovery: standing.recovery, since: new Date(standing.at).toISOString(), by: standing.by },
      changes: owners.chain.steps.length,
      pending: votesIn(orders).map((vote) => {
        const signers = vote.sigs.map(([did]) => did)
        const unknown = unknownIn(vote.kept, joinKept(known, this.#kept(leavingIn(standing, vote.after))))
        return { ...this.#sayVote(vote), signedHere: mine !== undefined && signers.includes(mine), unknown }
      }),
      conflict: owners.conflict !== undefined,
      ...this.#keyView(),
    })
  }

  card(): Promise<OwnerCardView> {
    const { identity, created } = this.on.key.make()
    return Promise.resolve({ did: identity.did, words: wordsOf(identity.did), card: cardOf(identity, this.on.owners.mesh.id), created })
  }

  async change({ add = [], remove = [], threshold, recovery }: OwnerChangeRequest): Promise<OwnerChangeView> {
    const { owners, clock } = this.on
    const signer = this.#signer()
    const before = owners.standing
    const gone = remove.map((text) => findOwner(owners, text))
    const come = add.map((card) => readCard(card, owners.mesh.id))
    const next = [...new Set([...before.owners.filter((did) => !gone.includes(did)), ...come])]
    const least = majorityOf(next.length)
    const after = {
      owners: next,
      threshold: threshold ?? Math.max(least, Math.min(before.threshold, next.length)),
      recovery: recovery === undefined ? before.recovery : (recovery as Did | null),
      at: clock.now(),
    }
    const kept = this.#kept(leavingIn(before, after))
    return await this.#agree(signer, stepAfter(before, { ...after, kept }), kept)
  }

  async sign({ id }: OwnerSignRequest): Promise<OwnerChangeView> {
    const signer = this.#signer()
    const votes = votesIn(this.on.orders).filter((vote) => id === undefined || (id.length >= MIN_ID_CHARS && vote.id.startsWith(id)))
    const [vote] = votes
    if (vote === undefined || votes.length > 1) {
      const why = vote === undefined ? 'no such change waits for signatures' : 'more than one change waits: say which'
      throw new ErrandError('NO_SUCH_CHANGE', why, { hint: 'errand owner list shows what waits' })
    }
    return await this.#agree(signer, vote.step, vote.kept)
  }

  async protect({ passphrase }: PassphraseRequest): Promise<OwnerKeyView> {
    const { key, audit, keyring } = this.on
    if (key.did() === undefined) throw keyring.noOwner('there is nothing to protect', 'errand owner new makes a key here')
    key.protect(passphrase)
    await audit.append({ actor: keyring.device.did, action: 'owner.protect', result: 'ok' })
    return this.#keyView()
  }

  /** Each try costs a quarter of a second of this machine, and is in the log. */
  async unlock({ passphrase, forMs }: UnlockRequest): Promise<OwnerKeyView> {
    const { key, audit, keyring } = this.on
    if (!key.isProtected())
      throw keyring.noOwner('there is nothing to unlock', 'the owner’s key of this device, if there is one, has no passphrase: errand owner list')
    const isOpen = key.unlock(passphrase, forMs)
    await audit.append({ actor: keyring.device.did, action: 'owner.unlock', result: isOpen ? 'ok' : 'denied' })
    if (!isOpen) throw new ErrandError('WRONG_PASSPHRASE', 'this passphrase does not open the owner’s key', { hint: 'errand owner unlock' })
    return this.#keyView()
  }

  async lock(): Promise<OwnerKeyView> {
    const { key, audit, keyring } = this.on
    if (!key.isProtected()) throw keyring.noOwner('there is nothing to lock', 'errand owner protect puts the key under a passphrase')
    key.lock()
    await audit.append({ actor: keyring.device.did, action: 'owner.lock', result: 'ok' })
    return this.#keyView()
  }

  #keyView(): OwnerKeyView {
    const { key } = this.on
    const until = key.openUntil()
    const state = key.did() === undefined ? 'none' : key.current() === undefined ? 'locked' : 'open'
    return { key: state, protected: key.isProtected(), openUntil: until === undefined ? null : new Date(until).toISOString() }
  }

  /** Takes a change for decided when enough have signed it. Called here after each order; the one who signs last may be anybody. */
  async settle(): Promise<OwnerChangeView | undefined> {
    const { owners, orders, keyring } = this.on
    const before = owners.standing
    const ready = votesIn(orders).find((vote) => vote.sigs.length >= vote.needed)
    if (ready === undefined || keyring.owner === undefined) return undefined
    return await this.#conclude(before, ready)
  }

  async #conclude(before: Standing, vote: Vote): Promise<OwnerChangeView> {
    const { chain } = this.on.owners
    if (chain.steps.length >= OWNERS.maxSteps) throw badChange(`the owners were changed ${OWNERS.maxSteps} times, which is the most there can be`)
    const words = sayChange(before, vote.after)
    const step = { step: vote.step, sigs: vote.sigs.map(([did, sig]) => [did, sig] as [string, Uint8Array]) }
    const body = { steps: [...chain.steps, step], kept: vote.kept }
    const order = await this.on.desk.decide({ kind: 'owners', subject: '', body, fact: { action: 'owners.decide', details: { words } } })
    return { ...order, ...this.#sayVote(vote, words), done: true }
  }

  async #agree(signer: Identity, step: Uint8Array, kept: Uint8Array): Promise<OwnerChangeView> {
    const { owners, orders, desk } = this.on
    const before = owners.standing
    const read = readStep(before, step)
    if (!read.ok) throw badChange(read.why)
    if (kept.length > OWNERS.keptIdBytes * OWNERS.maxKept)
      throw badChange(`those who leave have signed ${kept.length / OWNERS.keptIdBytes} things that count, and ${OWNERS.maxKept} can be kept`)
    const words = sayChange(before, read.standing)
    if (words === '') throw badChange('it would change nothing')
    const sig = signStep(owners.mesh.id, signer, step)
    const id = hex(read.standing.hash)
    const needed = neededFor(before, read.standing)
    if (needed === 1) return await this.#conclude(before, { id, step, kept, after: read.standing, sigs: [[signer.did, sig]], needed })
    const body = { step, sig, kept }
    const subject = consentSubject(before, signer.did)
    const order = await desk.decide({ kind: 'consent', subject, body, fact: { action: 'owners.sign', details: { words } } })
    if (hex(owners.standing.hash) === id) return { ...order, id, words, done: true, signedBy: [wordsOf(signer.did)], needed: 1 } // another one was quicker
    const vote = votesIn(orders).find((one) => one.id === id)
    if (vote === undefined) throw badChange('the owners were changed in the meantime')
    return vote.sigs.length >= vote.needed ? await this.#conclude(before, vote) : { ...order, ...this.#sayVote(vote), done: false }
  }

  #kept(leaving: readonly Did[]): Uint8Array {
    return keptWithout(leaving, this.on)
  }

  #sayVote(vote: Vote, words = sayChange(this.on.owners.standing, vote.after)): { id: string; words: string; signedBy: string[]; needed: number } {
    return { id: vote.id, words, signedBy: vote.sigs.map(([did]) => wordsOf(did)), needed: vote.needed }
  }

  #signer(): Identity {
    const { keyring } = this.on
    if (keyring.owner !== undefined) return keyring.owner
    throw keyring.noOwner('only an owner decides this', 'run it on a device with an owner’s key: errand owner list')
  }
}
