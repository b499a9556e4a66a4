/** Who may see and decide what waits for an approval on this device: verified here alone, whatever a caller says of itself. Refusals are written down. */
import { ApprovalArgs, type Evidence, type WaitingCommand } from '../../protocols/approval/messages.ts'
import { sameBytes, shapeOf } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { APPROVAL_GRANT, APPROVAL_LIST } from '../authority/commands.ts'
import { grantIn } from '../authority/mandate.ts'
import type { Revocations } from '../authority/revocations.ts'
import { NonceMemory } from '../authority/seen.ts'
import { type Admission, verifyInvocation } from '../authority/verify.ts'
import { type Clock, pause } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'
import { type Approvals, noSuchRequest, type Waiting } from './approvals.ts'
import { type Check, deniedBy, firstRefusal } from './checks.ts'
import { DenialMeter, denial } from './denial.ts'
import { askedOf, type ExecCaller, SYNC_WAIT_MS } from './exec-admission.ts'

export interface ApprovalGateOn {
  readonly self: Did
  readonly revocations: Revocations
  readonly approvals: Approvals
  readonly audit: { append(fact: Fact): Promise<unknown> }
  readonly checks: readonly Check[]
  readonly clock: Clock
  readonly isSamePerson: (a: Did, b: Did) => boolean
  /** Puts names in the place of the DIDs in a sentence. */
  readonly named: (text: string, reader: Did) => string
}

/** What a caller shows. */
export interface Shown {
  readonly caller: ExecCaller
  readonly invocation: Uint8Array
  readonly proofs: readonly Uint8Array[]
}

export interface Decided {
  readonly decision: 'approve' | 'deny'
  readonly have: number
  readonly need: number
}

export class ApprovalGate {
  readonly #seen = new NonceMemory()
  readonly #denials: DenialMeter

  constructor(private readonly on: ApprovalGateOn) {
    this.#denials = new DenialMeter(on.clock)
  }

  /** @throws DENIED */
  async list(shown: Shown): Promise<WaitingCommand[]> {
    await this.#admit(APPROVAL_LIST, shown)
    return this.on.approvals.list()
  }

  /**
   * Order: 1. the right to approve, on this connection and once, 2. a request that waits, 3. for exactly these arguments, 4. by somebody else than who asks.
   * @throws DENIED, NO_SUCH_REQUEST, REFUSED_OTHER_INTENT, REFUSED_SELF_APPROVAL
   */
  async decide(shown: Shown): Promise<Decided> {
    const { admission, at } = await this.#admit(APPROVAL_GRANT, shown)
    const { request, intent, decision, reason } = shapeOf(ApprovalArgs, admission.invocation.args)
    const waiting = this.on.approvals.find(request)
    if (waiting === undefined) throw await this.#refused(noSuchRequest(), shown)
    if (!sameBytes(waiting.digest, intent)) throw await this.#refused(otherIntent(), shown, waiting)
    if (this.#isOwn(waiting, admission, shown.caller.did)) throw await this.#refused(selfApproval(), shown, waiting)
    const { did: by, challenge } = shown.caller
    if (decision === 'deny') {
      await this.#note('approval.deny', { waiting, by, admission, reason })
      this.on.approvals.deny(waiting, this.on.named(by, waiting.intent.requester as Did), reason)
      return { decision, have: 0, need: waiting.need }
    }
    // Written down before it counts: a start must not be in the log before the yes that it rests on.
    await this.#note('approval.grant', { waiting, by, admission, reason })
    const evidence: Evidence = { by, challenge, invocation: shown.invocation, proofs: [...shown.proofs], at }
    return { decision, ...(await this.on.approvals.approve(waiting, evidence)) }
  }

  /** Who asked, another device of the same person, or somebody whom who asked has given the right to approve. */
  #isOwn({ intent }: Waiting, { chain }: Admission, by: Did): boolean {
    const requester = intent.requester as Did
    return this.on.isSamePerson(by, requester) || chain.some(({ iss }) => iss === requester)
  }

  async #admit(command: string, shown: Shown): Promise<{ admission: Admission; at: number }> {
    const { self, revocations, clock, named, checks } = this.on
    const { caller, invocation, proofs } = shown
    await Promise.race([caller.synced, pause(clock, SYNC_WAIT_MS)])
    const at = Math.floor(clock.now() / 1_000)
    const seen = verifyInvocation(invocation, proofs, { self, peer: caller.did, challenge: caller.challenge, now: at, revocations, seen: this.#seen })
    if (!seen.ok) throw await this.#refused(mayNot(denial({ ...seen, detail: named(seen.detail, caller.did) }, at * 1_000), named(self, caller.did)), shown)
    if (seen.invocation.cmd !== command) throw await this.#refused(new ErrandError('DENIED', `the invocation is not for ${command}`), shown)
    const refused = await firstRefusal(checks, askedOf(seen, caller.did), 'admission')
    if (refused !== undefined) throw await this.#refused(deniedBy(refused), shown)
    return { admission: seen, at }
  }

  async #note(action: string, { waiting, by, admission, reason }: { waiting: Waiting; by: Did; admission: Admission; reason: string }): Promise<void> {
    const { exe, argv, task } = waiting.intent.args
    const command = [exe, ...(Array.isArray(argv) ? argv : [])].filter((word): word is string => typeof word === 'string')
    await this.on.audit.append({
      ...{ actor: by, action, result: 'ok', subject: waiting.intent.requester, task: String(task), grant: grantIn(admission.chain) },
      details: { command, requestedBy: waiting.intent.requester, intent: Buffer.from(waiting.digest).toString('hex'), ...(reason === '' ? {} : { reason }) },
    })
  }

  async #refused(error: ErrandError, { caller }: Shown, waiting?: Waiting): Promise<ErrandError> {
    const more = this.#denials.take(caller.did)
    if (more === undefined) return error
    await this.on.audit.append({
      ...{ actor: caller.did, action: 'approval.refused', result: 'denied', subject: waiting?.intent.requester ?? null, grant: null },
      task: waiting === undefined ? null : String(waiting.intent.args['task']),
      details: { reason: more === 0 ? error.message : `${error.message} (and ${more} more refusals before)`, from: caller.address, requestedBy: caller.did },
    })
    return error
  }
}

function mayNot(error: ErrandError, device: string): ErrandError {
  return new ErrandError('DENIED', error.message, {
    hint: `who may approve there: ${device} itself, its owner, and whoever was given 'approval: grant' on it`,
    fields: error.fields,
  })
}

function otherIntent(): ErrandError {
  return new ErrandError('REFUSED_OTHER_INTENT', 'the approval is for something else than what waits', { hint: 'look at it again: errand requests' })
}

function selfApproval(): ErrandError {
  return new ErrandError(
    'REFUSED_SELF_APPROVAL',
    'nobody approves what they asked for themselves, neither from another device of theirs nor through somebody they gave the right to',
    {
      hint: 'somebody else has to: errand requests on a device of theirs',
    },
  )
}
