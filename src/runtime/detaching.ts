/**
 * A caller leaves its running command to itself. From then on it rests on the mandate, like what was detached from the beginning; nobody
 * waits for it, and what it prints meets the spool's policy. Spec: protocols/exec/README.md, "Leaving a command".
 */
import type { SpoolBounds } from '../../protocols/host/messages.ts'
import type { Fact } from '../audit/facts.ts'
import { askerOf, grantIn } from '../authority/mandate.ts'
import { sessionIdIn } from '../authority/session.ts'
import type { Clock } from '../base/clock.ts'
import type { Op } from '../base/op.ts'
import type { Did } from '../identity/identity.ts'
import type { TaskBook } from '../tasks/book.ts'
import { DenialMeter, denial } from './denial.ts'
import type { ExecCaller } from './exec-admission.ts'
import type { LiveCommand, LiveCommands, Resting } from './live.ts'
import { type Mandates, noMandate } from './mandates.ts'

export interface DetacherOn {
  readonly self: Did
  readonly mandates: Mandates
  readonly book: Pick<TaskBook, 'note' | 'get'>
  readonly audit: { append(fact: Fact, along?: readonly Op[]): Promise<unknown> }
  readonly live: Pick<LiveCommands, 'detach'>
  readonly clock: Clock
  /** What happens to output that nobody takes. */
  readonly spool: SpoolBounds
}

export class Detacher {
  readonly #denials: DenialMeter

  constructor(private readonly on: DetacherOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /**
   * Resolves when it is durable that the command goes on without its caller; at once for one that does already.
   * @param mandate of the caller; empty from this device itself. @throws DENIED, and TOO_BUSY for who was refused too often; the command stays attached.
   */
  async detach(live: LiveCommand, caller: ExecCaller, mandate: Uint8Array): Promise<void> {
    const { book, audit, clock, spool } = this.on
    const over = caller.patience?.over()
    if (over !== undefined) throw over
    if ((await book.get(live.task))?.detached === true) return
    const resting = await this.#outliving(live, caller, mandate)
    const { chain } = resting
    const fact: Fact = { actor: askerOf(resting), action: 'task.detach', result: 'ok', task: live.task, session: sessionIdIn(chain), grant: grantIn(chain) }
    await book.note(live.task, [{ t: 'detached', at: clock.now() }], { carry: (ops) => audit.append(fact, ops) })
    this.on.live.detach(live, resting, spool.policy)
  }

  async #outliving({ task, resting }: LiveCommand, caller: ExecCaller, mandate: Uint8Array): Promise<Resting> {
    const { self, mandates, audit, clock } = this.on
    const { did } = caller
    const { invocation, chain } = resting
    if (did === self || invocation.iss === self) return resting // it runs on this device's own word: on a mandate already, or because it asked itself
    const proofs = [...chain.map(({ bytes }) => bytes), ...(mandate.length === 0 ? [] : [mandate])]
    const seen =
      mandate.length === 0
        ? noMandate('what is left to itself runs on a mandate, and none was sent')
        : mandates.invoke({ caller: did, command: invocation.cmd, args: invocation.args, proofs })
    if ('warrant' in seen) return seen.admission
    const error = denial(seen, clock.now())
    caller.patience?.refused(error)
    const more = this.#denials.take(did)
    if (more === undefined) throw error
    const reason = more === 0 ? error.message : `${error.message} (and ${more} more refusals before)`
    const details = { reason, command: ['detach'], requestedBy: did }
    await audit.append({ actor: did, action: 'task.denied', result: 'denied', task, session: sessionIdIn(chain), grant: grantIn(chain), details })
    throw error
  }
}
