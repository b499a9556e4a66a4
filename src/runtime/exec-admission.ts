/** Whether a caller may have a command run here: the kernel's verdict in words, and every no in the log. */
import type { Open } from '../../protocols/exec/messages.ts'
import type { Warrant } from '../../protocols/host/messages.ts'
import type { About, CommandSpec, Terminal } from '../../protocols/task/messages.ts'
import { shapeOf } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import { grantIn } from '../authority/mandate.ts'
import type { Revocations } from '../authority/revocations.ts'
import { NonceMemory } from '../authority/seen.ts'
import { sessionIdIn } from '../authority/session.ts'
import { type Admission, type Refusal, verifyInvocation } from '../authority/verify.ts'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { TaskId } from '../tasks/machine.ts'
import { type Asked, type Check, deniedBy, firstRefusal, type Refused } from './checks.ts'
import { DenialMeter, denial } from './denial.ts'
import type { GrantRates } from './grant-rates.ts'
import { type Mandates, noMandate } from './mandates.ts'
import type { RateGate } from './rates.ts'
import { ATTACHED } from './submission.ts'

/** Who asks, as the connection proved it. */
export interface ExecCaller {
  readonly did: Did
  /** What its invocation has to carry. */
  readonly challenge: Uint8Array
  readonly address: string
  /** Resolves when this device has the revocations that the caller knows. */
  readonly synced: Promise<void>
  /** Whether it was refused too often, for whoever counts that; this device itself is not counted. */
  readonly patience?: { readonly over: () => ErrandError | undefined; readonly refused: (error: ErrandError) => void }
}

export interface Admitted {
  readonly admission: Admission
  readonly spec: CommandSpec
  readonly task: TaskId
  /** What its caller says, and the session that its chain proves. */
  readonly about: About
  /** What the exec-host gets to see of it, if it starts at once. */
  readonly warrant: Warrant
  /** It can start without its asker: `admission` and `warrant` are this device's own invocation on what `warrant` proves. */
  readonly isMandated: boolean
  /** A check that would say yes if a person did. */
  readonly waits?: Refused
}

/** As it goes to its start, now or later. */
export interface Request extends Admitted {
  readonly caller: ExecCaller
  /** It was admitted by an earlier daemon. */
  readonly isOld?: boolean
}

export interface ExecAdmissionOn {
  readonly self: Did
  readonly revocations: Revocations
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  /** What a request has to pass beyond its right. */
  readonly checks: readonly Check[]
  /** How often a caller may ask at all. */
  readonly rates: Pick<RateGate, 'take'>
  readonly mandates: Mandates
  /** One of the checks; counts what they let in. */
  readonly uses: Pick<GrantRates, 'take' | 'step'>
  /** Puts names in the place of the DIDs in a sentence, as far as its reader knows who they are. */
  readonly named: (text: string, reader: Did) => string
}

interface Denied {
  readonly caller: ExecCaller
  readonly args: unknown
  readonly grant?: string | undefined
  readonly applied?: string
  readonly session?: string | null
}

/** For whoever asks for one and does not say which. */
const PLAIN_TERMINAL: Terminal = { term: 'dumb', columns: 80, rows: 24 }

/** How long a fresh connection's revocations are waited for before a command on it is judged with what is known. */
export const SYNC_WAIT_MS = 5_000

export class ExecAdmission {
  readonly #seen = new NonceMemory()
  readonly #denials: DenialMeter

