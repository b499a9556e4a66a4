/**
 * Requests of detached tasks that stand in the queue, on the disk, so that the next daemon goes on with them. Each was judged when it came;
 * whoever takes one up again gets it judged anew, by what is revoked and expired by then. Environment values are never kept, so neither are
 * requests that carry some.
 */
import * as v from 'valibot'
import { About, TASK } from '../../protocols/task/messages.ts'
import { Bytes, DidText, decodeAs, encode, List, shapeOf, Text } from '../../protocols/wire.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { asDid } from '../identity/identity.ts'
import type { TaskId } from '../tasks/machine.ts'
import { denial } from './denial.ts'
import type { Request } from './exec-admission.ts'
import type { WaitingRequests } from './exec-start.ts'
import type { Mandates } from './mandates.ts'

const Kept = v.strictObject({
  /** 1 was an invocation of the caller's, which is dead by now. */
  v: v.literal(2),
  caller: DidText,
  address: Text(256),
  args: ExecRunArgs,
  /** The mandate and what it rests on. */
  proofs: List(Bytes(8_192), 8),
  about: About,
})
const MAX_KEPT_BYTES = 256 * 1_024 + TASK.maxSubmissionBytes

export interface WaitingShelf {
  put(key: string, value: Uint8Array): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
  del(key: string): Promise<void>
}

export interface WaitingListOn {
  readonly shelf: WaitingShelf
  readonly mandates: Mandates
  readonly clock: Clock
}

export class WaitingList implements WaitingRequests {
  constructor(private readonly on: WaitingListOn) {}

  /** Only what goes on without its caller, and without values that must not be on the disk. */
  keeps({ about, spec }: Pick<Request, 'about' | 'spec'>): boolean {
    return about.detached && Object.keys(spec.env).length === 0
  }

  /** Resolves when it is durable; at once for a request that is not kept. */
  async keep(request: Request): Promise<void> {
    if (!this.keeps(request)) return
    const { task, caller, warrant, about, admission } = request
    const args = shapeOf(ExecRunArgs, admission.invocation.args)
    const kept = { v: 2, caller: caller.did, address: caller.address, args, proofs: warrant.proofs, about } as const
    await this.on.shelf.put(task, encode(kept satisfies v.InferOutput<typeof Kept>))
  }

  /** It waits no more. What cannot be removed is not taken up again either: its task does not wait. */
  forget(task: TaskId): void {
    void this.on.shelf.del(task).catch(() => undefined)
  }

  /** @returns undefined where nothing was kept. @throws ErrandError DENIED when the right is gone by now. */
  async take(task: TaskId): Promise<Request | undefined> {
    const bytes = await this.on.shelf.get(task)
    if (bytes === undefined) return undefined
    const { caller, address, args, proofs, about } = decodeAs(Kept, bytes, MAX_KEPT_BYTES)
    const seen = this.on.mandates.invoke({ caller: asDid(caller), command: '/exec/run', args, proofs })
    if (!('warrant' in seen)) throw denial(seen, this.on.clock.now())
    const { env: _, tty: __, task: signed, ...spec } = args
    if (signed !== task) throw new ErrandError('DENIED', `what was kept for task ${task} is for another one`)
    return {
      ...{ ...seen, task, about, spec: { ...spec, env: {} }, isMandated: true, isOld: true },
      caller: { did: asDid(caller), challenge: seen.warrant.challenge, address, synced: Promise.resolve() },
    }
  }
}
