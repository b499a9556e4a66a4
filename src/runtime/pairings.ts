/**
 * The inviting side of short codes. One try for each code: it is spent in memory and in the log on disk before the try is answered, whatever
 * becomes of it. Words and keys are never written down; a restart voids what is open.
 */
import { type Answer, type Finish, type Given, Joiner, PAIR, type Start } from '../../protocols/pair/messages.ts'
import { BadBytes, decodeAs, encode } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import type { Clock, Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { DenialMeter } from './denial.ts'
import type { InviteProgress } from './invite-progress.ts'
import { PairChannel } from './pair-channel.ts'
import { makePlate, makeWords, sayCode } from './pair-code.ts'
import { type Lock, makeLock } from './pake.ts'

export interface PairingsOn {
  readonly self: Did
  readonly progress: InviteProgress
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly random: Random
}

/** What a short code leads to. */
export interface Prize {
  /** DID of the invite key. */
  readonly id: string
  /** The long code. */
  readonly code: string
  readonly expiresAtMs: number
}

interface Open extends Prize {
  readonly plate: number
  readonly lock: Lock
  readonly forget: () => void
}

/** One try, answered. Exactly one of the two has to be called. */
export interface PairTry {
  readonly answer: Answer
  /** @throws WRONG_CODE */
  finish(finish: Finish): Promise<Given>
  /** The other side said nothing more, or broke off. */
  abandon(): Promise<void>
}

export class Pairings {
  readonly #open = new Map<number, Open>()
  readonly #denials: DenialMeter
  readonly #listeners = new Set<() => void>()

  constructor(private readonly on: PairingsOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /** The numbers of the codes that can be tried now. */
  get plates(): readonly number[] {
    return [...this.#open.keys()]
  }

  onPlates(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** @returns the short code that leads to a long one, once. @throws TOO_MANY_CODES */
  async open(prize: Prize): Promise<string> {
    const { random, clock } = this.on
    if (this.#open.size >= PAIR.maxOpen) {
      throw new ErrandError('TOO_MANY_CODES', `${PAIR.maxOpen} short codes are open already`, {
        hint: 'use one of them, wait until one expires, or: errand invite --long',
      })
    }
    const words = makeWords(random)
    const plate = makePlate(random, (taken) => this.#open.has(taken))
    const forget = clock.after(Math.max(0, prize.expiresAtMs - clock.now()), () => this.#close(plate))
    this.#open.set(plate, { ...prize, plate, forget, lock: NEVER })
    this.#open.set(plate, { ...prize, plate, forget, lock: await makeLock(words, plate) })
    this.#changed()
    return sayCode({ plate, words })
  }

  /**
   * Security order: 1. the code is open and has not expired, 2. it is spent, here and now, 3. that is in the log, on disk, 4. only then the
   * try is answered: whoever hears the answer knows whether the guess was right.
   */
  async begin(start: Start, from: string): Promise<PairTry> {
    const open = this.#open.get(start.plate)
    if (open === undefined || open.expiresAtMs <= this.on.clock.now()) throw await this.#unknown(start.plate, from)
    this.#close(start.plate)
    await this.#log({ action: 'device.pair-try', result: 'allowed', subject: open.id, details: { from } })
    const attempt = this.#turn(open, start)
    if (attempt === undefined) throw await this.#wrong(open, from)
    const answer: Answer = { t: 'answer', ke2: attempt.ke2 }
    return {
      answer,
      finish: async (finish) => {
        const sessionKey = attempt.finish(finish.ke3)
        if (sessionKey === undefined) throw await this.#wrong(open, from)
        return await this.#give(open, { channel: new PairChannel(sessionKey, { start, answer }), finish, from })
      },
      abandon: async () => void (await this.#wrong(open, from)),
    }
  }

  #turn({ lock }: Open, start: Start): ReturnType<Lock['try']> | undefined {
    try {
      return lock.try(start.ke1)
    } catch {
      return undefined // no point of the curve
    }
  }

  async #give(open: Open, o: { channel: PairChannel; finish: Finish; from: string }): Promise<Given> {
    const { channel, from } = o
    const joiner = await this.#readJoiner(open, o)
    const check = channel.check({ joiner: joiner.device, inviter: this.on.self })
    await this.#log({ action: 'device.pair', result: 'ok', subject: joiner.device, details: { from, name: joiner.name } })
    this.on.progress.paired(open.id, { did: joiner.device, name: joiner.name, check })
    return { t: 'given', sealed: channel.seal('inviter', encode({ code: open.code })) }
  }

  async #readJoiner(open: Open, { channel, finish, from }: { channel: PairChannel; finish: Finish; from: string }): Promise<Joiner> {
    try {
      return decodeAs(Joiner, channel.open('joiner', finish.sealed), 512)
    } catch (thrown) {
      if (thrown instanceof BadBytes || thrown instanceof ErrandError) throw await this.#wrong(open, from)
      throw thrown
    }
  }

  async #wrong(open: Open, from: string): Promise<ErrandError> {
    const why = `somebody at ${from} tried this code without its words; it is void`
    this.on.progress.failed(open.id, why)
    await this.#log({ action: 'device.pair-denied', result: 'denied', subject: open.id, details: { reason: 'wrong code; it is void now', from } })
    return wrongCode()
  }

  async #unknown(plate: number, from: string): Promise<ErrandError> {
    // Anybody can knock: what strangers can make us write is bounded.
    const more = this.#denials.take('pair')
    if (more !== undefined) {
      const reason = `no open code with the number ${plate}${more === 0 ? '' : ` (and ${more} more refusals before)`}`
      await this.#log({ action: 'device.pair-denied', result: 'denied', subject: null, details: { reason, from } })
    }
    return new ErrandError('CODE_UNKNOWN', `no code with the number ${plate} is open there: used, expired, void, or mistyped`, {
      hint: 'look at the number again; a new code: errand invite',
    })
  }

  async #log(fact: Omit<Fact, 'actor'>): Promise<void> {
    await this.on.audit.append({ actor: this.on.self, ...fact })
  }

  #close(plate: number): void {
    this.#open.get(plate)?.forget()
    if (this.#open.delete(plate)) this.#changed()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** Holds a number's place while its lock is made. */
const NEVER: Lock = {
  try: () => {
    throw new ErrandError('CODE_UNKNOWN', 'this code is not open yet')
  },
}

/** The same words on both sides of the exchange. */
export function wrongCode(): ErrandError {
  return new ErrandError('WRONG_CODE', 'the code is wrong, and void now: there is one try for each', {
    hint: 'make a new one on the other device: errand invite',
  })
}
