/** The forwards that this device serves now: what each rests on, what ends it, how much went through it, and both ends of it in the log. */
import { FORWARD } from '../../protocols/forward/messages.ts'
import type { Fact } from '../audit/facts.ts'
import { grantIn } from '../authority/mandate.ts'
import type { Clock, Random } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { Carriage, End } from './carriage.ts'
import { type AdmittedForward, sayDeclared } from './forward-admission.ts'
import type { ForwardCaller } from './forward-ports.ts'
import type { Rests } from './rests.ts'

export interface ForwardsOn {
  readonly rests: () => Rests
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly random: Random
}

export const FORWARD_ID_BYTES = 16

/** One forward, from its start in the log to its end there. */
export class LiveForward {
  readonly total = { bytesIn: 0, bytesOut: 0 }
  connections = 0
  readonly #carriages = new Set<Carriage>()
  readonly #over = new AbortController()
  #end: End | undefined

  constructor(
    readonly id: Uint8Array,
    readonly caller: ForwardCaller,
    readonly admitted: AdmittedForward,
    readonly startTime: number,
  ) {}

  /** Aborts when it has ended; `ending` then says how. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  get ending(): End {
    return this.#end ?? { why: 'stopped' }
  }

  /** Those under way, and those that are being made. */
  open = 0

  /** Cuts every connection of it. The first reason counts. */
  end(end: End): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#over.abort(new ErrandError('FORWARD_OVER', end.message ?? end.why))
    for (const carriage of this.#carriages) carriage.cut(end)
  }

  /** From now on it ends with the forward. The returned function lets go of it. */
  carries(carriage: Carriage): () => void {
    this.#carriages.add(carriage)
    if (this.#end !== undefined) carriage.cut(this.#end)
    return () => this.#carriages.delete(carriage)
  }
}

export class Forwards {
  readonly #live = new Map<string, LiveForward>()
  readonly #staying = new Set<LiveForward>()
  #connections = 0

  constructor(private readonly on: ForwardsOn) {}

  get size(): number {
    return this.#live.size
  }

  /**
   * Written into the log before anything is connected or listened. Ended when its right is.
   * @returns it, and what says that it is over, which resolves when that is in the log. @throws TOO_BUSY
   */
  async begin(
    caller: ForwardCaller,
    admitted: AdmittedForward,
    { stays }: { readonly stays: boolean },
  ): Promise<{ live: LiveForward; done: () => Promise<void> }> {
    const { clock, random, audit } = this.on
    const live = new LiveForward(random(FORWARD_ID_BYTES), caller, admitted, Math.round(clock.now()))
    if (stays) this.#refuseMore(caller.did)
    if (stays) this.#staying.add(live)
    this.#live.set(keyOf(live.id), live)
    try {
      await audit.append(this.#fact(live, 'forward.start', 'allowed', {}))
    } catch (thrown) {
      this.#forget(live)
      throw thrown
    }
    const { chain, expiresAt } = admitted.admission
    const release = this.on.rests().hold({ right: { chain, expiresAt }, end: (why) => live.end({ why: 'revoked', message: why.message }) })
    const done = async (): Promise<void> => {
      release()
      live.end({ why: 'closed' })
      this.#forget(live)
      await this.#writeEnd(live)
    }
    return { live, done }
  }

  /** A forward that stays, for the peer it was given to. @throws NO_SUCH_FORWARD */
  find(id: Uint8Array, peer: Did): LiveForward {
    const live = this.#live.get(keyOf(id))
    if (live !== undefined && live.caller.did === peer && this.#staying.has(live) && !live.over.aborted) return live
    throw new ErrandError('NO_SUCH_FORWARD', 'that forward has ended, or was never yours')
  }

  /** Room for one more connection. The returned function gives it back. @throws TOO_BUSY */
  take(live: LiveForward): () => void {
    if (live.open >= FORWARD.connectionsPerForward) throw busy(`${FORWARD.connectionsPerForward} connections of this forward are open`)
    if (this.#connections >= FORWARD.connectionsPerDevice) throw busy(`${FORWARD.connectionsPerDevice} connections are open here`)
    live.open++
    live.connections++
    this.#connections++
    return () => {
      live.open--
      this.#connections--
    }
  }

  all(): readonly LiveForward[] {
    return [...this.#live.values()]
  }

  #refuseMore(peer: Did): void {
    const held = [...this.#staying].filter(({ caller }) => caller.did === peer).length
    if (held >= FORWARD.forwardsPerPeer) throw busy(`${held} forwards of yours are open here`)
  }

  #forget(live: LiveForward): void {
    this.#live.delete(keyOf(live.id))
    this.#staying.delete(live)
  }

  /** A log that takes nothing must not keep a forward open, so nobody waits for more than that it was tried. */
  async #writeEnd(live: LiveForward): Promise<void> {
    const { total, connections, startTime, ending } = live
    const durationMs = Math.max(0, Math.round(this.on.clock.now()) - startTime)
    const details = { why: ending.why, startTime, durationMs, bytesIn: total.bytesIn, bytesOut: total.bytesOut, connections }
    await this.on.audit.append(this.#fact(live, 'forward.end', ending.why === 'closed' ? 'ok' : 'failed', details)).catch(() => undefined)
  }

  #fact({ caller, admitted }: LiveForward, action: string, result: Fact['result'], details: NonNullable<Fact['details']>): Fact {
    const { admission, args, session, applied } = admitted
    const words = sayDeclared(args)
    return {
      ...{ actor: caller.did, action, result, session, grant: grantIn(admission.chain) ?? null },
      details: {
        ...{ from: caller.address, requestedBy: caller.did, ...details },
        ...(words === undefined ? {} : { words }),
        ...(applied === '' ? {} : { policyApplied: applied }),
      },
    }
  }
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}

function busy(detail: string): ErrandError {
  return new ErrandError('TOO_BUSY', `no more for now: ${detail}`, { retryable: true, hint: 'close some, and try again' })
}
