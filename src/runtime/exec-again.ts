/** What has waited is judged anew before it starts: on the mandate that lets it run without whoever asked. Facts and errors of a start live here too. */
import { shapeOf } from '../../protocols/wire.ts'
import type { Fact } from '../audit/facts.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import { grantIn } from '../authority/mandate.ts'
import { ErrandError } from '../base/errors.ts'
import type { Change, Task, TaskId } from '../tasks/machine.ts'
import { type ExecAdmissionOn, kernelSaidNo, type Request } from './exec-admission.ts'
import { noMandate } from './mandates.ts'

type AgainOn = Pick<ExecAdmissionOn, 'self' | 'named' | 'mandates' | 'clock'>

/** @throws DENIED when its mandate does not carry it any more; or when it has none, and waited for longer than an invocation lives. */
export function judgedAnew(request: Request, asker: { readonly mandate: Uint8Array | undefined }, on: AgainOn): Request {
  const { isMandated, warrant, caller, admission } = request
  const { cmd: command, args, exp } = admission.invocation
  if (!isMandated && asker.mandate === undefined) {
    if (exp !== null && on.clock.now() < exp * 1_000) return request // whoever asked is on the line, and asked a moment ago
    throw refusedNow(noMandate('it waited for longer than an invocation lives, and no mandate was sent for it'), request, on)
  }
  const proofs = isMandated || asker.mandate === undefined ? warrant.proofs : [...warrant.proofs, asker.mandate]
  const seen = on.mandates.invoke({ caller: caller.did, command, args, proofs })
  if ('warrant' in seen) return { ...request, ...seen, isMandated: true }
  throw refusedNow(seen, request, on)
}

function refusedNow(refusal: Parameters<typeof kernelSaidNo>[0], { caller, admission }: Request, on: AgainOn): ErrandError {
  return kernelSaidNo({ ...refusal, invocation: admission.invocation }, { ...on, caller: caller.did })
}

/** How a task gets from where it is known to be to its start. */
export function startOf(known: Task | undefined, at: number): Change[] {
  if (known?.state === 'WAITING')
    return [
      { t: 'resumed', at },
      { t: 'started', at },
    ]
  return [
    { t: 'planned', at },
    { t: 'started', at },
  ]
}

/** A right that died in the queue: the log says so, as of every other refusal. */
export function refusedFact({ task, caller, admission }: Request, { message }: ErrandError): Fact {
  const { exe, argv } = shapeOf(ExecRunArgs, admission.invocation.args)
  const details = { reason: message, command: [exe, ...argv], from: caller.address, requestedBy: caller.did }
  return { actor: caller.did, action: 'exec.denied', result: 'denied', task, grant: grantIn(admission.chain), details }
}

export function taskExists(id: TaskId, state?: string): ErrandError {
  return new ErrandError('TASK_EXISTS', `a task with the id ${id} exists already`, { fields: state === undefined ? {} : { state } })
}
