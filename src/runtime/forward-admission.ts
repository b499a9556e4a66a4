/** Whether a caller may have this device connect somewhere, or listen for it: the kernel's verdict, this device's checks, and every no in the log. */
import type { OpenForward } from '../../protocols/forward/messages.ts'
import { shapeOf } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { grantIn } from '../authority/mandate.ts'
import { NetForwardArgs } from '../authority/net-args.ts'
import { NET_COMMAND } from '../authority/net-rights.ts'
import type { Revocations } from '../authority/revocations.ts'
import { NonceMemory } from '../authority/seen.ts'
import { sessionIdIn } from '../authority/session.ts'
import { type Admission, type Refusal, verifyInvocation } from '../authority/verify.ts'
import { sayEnd } from '../base/address.ts'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { type Check, deniedBy, passAll, type Stopped } from './checks.ts'
import { DenialMeter, denial } from './denial.ts'
import { askedOf, type ExecCaller, SYNC_WAIT_MS } from './exec-admission.ts'
import type { GrantRates } from './grant-rates.ts'
import type { RateGate } from './rates.ts'

export interface ForwardAdmissionOn {
  readonly self: Did
  readonly revocations: Revocations
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly named: (text: string, reader: Did) => string
  readonly checks: readonly Check[]
  readonly rates: Pick<RateGate, 'take'>
  readonly uses: Pick<GrantRates, 'take' | 'step'>
}

export interface AdmittedForward {
  readonly admission: Admission
  readonly args: NetForwardArgs
  readonly session: string | null
  /** What was gone by, for the log. */
  readonly applied: string
}

interface Asks {
  readonly caller: ExecCaller
  readonly args?: unknown
  readonly grant?: string | undefined
  readonly session?: string | null
  readonly applied?: string
}

export class ForwardAdmission {
  readonly #seen = new NonceMemory()
  readonly #denials: DenialMeter

  constructor(private readonly on: ForwardAdmissionOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /** Security order: 0. how often it asks, 1. what the mesh knows of revocations, 2. the kernel, 3. the command, 4. the checks of this device. @throws DENIED, TOO_BUSY; written down. */
  async admit(open: OpenForward, caller: ExecCaller): Promise<AdmittedForward> {
    await this.#count(caller)
    const { self, revocations, clock } = this.on
    await Promise.race([caller.synced, pause(clock, SYNC_WAIT_MS)])
    const over = caller.patience?.over() // many wait here at once, so it is asked in the same turn as the kernel
    if (over !== undefined) throw over
    const now = Math.floor(clock.now() / 1_000)
    const seen = verifyInvocation(open.invocation, open.proofs, { self, peer: caller.did, challenge: caller.challenge, now, revocations, seen: this.#seen })
    if (!seen.ok) throw await this.denied(forwardSaidNo(seen, { ...this.on, caller: caller.did }), { caller, args: seen.invocation?.args, grant: seen.grant })
    const { cmd, args } = seen.invocation
    const asks = { caller, args, grant: grantIn(seen.chain) ?? undefined, session: sessionIdIn(seen.chain) }
    if (cmd !== NET_COMMAND) throw await this.denied(new ErrandError('DENIED', `${cmd} is not served here`), asks)
    const passed = await passAll(this.on.checks, askedOf(seen, caller.did), 'admission')
    if (!passed.ok) throw await this.#stopped(passed, asks)
    const used = this.on.uses.take(seen) // in the same turn as the answer to the checks: nobody comes between
    if (used !== undefined) throw await this.denied(deniedBy({ ...used, step: this.on.uses.step }), asks)
    return { admission: seen, args: shapeOf(NetForwardArgs, args), session: asks.session, applied: passed.applied }
  }

  /** Whether what was let in before would be let in now, as far as this device's own checks go. */
  async whyNotNow({ admission }: Pick<AdmittedForward, 'admission'>, caller: Did): Promise<string | undefined> {
    const passed = await passAll(this.on.checks, askedOf(admission, caller), 'start')
    return passed.ok ? undefined : passed.detail
  }

  /** Writes a refusal down, as far as they are. */
  async denied(error: ErrandError, { caller, args, grant, session = null, applied }: Asks): Promise<ErrandError> {
    caller.patience?.refused(error)
    const more = this.#denials.take(caller.did)
    if (more === undefined) return error
    const words = sayDeclared(args)
    await this.on.audit.append({
      ...{ actor: caller.did, action: 'forward.denied', result: 'denied', session, grant: grant ?? null },
      details: {
        ...{ reason: more === 0 ? error.message : `${error.message} (and ${more} more refusals before)`, from: caller.address, requestedBy: caller.did },
        ...(words === undefined ? {} : { words }),
        ...(applied === undefined ? {} : { policyApplied: applied }),
      },
    })
    return error
  }

  /** A connection is made now or not at all: what would have to wait for somebody's yes is refused. */
  async #stopped(stopped: Stopped, asks: Asks): Promise<ErrandError> {
    const { waitsFor, applied } = stopped
    const refused =
      waitsFor === undefined
        ? stopped
        : { ...stopped, detail: `${stopped.detail}, and a connection cannot wait for that`, hint: 'ask for a right without approval' }
    return await this.denied(deniedBy(refused), { ...asks, ...(applied === undefined ? {} : { applied }) })
  }

  async #count(caller: ExecCaller): Promise<void> {
    try {
      this.on.rates.take(caller.did)
    } catch (thrown) {
      throw await this.denied(asErrand(thrown), { caller })
    }
  }
}

/** The kernel's no, in the words that its caller gets to read. */
export function forwardSaidNo(seen: Refusal, on: Pick<ForwardAdmissionOn, 'self' | 'named' | 'clock'> & { readonly caller: Did }): ErrandError {
  const { self, named, clock, caller } = on
  const can = seen.invocation === undefined ? undefined : sayDeclared(seen.invocation.args)
  return denial({ ...seen, detail: named(seen.detail, caller) }, clock.now(), { who: named(caller, caller), on: named(self, caller), can: can ?? 'forward: …' })
}

/** As the right that would do for it is written. Undefined for what is none. */
export function sayDeclared(args: unknown): string | undefined {
  const { mode, host, port } = (args ?? {}) as Partial<Record<string, unknown>>
  if (typeof host !== 'string' || typeof port !== 'number' || !/^[a-z0-9._:-]{1,253}$/.test(host)) return undefined
  return `${mode === 'listen' ? 'listen' : 'forward'}: ${sayEnd(host, port === 0 ? '*' : port)}`
}