  constructor(private readonly on: ExecAdmissionOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /** Security order: 0. how often it asks, before anything costs something, 1. what the mesh knows of revocations, 2. the kernel, 3. the command, 4. undeclared environment, 5. the checks of this device; then, in `#takePlace`, room. */
  async admit(open: Open, caller: ExecCaller): Promise<Admitted> {
    await this.#count(caller)
    await Promise.race([caller.synced, pause(this.on.clock, SYNC_WAIT_MS)])
    const over = caller.patience?.over() // many wait here at once, so it is asked in the same turn as the kernel
    if (over !== undefined) throw over
    const { self, revocations, clock } = this.on
    const now = Math.floor(clock.now() / 1_000)
    const seen = verifyInvocation(open.invocation, open.proofs, { self, peer: caller.did, challenge: caller.challenge, now, revocations, seen: this.#seen })
    if (!seen.ok) {
      const error = kernelSaidNo(seen, { ...this.on, caller: caller.did })
      throw await this.#denied(error, { caller, args: seen.invocation?.args, grant: seen.grant })
    }
    if (seen.invocation.cmd !== '/exec/run')
      throw await this.#denied(new ErrandError('DENIED', `${seen.invocation.cmd} is not served here`), { caller, args: {} })
    const args = shapeOf(ExecRunArgs, seen.invocation.args)
    const undeclared = Object.keys(open.env).find((name) => !args.env.includes(name)) ?? args.env.find((name) => !(name in open.env))
    if (undeclared !== undefined)
      throw await this.#denied(new ErrandError('DENIED', `the environment sent is not the one declared: ${undeclared}`), { caller, args })
    const terminal = await this.#terminal(open, args, caller)
    const session = sessionIdIn(seen.chain)
    if (open.about?.session !== undefined && open.about.session !== session)
      throw await this.#denied(claimed(open.about.session), { caller, args, grant: grantIn(seen.chain) ?? undefined, session })
    const warrant = { caller: caller.did, challenge: caller.challenge, invocation: open.invocation, proofs: open.proofs }
    const right = await this.#outliving(open, { admission: seen, warrant }, caller)
    const waits = await this.#check(right.admission, caller, { counts: true })
    const { exe, argv, cwd, user, timeoutMs, maxOutputBytes, stdin, limits } = args
    const bounds = { timeoutMs, maxOutputBytes, stdin, ...(limits === undefined ? {} : { limits }) }
    const spec = { exe, argv, cwd, env: open.env, user, ...bounds, ...terminal }
    const about: About = { ...(open.about ?? ATTACHED), ...(session === null ? {} : { session }) }
    return { ...right, task: args.task as TaskId, spec, about, ...(waits === undefined ? {} : { waits }) }
  }

  /** @throws DENIED for one that was not declared; UNSUPPORTED where nobody would be at it. */
  async #terminal(open: Open, args: ExecRunArgs, caller: ExecCaller): Promise<Pick<CommandSpec, 'terminal'>> {
    if (!args.tty && open.terminal !== undefined)
      throw await this.#denied(new ErrandError('DENIED', 'a terminal was sent, and none is declared'), { caller, args })
    if (!args.tty) return {}
    if (open.about?.detached === true) throw new ErrandError('UNSUPPORTED', 'a detached command has no terminal', { hint: 'leave -t or --detach out' })
    return { terminal: open.terminal ?? PLAIN_TERMINAL }
  }

  /** What is detached goes on without its asker from the first moment: on the mandate, and on nothing else. @throws DENIED */
  async #outliving(
    open: Open,
    shown: Pick<Admitted, 'admission' | 'warrant'>,
    caller: ExecCaller,
  ): Promise<Pick<Admitted, 'admission' | 'warrant' | 'isMandated'>> {
    const { invocation, chain } = shown.admission
    const isDetached = open.about?.detached === true
    if (caller.did === this.on.self || (!isDetached && open.mandate === undefined)) return { ...shown, isMandated: caller.did === this.on.self }
    const { cmd: command, args } = invocation
    const proofs = [...open.proofs, ...(open.mandate === undefined ? [] : [open.mandate])]
    const seen =
      open.mandate === undefined
        ? noMandate('what is detached runs on a mandate, and none was sent')
        : this.on.mandates.invoke({ caller: caller.did, command, args, proofs })
    if ('warrant' in seen) return { ...seen, isMandated: true }
    const error = kernelSaidNo({ ...seen, invocation }, { ...this.on, caller: caller.did })
    throw await this.#denied(error, { caller, args, grant: grantIn(chain) ?? undefined, session: sessionIdIn(chain) })
  }

  /** @throws TOO_BUSY, written down as far as refusals are. */
  async #count(caller: ExecCaller): Promise<void> {
    try {
      this.on.rates.take(caller.did)
    } catch (thrown) {
      throw await this.#denied(asErrand(thrown), { caller, args: undefined })
    }
  }

