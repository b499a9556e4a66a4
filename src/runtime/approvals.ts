/**
 * Commands of this device that wait until enough people have said yes. What an approver sent is kept as it came and judged again when it
 * is counted: a right to approve that is gone by the start counts for nothing. Verifies no connection and talks to nobody.
 */
import * as v from 'valibot'
import { APPROVAL, ApprovalArgs, Evidence, Intent, type WaitingCommand } from '../../protocols/approval/messages.ts'
import { Count, decodeAs, ExactBytes, encode, List, sameBytes, shapeOf, Text } from '../../protocols/wire.ts'
import { digestOf } from '../authority/approval.ts'
import { APPROVAL_GRANT } from '../authority/commands.ts'
import type { Revocations } from '../authority/revocations.ts'
import type { Delegation } from '../authority/token.ts'
import { verifyInvocation } from '../authority/verify.ts'
import type { Clock, Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { asDid, type Did } from '../identity/identity.ts'
import type { Asked, Refused } from './checks.ts'
import { DenialMeter } from './denial.ts'

/** Commands that wait for a yes at once, here; and of one caller. */
const MAX_WAITING = 128
const MAX_WAITING_BY_ONE = 16
/** People who are heard on one command. */
const MAX_HEARD = 32
const MAX_KEPT_BYTES = APPROVAL.maxArgsBytes + MAX_HEARD * 139_264

const Kept = v.strictObject({
  v: v.literal(1),
  request: ExactBytes(APPROVAL.requestBytes),
  intent: Intent,
  why: Text(1_024),
  need: Count,
  createdAt: Count,
  expiresAt: Count,
  evidence: List(Evidence, MAX_HEARD),
})
type Kept = v.InferOutput<typeof Kept>

export interface ApprovalShelf {
  put(key: string, value: Uint8Array): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
  del(key: string): Promise<void>
  entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>
}

export interface ApprovalsOn {
  readonly self: Did
  readonly revocations: Revocations
  readonly shelf: ApprovalShelf
  readonly clock: Clock
  readonly random: Random
  /** As far as the mesh knows: two devices of one person are one hand. */
  readonly isSamePerson: (a: Did, b: Did) => boolean
  /** How long somebody may be waited for. */
  readonly waitMs: number
}

/** A command that waits, with who said yes by now. */
export interface Waiting extends Kept {
  readonly digest: Uint8Array
  /** False for one that is new: its request is to be written down. */
  readonly isOld: boolean
}

interface Held extends Waiting {
  readonly isKept: boolean
  evidence: Evidence[]
  isSettled: boolean
  told: (waiting: Waiting, have: number) => void
  settle: { readonly yes: () => void; readonly no: (why: unknown) => void } | undefined
  denied: ErrandError | undefined
}

/** Somebody's yes, and what it rests on. */
interface Hand {
  readonly by: Did
  readonly chain: readonly Delegation[]
}

export class Approvals {
  readonly #held = new Map<string, Held>()
  readonly #asks: DenialMeter

  constructor(private readonly on: ApprovalsOn) {
    this.#asks = new DenialMeter(on.clock)
  }

  /**
   * Begins to wait, or goes on where an earlier daemon was.
   * @param isKept it outlives this daemon. @throws TOO_BUSY
   */
  async open(asked: Asked, refused: Refused, { isKept }: { readonly isKept: boolean }): Promise<Waiting> {
    const intent = this.#intentOf(asked)
    const digest = digestOf(intent)
    const before = isKept ? await this.#before(asked.task, digest) : undefined
    if (before === undefined) this.#refuseFlood(asked.caller)
    const now = this.on.clock.now()
    const fresh = { v: 1, request: this.on.random(APPROVAL.requestBytes), intent, createdAt: now, expiresAt: now + this.on.waitMs, evidence: [] } as const
    const kept: Kept = { ...(before ?? fresh), evidence: [...(before?.evidence ?? [])], why: refused.detail.slice(0, 1_024), need: refused.approvals ?? 1 }
    const rest = { isSettled: false, settle: undefined, denied: undefined, told: () => undefined }
    const held: Held = { ...kept, ...rest, digest, isKept, isOld: before !== undefined }
    this.#held.set(asked.task, held)
    await this.#save(asked.task, held)
    return held
  }

  /** Resolves with enough approvals. @param told called when somebody has said yes. @throws DENIED, APPROVAL_TIMEOUT, and what the signal says. */
  async settled(task: string, { told, signal }: { readonly told: (waiting: Waiting, have: number) => void; readonly signal: AbortSignal }): Promise<void> {
    const held = this.#held.get(task)
    if (held === undefined) throw new ErrandError('DENIED', 'nobody was asked for an approval')
    signal.throwIfAborted()
    held.told = told
    const { clock } = this.on
    await new Promise<void>((yes, no) => {
      const left = Math.max(0, held.expiresAt - clock.now())
      const cancel = clock.after(left, () => held.settle?.no(tooLate(held, this.#hands(held).length)))
      const aborted = (): void => held.settle?.no(signal.reason)
      const done = (): void => {
        held.isSettled = true
        cancel()
        signal.removeEventListener('abort', aborted)
      }
      held.settle = {
        yes: () => {
          done()
          yes()
        },
        no: (why) => {
          done()
          no(why)
        },
      }
      signal.addEventListener('abort', aborted, { once: true })
      this.#look(held)
    })
  }

  /** What waits now, in the words of the wire. */
  list(): WaitingCommand[] {
    return [...this.#held.values()]
      .filter(({ isSettled }) => !isSettled)
      .map((held) => ({
        ...{ request: held.request, intent: held.intent, why: held.why, need: held.need, createdAt: held.createdAt, expiresAt: held.expiresAt },
        approvedBy: this.#hands(held).map(({ by }) => by),
      }))
  }

  /** @returns undefined when nothing of this name waits: it was decided, ran out, or never was. */
  find(request: Uint8Array): Waiting | undefined {
    return [...this.#held.values()].find((held) => !held.isSettled && sameBytes(held.request, request))
  }

  /** Takes a yes that was verified. Durable when this resolves. @throws TOO_MANY */
  async approve(waiting: Waiting, evidence: Evidence): Promise<{ readonly have: number; readonly need: number }> {
    const held = this.#of(waiting)
    if (!held.evidence.some(({ by }) => by === evidence.by)) {
      if (held.evidence.length >= MAX_HEARD) throw new ErrandError('TOO_MANY', `${MAX_HEARD} people have been heard on this already`)
      held.evidence = [...held.evidence, evidence]
      await this.#save(taskOf(held), held)
    }
    this.#look(held)
    return { have: this.#hands(held).length, need: held.need }
  }

  /** One no ends it. */
  deny(waiting: Waiting, by: string, reason: string): void {
    const held = this.#of(waiting)
    held.denied = new ErrandError('DENIED', `${by} denied the approval${reason === '' ? '' : `: ${reason}`}`, {
      fields: { reason: 'APPROVAL_DENIED', step: 'approval' },
    })
    held.isSettled = true
    held.settle?.no(held.denied)
  }

  /** Asked at the start. @returns why it may not begin, or undefined: enough people still stand by their yes. */
  lacks(asked: Asked, refused: Refused): Refused | undefined {
    const need = refused.approvals ?? 1
    const held = this.#held.get(asked.task)
    if (held === undefined || !sameBytes(held.digest, digestOf(this.#intentOf(asked))))
      return { ok: false, code: 'APPROVAL_MISSING', detail: `${refused.detail}, and nobody was asked`, hint: 'run it again: it then waits for the approval' }
    const have = this.#hands(held).length
    if (have >= need) return undefined
    return { ok: false, code: 'APPROVAL_GONE', detail: `it takes ${people(need)} to approve, and ${have} of those who did still may`, hint: 'run it again' }
  }

  /** Who stands by it, and what they were asked about: for the log. */
  restsOn(task: string): { readonly approvedBy: readonly Did[]; readonly intent: string } | undefined {
    const held = this.#held.get(task)
    return held === undefined ? undefined : { approvedBy: this.#hands(held).map(({ by }) => by), intent: Buffer.from(held.digest).toString('hex') }
  }

  /** It started, or ended without: no yes to it can be used again. */
  forget(task: string): void {
    const held = this.#held.get(task)
    if (held === undefined) return
    this.#held.delete(task)
    if (held.isKept) void this.on.shelf.del(task).catch(() => undefined)
  }

  #look(held: Held): void {
    if (held.denied !== undefined) return held.settle?.no(held.denied)
    const have = this.#hands(held).length
    if (have >= held.need) held.settle?.yes()
    else held.told(held, have)
  }

  /** Different people only. Of two where one gave the other the right, or who are one person, the first counts. */
  #hands(held: Held): Hand[] {
    const hands: Hand[] = []
    for (const one of held.evidence) {
      const chain = this.#standing(held, one)
      const hand = chain === undefined ? undefined : { by: asDid(one.by), chain }
      if (hand !== undefined && !hands.some((other) => this.#isOne(hand, other))) hands.push(hand)
    }
    return hands
  }

  #isOne(a: Hand, b: Hand): boolean {
    return this.on.isSamePerson(a.by, b.by) || gave(a.by, b.chain) || gave(b.by, a.chain)
  }

  /** @returns what a yes rests on, when it still counts: signed for exactly this, by somebody who might then and may now. */
  #standing(held: Held, { by, challenge, invocation, proofs, at }: Evidence): readonly Delegation[] | undefined {
    const { self, revocations, clock } = this.on
    const seen = verifyInvocation(invocation, proofs, {
      ...{ self, peer: asDid(by), challenge, now: at, revocations },
      seen: { take: () => 'new' }, // it was taken once: when it came
    })
    if (!seen.ok || seen.invocation.cmd !== APPROVAL_GRANT) return undefined
    const { request, intent, decision } = shapeOf(ApprovalArgs, seen.invocation.args)
    const isThis = sameBytes(request, held.request) && sameBytes(intent, held.digest) && decision === 'approve'
    const isOver = seen.expiresAt !== null && clock.now() >= seen.expiresAt * 1_000
    return isThis && !isOver ? seen.chain : undefined
  }

  #intentOf({ caller, command, args }: Asked): Intent {
    return { v: 1, device: this.on.self, requester: caller, command, args }
  }

  /** Drops what an earlier daemon kept for tasks that do not live any more. */
  async tidy(living: ReadonlySet<string>): Promise<void> {
    for await (const [task] of this.on.shelf.entries('')) if (!living.has(task)) await this.on.shelf.del(task)
  }

  #refuseFlood(caller: Did): void {
    const waiting = [...this.#held.values()].filter(({ isSettled }) => !isSettled)
    const own = waiting.filter(({ intent }) => intent.requester === caller).length
    if (waiting.length < MAX_WAITING && own < MAX_WAITING_BY_ONE && this.#asks.take(caller) !== undefined) return
    const what = own >= MAX_WAITING_BY_ONE ? `${own} requests of this caller wait for an approval already` : 'too many requests for approvals'
    throw new ErrandError('TOO_BUSY', what, { retryable: true, hint: 'wait until somebody has decided on the others, or cancel them' })
  }

  async #before(task: string, digest: Uint8Array): Promise<Kept | undefined> {
    const bytes = await this.on.shelf.get(task)
    if (bytes === undefined) return undefined
    const kept = decodeAs(Kept, bytes, MAX_KEPT_BYTES)
    return sameBytes(digestOf(kept.intent), digest) ? kept : undefined
  }

  async #save(task: string, { isKept, ...held }: Held): Promise<void> {
    if (!isKept) return
    const { request, intent, why, need, createdAt, expiresAt, evidence } = held
    await this.on.shelf.put(task, encode({ v: 1, request, intent, why, need, createdAt, expiresAt, evidence } satisfies Kept))
  }

  #of(waiting: Waiting): Held {
    const held = this.#held.get(taskOf(waiting))
    if (held === undefined || held.isSettled || held.request !== waiting.request) throw noSuchRequest()
    return held
  }
}

export function noSuchRequest(): ErrandError {
  return new ErrandError('NO_SUCH_REQUEST', 'no such request waits here: it was decided, ran out of time, or was taken back', {
    hint: 'errand requests lists those that wait',
  })
}

export function people(count: number): string {
  return count === 1 ? 'one person' : `${count} different people`
}

function taskOf({ intent }: Kept): string {
  return String(intent.args['task'])
}

/** Whether somebody signed a link of this chain: handed the right on. */
function gave(who: Did, chain: readonly Delegation[]): boolean {
  return chain.some(({ iss }) => iss === who)
}

function tooLate({ need, createdAt, expiresAt }: Kept, have: number): ErrandError {
  const minutes = Math.round((expiresAt - createdAt) / 60_000)
  return new ErrandError('APPROVAL_TIMEOUT', `nobody decided within ${minutes} min: ${have} of ${need} approvals came`, {
    hint: 'run it again when somebody is there to approve it',
  })
}
