/**
 * Asks the library `ucans`, in a thread with little memory and a deadline, whether a token proves what we read in it. Its yes is checked
 * again word by word. The library itself is known to the thread alone (ucan08-worker.ts), which is a bundle of its own.
 */
import { Worker } from 'node:worker_threads'
import * as v from 'valibot'
import { BRIDGE, type Capability } from '../../protocols/bridge/messages.ts'
import type { Clock } from '../base/clock.ts'
import { OldTokenError } from './ucan08.ts'

export interface Claim extends Capability {
  /** Who the right has to begin with. */
  readonly root: string
}

export interface JudgeTask {
  readonly token: string
  readonly audience: string
  readonly claims: readonly Claim[]
}

const Answer = v.variant('ok', [
  v.strictObject({ ok: v.literal(true), proven: v.array(v.strictObject({ with: v.string(), can: v.string(), root: v.string() })) }),
  v.strictObject({ ok: v.literal(false), why: v.array(v.string()) }),
])
export type JudgeAnswer = v.InferInput<typeof Answer>

const MEMORY_MIB = 64

/** @param file the bundled thread. @throws OldTokenError NOT_PROVEN, TOOK_TOO_LONG */
export async function judgeOldToken(file: string, task: JudgeTask, clock: Clock): Promise<void> {
  const worker = new Worker(file, { workerData: task, env: {}, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB, stackSizeMb: 2 } })
  try {
    const answer = v.safeParse(Answer, await answerOf(worker, clock))
    if (!answer.success) throw notProven('the library answered nothing that could be read')
    if (!answer.output.ok) throw notProven(answer.output.why[0]?.replace(/[\w-]{64,}(\.[\w-]+)*/g, '…').slice(0, 240) ?? 'no chain of proofs leads to it')
    const { proven } = answer.output
    const lacking = task.claims.find((claim) => !proven.some((one) => one.with === claim.with && one.can === claim.can && one.root === claim.root))
    if (lacking !== undefined || task.claims.length === 0) throw notProven('the library proved something else')
  } finally {
    await worker.terminate()
  }
}

function answerOf(worker: Worker, clock: Clock): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const stop = clock.after(BRIDGE.deadlineMs, () =>
      reject(new OldTokenError('TOOK_TOO_LONG', `checking the token took more than ${BRIDGE.deadlineMs / 1_000} s`)),
    )
    const settle = (act: () => void): void => {
      stop()
      act()
    }
    worker.once('message', (answer: unknown) => settle(() => resolve(answer)))
    worker.once('error', (cause) => settle(() => reject(notProven(`the check ended: ${cause.message.slice(0, 160)}`))))
    worker.once('exit', () => settle(() => reject(notProven('the check ended without an answer'))))
  })
}

function notProven(why: string): OldTokenError {
  return new OldTokenError('NOT_PROVEN', `the token does not prove what it gives: ${why}`)
}
