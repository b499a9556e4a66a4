/** A command's way through its approval: in the log, in the task's history and on the caller's screen that it waits; then a yes, a no, or nobody. */
import type { Waits } from '../../protocols/exec/messages.ts'
import { TASK } from '../../protocols/task/messages.ts'
import type { Fact } from '../audit/facts.ts'
import { grantIn } from '../authority/mandate.ts'
import type { Clock } from '../base/clock.ts'
import { sayAbout } from '../base/duration.ts'
import { asErrand } from '../base/errors.ts'
import type { Op } from '../base/op.ts'
import type { Did } from '../identity/identity.ts'
import type { Carry, TaskBook } from '../tasks/book.ts'
import { type Change, endedByError, type Submitted, type Task } from '../tasks/machine.ts'
import type { Approvals, Waiting } from './approvals.ts'
import type { Refused } from './checks.ts'
import { type Admitted, askedOf, type ExecCaller } from './exec-admission.ts'

/** A report of another yes may be on the disk so much later. */
const TOLD_WITHIN_MS = 500

export interface ApprovalWaitOn {
  readonly approvals: Approvals
  /** Who could say yes to this caller, for words: names of devices. */
  readonly approvers: (requester: Did) => readonly string[]
  readonly book: TaskBook
  readonly audit: { append(fact: Fact, along?: readonly Op[]): Promise<unknown> }
  readonly clock: Clock
}

export interface WaitFor {
  readonly submission: Submitted
  readonly request: Pick<Admitted, 'admission'> & { readonly caller: ExecCaller }
  readonly refused: Refused
  /** Whether the next daemon goes on with it. */
  readonly isKept: boolean
  /** Writes the task down with what happened to it. */
  readonly write: (changes: (known: Task | undefined) => Change[], carry?: Carry) => Promise<void>
  readonly tell: (waits: Omit<Waits, 'task'>) => void
  readonly signal: AbortSignal
}

export class ApprovalWait {
  constructor(private readonly on: ApprovalWaitOn) {}

  /** Resolves when enough people have said yes. @throws TOO_BUSY, DENIED, APPROVAL_TIMEOUT, what the signal says; the task is then filed as ended. */
  async wait(o: WaitFor): Promise<void> {
    const { approvals, book, clock } = this.on
    const { submission, request, refused, isKept, write, signal } = o
    const { id } = submission
    const opened = await approvals.open(askedOf(request.admission, request.caller.did), refused, { isKept })
    const told = (waiting: Waiting, have: number): void => {
      const waits = this.#say(waiting, request.caller.did, have)
      o.tell(waits)
      void book.note(id, [waitingFor(waits.message, clock.now())], { withinMs: TOLD_WITHIN_MS }).catch(() => undefined)
    }
    if (!opened.isOld) await write((known) => this.#begins(known, this.#say(opened, request.caller.did, 0).message), this.#carry(o, opened))
    try {
      await approvals.settled(id, { told, signal })
    } catch (thrown) {
      await book.note(id, [endedByError(asErrand(thrown), clock.now(), 'refused')])
      throw thrown
    }
  }

  /** That people were asked is in the log before any of them is shown it. */
  #carry({ submission, request }: WaitFor, { digest, why, need, expiresAt }: Waiting): Carry {
    const { caller, admission } = request
    const fact: Fact = {
      ...{ actor: caller.did, action: 'approval.request', result: 'ok', task: submission.id, grant: grantIn(admission.chain) },
      details: {
        ...{ command: submission.command, from: caller.address, requestedBy: caller.did, intent: Buffer.from(digest).toString('hex') },
        ...{ words: `approvals needed: ${need}`, reason: why, expiresAt },
      },
    }
    return (ops) => this.on.audit.append(fact, ops)
  }

  #begins(known: Task | undefined, message: string): Change[] {
    const at = this.on.clock.now()
    const waiting = waitingFor(message, at)
    return known?.state === 'WAITING' ? [waiting] : [{ t: 'planned', at }, waiting]
  }

  #say({ need, why, expiresAt }: Waiting, requester: Did, have: number): Omit<Waits, 'task'> {
    const names = this.on.approvers(requester)
    const who = names.length === 0 ? 'somebody who may' : names.join(' or ')
    const count = need === 1 ? '' : ` (${have} of ${need})`
    const left = sayAbout(Math.max(0, expiresAt - this.on.clock.now()))
    const message = `waits for approval by ${who}${count}, for ${left} at most: ${why}`.slice(0, TASK.maxMessageChars)
    return { message, need, have, expiresAt }
  }
}

function waitingFor(message: string, at: number): Change {
  return { t: 'waiting', at, why: 'approval', message }
}
