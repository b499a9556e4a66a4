/** Who may see and steer a task that runs here: whoever submitted it, known by the connection; this device itself; and whoever shows a right. */
import type { Fact } from '../audit/facts.ts'
import type { Revocations } from '../authority/revocations.ts'
import { NonceMemory } from '../authority/seen.ts'
import { verifyInvocation } from '../authority/verify.ts'
import { type Clock, pause } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import type { Task } from '../tasks/machine.ts'
import { DenialMeter, denial } from './denial.ts'
import { type ExecCaller, SYNC_WAIT_MS } from './exec-admission.ts'

export interface TaskGateOn {
  readonly self: Did
  readonly revocations: Revocations
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly clock: Clock
  readonly named: (text: string) => string
}

export type TaskCommand = '/task/read' | '/task/logs' | '/task/cancel' | '/task/pause' | '/task/resume'

interface Shown {
  readonly caller: ExecCaller
  readonly invocation: Uint8Array
  readonly proofs: readonly Uint8Array[]
}

export class TaskGate {
  readonly #seen = new NonceMemory()
  readonly #denials: DenialMeter

  constructor(private readonly on: TaskGateOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /** @param task undefined: all tasks of this device. @throws DENIED, written down. */
  async admit(command: TaskCommand, task: Pick<Task, 'id' | 'submittedBy'> | undefined, shown: Shown): Promise<void> {
    const { caller } = shown
    const { self, revocations, clock } = this.on
    if (caller.did === self || (task !== undefined && task.submittedBy === caller.did)) return
    await Promise.race([caller.synced, pause(clock, SYNC_WAIT_MS)])
    const now = Math.floor(clock.now() / 1_000)
    const seen = verifyInvocation(shown.invocation, shown.proofs, {
      ...{ self, peer: caller.did, challenge: caller.challenge, now, revocations, seen: this.#seen },
    })
    if (!seen.ok) throw await this.#denied(denial({ ...seen, detail: this.on.named(seen.detail) }, now * 1_000), { command, task, caller })
    const isThis = seen.invocation.cmd === command && seen.invocation.args['task'] === (task?.id ?? '')
    if (!isThis) throw await this.#denied(new ErrandError('DENIED', `the invocation is not for ${command} on this task`), { command, task, caller })
  }

  async #denied(error: ErrandError, o: { command: TaskCommand; task: Pick<Task, 'id'> | undefined; caller: ExecCaller }): Promise<ErrandError> {
    if (this.#denials.take(o.caller.did) === undefined) return error
    await this.on.audit.append({
      ...{ actor: o.caller.did, action: 'task.denied', result: 'denied', task: o.task?.id ?? null, grant: null },
      details: { reason: error.message, command: [o.command], from: o.caller.address, requestedBy: o.caller.did },
    })
    return error
  }
}
