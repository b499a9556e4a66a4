/** A thread of its own for the library of UCAN 0.8: it can be slow, and it is ended when it is. Answers what it proved, or why not. */
import { parentPort, workerData } from 'node:worker_threads'
import { capability, type DelegationSemantics, equalCanDelegate, verify } from 'ucans'
import { holdsResource } from './ucan08.ts'
import type { JudgeAnswer, JudgeTask } from './ucan08-judge.ts'

/** As `ucans` has it, and a device without words is above the same device with words. */
const SEMANTICS: DelegationSemantics = {
  canDelegateAbility: equalCanDelegate.canDelegateAbility,
  canDelegateResource: (parent, child) => parent.scheme === child.scheme && holdsResource(parent.hierPart, child.hierPart),
}

async function judge({ token, audience, claims }: JudgeTask): Promise<JudgeAnswer> {
  const requiredCapabilities = claims.map(({ with: resource, can, root }) => ({ capability: capability.parse({ with: resource, can }), rootIssuer: root }))
  // The answer is an object, and as such always "true": only its `ok` says yes.
  const result = await verify(token, { audience, requiredCapabilities, semantics: SEMANTICS })
  if (result.ok !== true) return { ok: false, why: result.error.map(({ message }) => message) }
  return { ok: true, proven: result.value.map((one) => ({ ...capability.encode(one.capability), root: one.rootIssuer })) }
}

void judge(workerData as JudgeTask).then(
  (answer) => parentPort?.postMessage(answer),
  (thrown: unknown) => parentPort?.postMessage({ ok: false, why: [String(thrown)] } satisfies JudgeAnswer),
)
