/**
 * Rights that other devices ask this one for: kept until somebody here decides, or nobody does. Whoever asks is known by the connection and
 * gets nothing by asking. Grants nothing itself.
 */
import * as v from 'valibot'
import { APPROVAL, type RightAnswer, RightAsked } from '../../protocols/approval/messages.ts'
import { Count, DidText, decodeAs, encode, List, Text } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { parseRight } from '../authority/rights.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { asDid, type Did } from '../identity/identity.ts'
import { noSuchRequest } from './approvals.ts'
import { DenialMeter } from './denial.ts'
import type { ExecCaller } from './exec-admission.ts'

/** Kept at most, decided ones included; of one device; and of one device that wait. */
const MAX_ASKED_RIGHTS = 512
const MAX_ASKED_BY_ONE = 64
const MAX_ASKED_WAITING = 8
/** Decided ones are told to whoever asked, for so long. */
const RIGHT_WAIT_MS = 86_400_000
const MAX_KEPT_BYTES = 32_768

const Kept = v.strictObject({
  v: v.literal(1),
  asked: RightAsked,
  from: DidText,
  heardAt: Count,
  state: v.picklist(['waiting', 'granted', 'denied']),
  reason: Text(APPROVAL.maxReasonChars),
  grants: List(Text(80), APPROVAL.maxRights),
})
export type AskedRight = v.InferOutput<typeof Kept>

export interface AskedShelf {
  put(key: string, value: Uint8Array): Promise<void>
  del(key: string): Promise<void>
  entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>
}

export interface RightsAskedOn {
  readonly shelf: AskedShelf
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  /** @throws CANNOT_GRANT when this device could not grant it in any case. */
  readonly refuseUngrantable: (device: Did, can: readonly string[]) => void
  /** Whether this one may ask about that device: members about each other, a guest about those that it knows. */
  readonly mayAskAbout: (device: string, asker: Did) => boolean
}

export class RightsAskedHere {
  readonly #held = new Map<string, AskedRight>()
  readonly #asks: DenialMeter

  constructor(private readonly on: RightsAskedOn) {
    this.#asks = new DenialMeter(on.clock)
  }

  async load(): Promise<void> {
    for await (const [key, bytes] of this.on.shelf.entries('in/')) {
      const kept = attempt(() => decodeAs(Kept, bytes, MAX_KEPT_BYTES))
      if (kept === undefined) await this.on.shelf.del(key)
      else this.#held.set(idOf(kept.asked.id), kept)
    }
    await this.#dropOld()
  }

  /** The same request again is the same request. @throws TOO_BUSY, BAD_RIGHT, CANNOT_GRANT, UNKNOWN_DEVICE */
  async take(asked: RightAsked, caller: ExecCaller): Promise<RightAnswer> {
    const id = idOf(asked.id)
    const known = this.#held.get(id)
    if (known !== undefined) return known.from === caller.did ? this.#answer(known) : throwUnknown()
    if (this.#asks.take(caller.did) === undefined) throw tooMany()
    for (const right of asked.can) parseRight(right)
    if (!this.on.mayAskAbout(asked.device, caller.did)) throw new ErrandError('UNKNOWN_DEVICE', 'that is no device of this mesh')
    this.on.refuseUngrantable(asDid(asked.device), asked.can)
    await this.#dropOld()
    const own = [...this.#held.values()].filter(({ from }) => from === caller.did)
    const waiting = own.filter(({ state }) => state === 'waiting')
    if (this.#held.size >= MAX_ASKED_RIGHTS || own.length >= MAX_ASKED_BY_ONE || waiting.length >= MAX_ASKED_WAITING) throw tooMany()
    const kept: AskedRight = { v: 1, asked, from: caller.did, heardAt: this.on.clock.now(), state: 'waiting', reason: '', grants: [] }
    this.#held.set(id, kept)
    await this.#save(kept)
    await this.#note('approval.request', kept, caller.did)
    return this.#answer(kept)
  }

  /** For nobody but who asked. @throws NO_SUCH_REQUEST */
  state(id: Uint8Array, from: Did): RightAnswer {
    const held = this.#held.get(idOf(id))
    return held?.from === from ? this.#answer(held) : throwUnknown()
  }

  /** @throws NO_SUCH_REQUEST */
  async withdraw(id: Uint8Array, from: Did): Promise<RightAnswer> {
    const answer = this.state(id, from)
    this.#held.delete(idOf(id))
    await this.on.shelf.del(`in/${idOf(id)}`)
    return answer
  }

  /** What somebody here should decide, oldest first. */
  waiting(): AskedRight[] {
    return [...this.#held.values()].filter((one) => one.state === 'waiting' && !this.#isOld(one)).sort((a, b) => a.heardAt - b.heardAt)
  }

  /** It was decided by the user of this device. @throws NO_SUCH_REQUEST when that has happened already. */
  async decide(one: AskedRight, o: { readonly by: Did; readonly grants?: readonly string[]; readonly reason?: string }): Promise<void> {
    const { by, grants = [], reason = '' } = o
    const held = this.#held.get(idOf(one.asked.id))
    if (held?.state !== 'waiting') throw noSuchRequest()
    const decided: AskedRight = { ...held, state: grants.length > 0 ? 'granted' : 'denied', grants: [...grants], reason }
    this.#held.set(idOf(one.asked.id), decided)
    await this.#save(decided)
    await this.#note(grants.length > 0 ? 'approval.grant' : 'approval.deny', decided, by)
  }

  #answer(held: AskedRight): RightAnswer {
    const { asked, state, reason, grants } = held
    return { id: asked.id, state: state === 'waiting' && this.#isOld(held) ? 'expired' : state, reason, grants }
  }

  async #note(action: string, { asked, from, reason, grants }: AskedRight, actor: Did): Promise<void> {
    await this.on.audit.append({
      ...{ actor, action, result: 'ok', subject: from, grant: grants[0] ?? null },
      details: { words: asked.can.join('; '), reason: reason === '' ? asked.reason : reason, requestedBy: from, device: asked.device },
    })
  }

  #isOld({ heardAt }: AskedRight): boolean {
    return this.on.clock.now() - heardAt > RIGHT_WAIT_MS
  }

  async #dropOld(): Promise<void> {
    for (const [id, one] of this.#held) {
      if (!this.#isOld(one)) continue
      this.#held.delete(id)
      await this.on.shelf.del(`in/${id}`)
    }
  }

  async #save(kept: AskedRight): Promise<void> {
    await this.on.shelf.put(`in/${idOf(kept.asked.id)}`, encode(kept))
  }
}

export function idOf(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}

function throwUnknown(): never {
  throw noSuchRequest()
}

function tooMany(): ErrandError {
  return new ErrandError('TOO_BUSY', 'too many rights are asked for here', { retryable: true, hint: 'wait until somebody has decided on the others' })
}

function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn()
  } catch {
    return undefined
  }
}