  /** What waited in an earlier daemon: judged anew by the checks of this device; what it waits for may have changed. @throws DENIED */
  async again<R extends Admitted & { readonly caller: ExecCaller }>(request: R): Promise<R> {
    const { waits: _, ...rest } = request
    const waits = await this.#check(request.admission, request.caller, { counts: false })
    return { ...(rest as R), ...(waits === undefined ? {} : { waits }) }
  }

  async #check(admission: Admission, caller: ExecCaller, { counts }: { readonly counts: boolean }): Promise<Refused | undefined> {
    const seen = await firstRefusal(this.on.checks, askedOf(admission, caller.did), 'admission')
    const isLetIn = seen === undefined || seen.waitsFor !== undefined
    const over = isLetIn && counts ? this.on.uses.take(admission) : undefined // in the same turn as the answer to the checks: nobody comes between
    const refused = over === undefined ? seen : { ...over, step: this.on.uses.step }
    if (refused === undefined || refused.waitsFor !== undefined) return refused
    const error = deniedBy(refused)
    throw await this.#denied(error, {
      ...{ caller, args: admission.invocation.args, grant: grantIn(admission.chain) ?? undefined, session: sessionIdIn(admission.chain) },
      ...(refused.applied === undefined ? {} : { applied: refused.applied }),
    })
  }

  async #denied(error: ErrandError, { caller, args, grant, applied, session = null }: Denied): Promise<ErrandError> {
    caller.patience?.refused(error)
    const more = this.#denials.take(caller.did)
    if (more === undefined) return error
    const declared = args as { exe?: unknown; argv?: unknown; task?: unknown } | undefined
    const command = [declared?.exe, ...(Array.isArray(declared?.argv) ? declared.argv : [])].filter((word): word is string => typeof word === 'string')
    await this.on.audit.append({
      actor: caller.did,
      action: 'exec.denied',
      result: 'denied',
      task: typeof declared?.task === 'string' ? declared.task : null,
      session,
      grant: grant ?? null,
      details: {
        reason: more === 0 ? error.message : `${error.message} (and ${more} more refusals before)`,
        command,
        from: caller.address,
        requestedBy: caller.did,
        ...(applied === undefined ? {} : { policyApplied: applied }),
      },
    })
    return error
  }
}

/** The kernel's no, in the words that its caller gets to read. */
export function kernelSaidNo(seen: Refusal, on: Pick<ExecAdmissionOn, 'self' | 'named' | 'clock'> & { readonly caller: Did }): ErrandError {
  const { self, named, clock, caller } = on
  const asked = { who: named(caller, caller), on: named(self, caller), exe: seen.invocation?.args['exe'] }
  return denial({ ...seen, detail: named(seen.detail, caller) }, clock.now(), asked)
}

function claimed(session: string): ErrandError {
  return new ErrandError('DENIED', `the request names the session ${session}, and its chain does not prove that it acts in it`, {
    hint: 'open one where you are: errand session open',
    fields: { reason: 'SESSION_CLAIMED' },
  })
}

/** An admitted request, as the checks of this device get to see it. */
export function askedOf(admission: Asked['admission'], caller: Did): Asked {
  const { cmd, args } = admission.invocation
  return { caller, command: cmd, args, task: typeof args['task'] === 'string' ? args['task'] : '', admission }
}
