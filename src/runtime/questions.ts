/**
 * Answers whether a command would run here, and starts nothing: no place is taken, no approval used, no task made. Whoever may not have the
 * command run learns what a refused run would have told, word for word; the rest is for whoever's right is proven for this very command.
 */
import type { Ask, WhyStep } from '../../protocols/call/messages.ts'
import type { Fact } from '../audit/facts.ts'
import type { Revocations } from '../authority/revocations.ts'
import { sayRight } from '../authority/rights.ts'
import { NonceMemory } from '../authority/seen.ts'
import type { Invocation } from '../authority/token.ts'
import { type Admission, verifyInvocation } from '../authority/verify.ts'
import { type Clock, pause } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { type Check, verdicts } from './checks.ts'
import { DenialMeter } from './denial.ts'
import { askedOf, type ExecCaller, kernelSaidNo, SYNC_WAIT_MS } from './exec-admission.ts'
import type { Places } from './places.ts'
import type { RateGate } from './rates.ts'

export interface QuestionsOn {
  readonly self: Did
  readonly revocations: Revocations
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly checks: readonly Check[]
  readonly places: Pick<Places, 'outlook'>
  /** A question costs the kernel as much as a command. */
  readonly rates: Pick<RateGate, 'take'>
  readonly named: (text: string, reader: Did) => string
}

export class Questions {
  readonly #seen = new NonceMemory()
  readonly #meter: DenialMeter

  constructor(private readonly on: QuestionsOn) {
    this.#meter = new DenialMeter(on.clock)
  }

  /** Security order: 0. how often it asks, 1. revocations, 2. the kernel, exactly as for the command itself, 3. only then what this device would say beyond it. @throws DENIED, TOO_BUSY */
  async answer({ invocation, proofs }: Pick<Ask, 'invocation' | 'proofs'>, caller: ExecCaller): Promise<WhyStep[]> {
    await this.#count(caller)
    await Promise.race([caller.synced, pause(this.on.clock, SYNC_WAIT_MS)])
    const { self, revocations, clock } = this.on
    const now = Math.floor(clock.now() / 1_000)
    const seen = verifyInvocation(invocation, proofs, {
      ...{ self, peer: caller.did, challenge: caller.challenge, now, revocations, seen: this.#seen, isQuestion: true },
    })
    if (!seen.ok) throw await this.#refused(kernelSaidNo(seen, { ...this.on, caller: caller.did }), caller, seen.invocation)
    if (seen.invocation.cmd !== '/exec/run') {
      throw await this.#refused(new ErrandError('DENIED', `${seen.invocation.cmd} is not served here`), caller, seen.invocation)
    }
    const steps = await this.#steps(seen, caller)
    const no = steps.find(({ ok }) => !ok)
    await this.#note(caller, { invocation: seen.invocation, ...(no === undefined ? {} : { reason: `${no.step}: ${no.detail}` }) })
    return steps
  }

  async #count(caller: ExecCaller): Promise<void> {
    try {
      this.on.rates.take(caller.did)
    } catch (thrown) {
      throw await this.#refused(asErrand(thrown), caller, undefined)
    }
  }

  async #steps(admission: Admission, caller: ExecCaller): Promise<WhyStep[]> {
    const steps: WhyStep[] = [{ step: 'authority', ok: true, detail: this.#sayRight(admission) }]
    for (const verdict of await verdicts(this.on.checks, askedOf(admission, caller.did), 'admission')) {
      const { step, ok } = verdict
      const detail = this.on.named(verdict.detail, caller.did)
      steps.push({ step, ok, detail, ...(verdict.ok || verdict.hint === undefined ? {} : { hint: verdict.hint }) })
      if (!ok) return steps
    }
    return [...steps, this.#limits(caller)]
  }

  #sayRight({ chain, expiresAt }: Admission): string {
    const last = chain.at(-1)
    if (last === undefined) return 'the device itself asks'
    const left = expiresAt === null ? 'without end' : `${sayAbout(expiresAt * 1_000 - this.on.clock.now())} left`
    const narrowest = chain.findLast(({ pol }) => pol.length > 0) ?? last
    return `${left} · ${sayRight(narrowest.cmd, narrowest.pol)} · ${chain.length === 1 ? 'one grant' : `a chain of ${chain.length} grants`}`
  }

  #limits(caller: ExecCaller): WhyStep {
    return { step: 'limits', ...this.on.places.outlook(caller.did) }
  }

  async #refused(error: ErrandError, caller: ExecCaller, invocation: Invocation | undefined): Promise<ErrandError> {
    await this.#note(caller, { invocation, reason: error.message })
    return error
  }

  /** A question is no run, and the log does not take it for one. Metered: asking must not fill a log that goes to every device. */
  async #note(caller: ExecCaller, { invocation, reason }: { invocation: Invocation | undefined; reason?: string }): Promise<void> {
    const more = this.#meter.take(caller.did)
    if (more === undefined) return
    const { exe, argv } = invocation?.args ?? {}
    const command = [exe, ...(Array.isArray(argv) ? argv : [])].filter((word): word is string => typeof word === 'string')
    const words = more === 0 ? 'a question; nothing was run' : `a question; nothing was run (and ${more} more questions before)`
    await this.on.audit.append({
      ...{ actor: caller.did, action: 'exec.asked', result: reason === undefined ? 'allowed' : 'denied', task: null, grant: null },
      details: { words, command, from: caller.address, requestedBy: caller.did, ...(reason === undefined ? {} : { reason }) },
    })
  }
}
