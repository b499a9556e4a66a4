/** Runs the published cases of protocols/authority/vectors.json against our kernel. What each kind means: protocols/authority/README.md. */
import * as v from 'valibot'
import { coversPath } from '../../src/authority/commands.ts'
import { evaluate, parsePolicy } from '../../src/authority/policy.ts'
import { decodeRevocation, Revocations } from '../../src/authority/revocations.ts'
import { NonceMemory } from '../../src/authority/seen.ts'
import { decodeDelegation } from '../../src/authority/token.ts'
import { verifyInvocation } from '../../src/authority/verify.ts'
import { asErrand } from '../../src/base/errors.ts'
import { asDid } from '../../src/identity/identity.ts'

const Base64 = v.pipe(
  v.string(),
  v.transform((text) => new Uint8Array(Buffer.from(text, 'base64'))),
)
const DidOf = v.pipe(v.string(), v.transform(asDid))
const Shown = v.object({ bytes: Base64, proofs: v.array(Base64) })
const Cases = v.object({
  format: v.literal('ucan-cases/1'),
  context: v.object({ self: DidOf, peer: DidOf, challenge: Base64, now: v.number() }),
  delegations: v.array(v.object({ name: v.string(), bytes: Base64, expect: v.string() })),
  revocations: v.array(v.object({ name: v.string(), bytes: Base64, expect: v.string() })),
  invocations: v.array(
    v.object({
      ...Shown.entries,
      name: v.string(),
      expect: v.string(),
      revocations: v.optional(v.array(Base64), []),
      before: v.optional(v.array(Shown), []),
      peer: v.optional(DidOf),
      now: v.optional(v.number()),
    }),
  ),
  policies: v.array(v.object({ name: v.string(), policy: v.array(v.unknown()), args: v.unknown(), expect: v.string() })),
  covers: v.array(v.object({ parent: v.string(), child: v.string(), expect: v.boolean() })),
})
export type Cases = v.InferOutput<typeof Cases>

/** @param file a whole vectors.json. @throws when it holds no cases of this format. */
export function readCases(file: unknown): Cases {
  return v.parse(v.object({ cases: Cases }), file).cases
}

export interface Answered {
  readonly name: string
  /** Absent: as the case says. */
  readonly problem?: string
}

export function answersOf(cases: Cases): readonly Answered[] {
  return [
    ...cases.delegations.map((one) => answered(`delegation: ${one.name}`, one.expect, () => said(() => decodeDelegation(one.bytes)))),
    ...cases.revocations.map((one) => answered(`revocation: ${one.name}`, one.expect, () => said(() => decodeRevocation(one.bytes)))),
    ...cases.invocations.map((one) => answered(`invocation: ${one.name}`, one.expect, () => verdictOn(cases, one))),
    ...cases.policies.map((one) => answered(`policy: ${one.name}`, one.expect, () => evaluate(parsePolicy(one.policy), one.args).verdict)),
    ...cases.covers.map(({ parent, child, expect }) => answered(`${parent} over ${child}`, String(expect), () => String(coversPath(parent, child)))),
  ]
}

export function failuresOf(cases: Cases): string[] {
  return answersOf(cases).flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`]))
}

function answered(name: string, expect: string, ask: () => string): Answered {
  try {
    const answer = ask()
    return answer === expect ? { name } : { name, problem: `${answer} where ${expect} was expected` }
  } catch (thrown) {
    return { name, problem: `it threw ${asErrand(thrown).message}` }
  }
}

function said(decode: () => unknown): string {
  try {
    decode()
    return 'valid'
  } catch (thrown) {
    return asErrand(thrown).code
  }
}

function verdictOn({ context }: Cases, { bytes, proofs, revocations, before, peer = context.peer, now = context.now }: Cases['invocations'][number]): string {
  const known = new Revocations()
  for (const one of revocations) known.add(one)
  const o = { ...context, peer, now, revocations: known, seen: new NonceMemory() }
  for (const one of before) verifyInvocation(one.bytes, one.proofs, o)
  const verified = verifyInvocation(bytes, proofs, o)
  return verified.ok ? 'admitted' : verified.code
}
