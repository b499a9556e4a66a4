/**
 * Rights that this device asks others for: told to each device that could grant them as it comes by, asked after until one of them has
 * decided, and then taken back from the others. The grant itself comes as every grant does.
 */
import * as v from 'valibot'
import { APPROVAL, type RightAnswer, RightAsked } from '../../protocols/approval/messages.ts'
import type { Answer, ApprovalQuestion, Ask } from '../../protocols/call/messages.ts'
import { Count, DidText, decodeAs, encode, List, Text } from '../../protocols/wire.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { asDid, type Did } from '../identity/identity.ts'
import { type AskedShelf, idOf } from './rights-asked.ts'
import type { CallRoute } from './task-finder.ts'

const MAX_WANTED = 32
const MAX_TOLD = 16
const WANTED_MS = 86_400_000
const ASK_MS = 3_000
const MAX_KEPT_BYTES = 32_768
/** What says nothing of the request. */
const FLEETING: ReadonlySet<string> = new Set(['NO_ROUTE', 'LINK_CLOSED', 'NOT_ADMITTED', 'TOO_BUSY', 'INTERNAL'])

const Kept = v.strictObject({
  v: v.literal(1),
  asked: RightAsked,
  /** Devices that could grant it. */
  at: List(DidText, MAX_TOLD),
  /** Those of them that have it. */
  told: List(DidText, MAX_TOLD),
  state: v.picklist(['waiting', 'granted', 'denied', 'expired']),
  /** Who decided. */
  by: v.nullable(DidText),
  reason: Text(APPROVAL.maxReasonChars),
  grants: List(Text(80), APPROVAL.maxRights),
  endedAt: v.nullable(Count),
})
export type WantedRight = v.InferOutput<typeof Kept>

export interface RightsWantedOn {
  readonly shelf: AskedShelf
  readonly calls: CallRoute
  readonly isOnline: (did: Did) => boolean
  readonly clock: Clock
}

export class RightsWanted {
  readonly #held = new Map<string, WantedRight>()
  /** Devices that said they could not grant it; asked again after a restart. */
  readonly #useless = new Set<string>()
  #looking: Promise<void> | undefined

  constructor(private readonly on: RightsWantedOn) {}

  async load(): Promise<void> {
    for await (const [key, bytes] of this.on.shelf.entries('out/')) {
      const kept = attempt(() => decodeAs(Kept, bytes, MAX_KEPT_BYTES))
      if (kept === undefined) await this.on.shelf.del(key)
      else this.#held.set(idOf(kept.asked.id), kept)
    }
  }

  /** Resolves when the devices at hand were asked. @throws TOO_BUSY; what all of those that were asked refused it with. */
  async want(asked: RightAsked, at: readonly Did[]): Promise<WantedRight> {
    const waiting = [...this.#held.values()].filter(({ state }) => state === 'waiting')
    if (waiting.length >= MAX_WANTED)
      throw new ErrandError('TOO_BUSY', `${waiting.length} requests of this device wait already`, { hint: 'errand requests --mine' })
    const wanted: WantedRight = { v: 1, asked, at: at.slice(0, MAX_TOLD), told: [], state: 'waiting', by: null, reason: '', grants: [], endedAt: null }
    await this.#keep(wanted)
    const refusals = await this.#visit(wanted)
    const now = this.#held.get(idOf(asked.id)) ?? wanted
    const [refusal] = refusals
    if (now.told.length > 0 || refusal === undefined || refusals.length < wanted.at.length) return now
    await this.#drop(wanted)
    throw refusal
  }

  list(): WantedRight[] {
    return [...this.#held.values()].sort((a, b) => a.asked.createdAt - b.asked.createdAt)
  }

  /** Asks how things stand; bounded. One look at a time. */
  async look(): Promise<void> {
    this.#looking ??= this.#lookAtAll().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  async #lookAtAll(): Promise<void> {
    const now = this.on.clock.now()
    for (const one of this.list()) {
      if (one.endedAt !== null && now - one.endedAt > WANTED_MS) await this.#drop(one)
      else if (one.state === 'waiting' && now - one.asked.createdAt > WANTED_MS)
        await this.#end(one, { id: one.asked.id, state: 'expired', reason: '', grants: [] }, null)
      else if (one.state === 'waiting') await this.#visit(one)
    }
  }

  /** @returns what devices refused it with. */
  async #visit(wanted: WantedRight): Promise<ErrandError[]> {
    const refusals: ErrandError[] = []
    const visits = wanted.at
      .map(asDid)
      .filter((did) => this.on.isOnline(did) && !this.#useless.has(`${idOf(wanted.asked.id)} ${did}`))
      .map(async (did) => {
        try {
          const isTold = wanted.told.includes(did)
          const answer = await this.#ask(did, isTold ? { question: '/right/state', request: wanted.asked.id } : { question: '/right/ask', right: wanted.asked })
          await this.#heard(wanted.asked.id, did, answer)
        } catch (thrown) {
          const error = asErrand(thrown)
          refusals.push(error)
          if (!error.retryable && !FLEETING.has(error.code)) this.#useless.add(`${idOf(wanted.asked.id)} ${did}`)
        }
      })
    await Promise.all(visits)
    return refusals
  }

  async #heard(id: Uint8Array, did: Did, answer: RightAnswer | undefined): Promise<void> {
    const wanted = this.#held.get(idOf(id))
    if (wanted?.state !== 'waiting' || answer === undefined) return
    if (answer.state === 'granted' || answer.state === 'denied') await this.#end(wanted, answer, did)
    else if (!wanted.told.includes(did)) await this.#keep({ ...wanted, told: [...wanted.told, did] })
  }

  async #end(wanted: WantedRight, { state, reason, grants }: RightAnswer, by: Did | null): Promise<void> {
    await this.#keep({ ...wanted, state, by, reason, grants, endedAt: this.on.clock.now() })
    for (const did of wanted.told.map(asDid)) {
      if (did !== by && this.on.isOnline(did)) void this.#ask(did, { question: '/right/withdraw', request: wanted.asked.id }).catch(() => undefined)
    }
  }

  async #ask(did: Did, question: { readonly question: ApprovalQuestion } & Pick<Ask, 'right' | 'request'>): Promise<Answer['right']> {
    const ask = (): Promise<Ask> => Promise.resolve({ task: '', invocation: new Uint8Array(), proofs: [], ...question })
    return (await this.on.calls.call(did, ask, { signal: AbortSignal.timeout(ASK_MS) })).right
  }

  async #keep(wanted: WantedRight): Promise<void> {
    this.#held.set(idOf(wanted.asked.id), wanted)
    await this.on.shelf.put(`out/${idOf(wanted.asked.id)}`, encode(wanted))
  }

  async #drop({ asked }: WantedRight): Promise<void> {
    this.#held.delete(idOf(asked.id))
    await this.on.shelf.del(`out/${idOf(asked.id)}`)
  }
}

function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn()
  } catch {
    return undefined
  }
}
