/**
 * Requests of detached tasks that stand in the queue, on the disk, so that the next daemon goes on with them. Each was judged when it came;
 * whoever takes one up again gets it judged anew, by what is revoked and expired by then. Environment values are never kept, so neither are
 * requests that carry some.
 */
import * as v from 'valibot'
import { About, TASK } from '../../protocols/task/messages.ts'
import { Bytes, Count, DidText, decodeAs, ExactBytes, encode, List, shapeOf, Text } from '../../protocols/wire.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import type { Revocations } from '../authority/revocations.ts'
import { verifyInvocation } from '../authority/verify.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { asDid, type Did } from '../identity/identity.ts'
import type { TaskId } from '../tasks/machine.ts'
import { denial } from './denial.ts'
import type { Request, WaitingRequests } from './exec-start.ts'

const Kept = v.strictObject({
  v: v.literal(1),
  caller: DidText,
  address: Text(256),
  challenge: ExactBytes(16),
  invocation: Bytes(65_536),
  proofs: List(Bytes(8_192), 8),
  about: About,
  /** When it was judged; seconds. */
  admittedAt: Count,
})
const MAX_KEPT_BYTES = 256 * 1_024 + TASK.maxSubmissionBytes

export interface WaitingShelf {
  put(key: string, value: Uint8Array): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
  del(key: string): Promise<void>
}

export interface WaitingListOn {
  readonly self: Did
  readonly shelf: WaitingShelf
  readonly revocations: Revocations
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
    const { task, caller, warrant, about } = request
    const { invocation, proofs, challenge } = warrant
    const admittedAt = warrant.admittedAt ?? Math.floor(this.on.clock.now() / 1_000)
    const kept = { v: 1, caller: caller.did, address: caller.address, challenge, invocation, proofs, about, admittedAt } as const
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
    const { caller, address, challenge, invocation, proofs, about, admittedAt } = decodeAs(Kept, bytes, MAX_KEPT_BYTES)
    const { self, revocations } = this.on
    const seen = verifyInvocation(invocation, proofs, {
      ...{ self, peer: asDid(caller), challenge, now: admittedAt, revocations },
      seen: { take: () => 'new' }, // it was used once: when it came here
    })
    if (!seen.ok) throw denial(seen, this.on.clock.now())
    const { env: _, tty: __, task: signed, ...spec } = shapeOf(ExecRunArgs, seen.invocation.args)
    if (signed !== task) throw new ErrandError('DENIED', `what was kept for task ${task} is for another one`)
    return {
      ...{ admission: seen, task, about, spec: { ...spec, env: {} } },
      warrant: { caller, challenge, invocation, proofs, admittedAt },
      caller: { did: asDid(caller), challenge, address, synced: Promise.resolve() },
    }
  }
}
