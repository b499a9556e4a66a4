/** Who may see and steer a task that runs here: whoever submitted it, known by the connection; this device itself; and whoever shows a right. */
import type { Fact } from '../audit/facts.ts'
import type { Revocations } from '../authority/revocations.ts'
import { NonceMemory } from '../authority/seen.ts'
import { sessionIn, verifyPass } from '../authority/session.ts'
import { type Admission, verifyInvocation } from '../authority/verify.ts'
import { type Clock, pause } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { Task } from '../tasks/machine.ts'
import { type Check, deniedBy, firstRefusal } from './checks.ts'
import { DenialMeter, denial } from './denial.ts'
import { askedOf, type ExecCaller, SYNC_WAIT_MS } from './exec-admission.ts'
import type { GrantRates } from './grant-rates.ts'
import type { RateGate } from './rates.ts'

export interface TaskGateOn {
  readonly self: Did
  readonly revocations: Revocations
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly named: (text: string, reader: Did) => string
  /** What whoever shows a right has to pass besides. Whoever submitted a task keeps it: to see and end what is one's own needs no trust. */
  readonly checks: readonly Check[]
  readonly rates: Pick<RateGate, 'take'>
  readonly uses: Pick<GrantRates, 'take' | 'step'>
}

export type TaskCommand = '/task/read' | '/task/logs' | '/task/cancel' | '/task/pause' | '/task/resume'

interface Shown {
  readonly caller: ExecCaller
  readonly invocation: Uint8Array
  readonly proofs: readonly Uint8Array[]
  /** A pass: the caller asks in a session, and wants no more than is that session's. */
  readonly session?: readonly Uint8Array[]
}

/** What it rests on that somebody follows a task: gone, and they are cut off. */
type Right = Pick<Admission, 'chain' | 'expiresAt'>
type GateTask = Pick<Task, 'id' | 'submittedBy' | 'session'>

interface Question {
  readonly command: TaskCommand
  readonly task: Pick<Task, 'id'> | undefined
  readonly caller: ExecCaller
  readonly session?: string
}

export class TaskGate {
  readonly #seen = new NonceMemory()
  readonly #denials: DenialMeter

  constructor(private readonly on: TaskGateOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /**
   * A session sees its own tasks and nothing else, whatever rights it has; its device, asking outside of any session, sees all that it submitted.
   * @param task undefined: all tasks of this device. @returns the right that was shown; undefined for who needs none. @throws DENIED and TOO_BUSY, written down.
   */
  async admit(command: TaskCommand, task: GateTask | undefined, shown: Shown): Promise<Right | undefined> {
    const { caller } = shown
    const { self, revocations, clock, rates, checks } = this.on
    await this.#counted(() => rates.take(caller.did), { command, task, caller })
    if (shown.session !== undefined) return await this.#inSession(command, task, { caller, pass: shown.session })
    if (caller.did === self || (task !== undefined && task.submittedBy === caller.did)) return undefined
    await Promise.race([caller.synced, pause(clock, SYNC_WAIT_MS)])
    const now = Math.floor(clock.now() / 1_000)
    const seen = verifyInvocation(shown.invocation, shown.proofs, {
      ...{ self, peer: caller.did, challenge: caller.challenge, now, revocations, seen: this.#seen },
    })
    if (!seen.ok) throw await this.#denied(denial({ ...seen, detail: this.on.named(seen.detail, caller.did) }, now * 1_000), { command, task, caller })
    const isThis = seen.invocation.cmd === command && seen.invocation.args['task'] === (task?.id ?? '')
    if (!isThis) throw await this.#denied(new ErrandError('DENIED', `the invocation is not for ${command} on this task`), { command, task, caller })
    const session = sessionIn(seen.chain)
    if (!session.ok || session.session !== undefined) throw await this.#denied(outside(), { command, task, caller }) // a right that a session has is none to others' tasks
    const refused = await firstRefusal(checks, askedOf(seen, caller.did), 'admission')
    const over = refused === undefined ? this.on.uses.take(seen) : undefined
    const no = over === undefined ? refused : { ...over, step: this.on.uses.step }
    if (no !== undefined) throw await this.#denied(deniedBy(no), { command, task, caller })
    return seen
  }

  /** Security order: 1. what the mesh knows of revocations, 2. the pass proves the session, 3. the task is this caller's, and that session's. */
  async #inSession(command: TaskCommand, task: GateTask | undefined, { caller, pass }: { caller: ExecCaller; pass: readonly Uint8Array[] }): Promise<Right> {
    const { revocations, clock } = this.on
    await Promise.race([caller.synced, pause(clock, SYNC_WAIT_MS)])
    const seen = verifyPass(pass, { caller: caller.did, command, now: Math.floor(clock.now() / 1_000), revocations })
    if (!seen.ok) {
      const error = new ErrandError('DENIED', `it does not act in the session: ${this.on.named(seen.detail, caller.did)}`, { fields: { reason: seen.code } })
      throw await this.#denied(error, { command, task, caller })
    }
    if (task?.submittedBy === caller.did && task.session === seen.session.id) return seen
    throw await this.#denied(outside(), { command, task, caller, session: seen.session.id })
  }

  async #counted(take: () => void, o: Question): Promise<void> {
    try {
      take()
    } catch (thrown) {
      throw await this.#denied(asErrand(thrown), o)
    }
  }

  async #denied(error: ErrandError, o: Question): Promise<ErrandError> {
    if (this.#denials.take(o.caller.did) === undefined) return error
    await this.on.audit.append({
      ...{ actor: o.caller.did, action: 'task.denied', result: 'denied', task: o.task?.id ?? null, session: o.session ?? null, grant: null },
      details: { reason: error.message, command: [o.command], from: o.caller.address, requestedBy: o.caller.did },
    })
    return error
  }
}

function outside(): ErrandError {
  return new ErrandError('DENIED', 'a session sees and steers its own tasks only', { hint: 'ask outside of the session', fields: { reason: 'OTHER_SESSION' } })
}
