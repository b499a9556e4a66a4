/** The doors of tokens, policies and rights. */
import { decode, encode } from '@ipld/dag-cbor'
import { isMap, TOKEN_TAG, VARSIG_HEADER } from '../../protocols/authority/messages.ts'
import { evaluate, POLICY_LIMITS, parsePolicy } from '../../src/authority/policy.ts'
import { decodeRevocation, Revocations } from '../../src/authority/revocations.ts'
import { parseRight } from '../../src/authority/rights.ts'
import { NonceMemory } from '../../src/authority/seen.ts'
import { decodeDelegation } from '../../src/authority/token.ts'
import { readOldToken } from '../../src/authority/ucan08.ts'
import { verifyInvocation } from '../../src/authority/verify.ts'
import { ErrandError } from '../../src/base/errors.ts'
import { Identity } from '../../src/identity/identity.ts'
import type { Cases } from '../vectors/cases.ts'
import { attemptDecode, type Door, hex, jsonIn, text, Wrong } from './door.ts'
import { seedsOf, textSeeds, tokensOf } from './seeds.ts'

export function tokenDoors(root: string, cases: Cases): Door[] {
  const seeds = seedsOf(root, 'authority')
  const proofs = cases.invocations.find((one) => one.name === 'a chain of three')?.proofs ?? []
  const context = { ...cases.context, revocations: new Revocations() }
  const policies = cases.policies.map(({ policy, args }) => new Uint8Array(Buffer.from(JSON.stringify([policy, args]))))
  return [
    { name: 'delegation', seeds, feed: (bytes) => sameAs(decodeDelegation(bytes).bytes, bytes) },
    {
      name: 'delegation, rightly signed',
      seeds: cases.delegations.flatMap(({ bytes }) => payloadsIn(bytes)),
      feed: (bytes) => decodeDelegation(signed(TOKEN_TAG.delegation, bytes)),
    },
    {
      name: 'invocation, rightly signed',
      seeds: cases.invocations.flatMap(({ bytes }) => payloadsIn(bytes)),
      feed: (bytes) => {
        const token = signed(TOKEN_TAG.invocation, bytes)
        const seen = verifyInvocation(token, proofs, { ...context, peer: laptop.did, seen: new NonceMemory() })
        if (!seen.ok) throw new ErrandError(seen.code, seen.detail)
        if (seen.chain.length === 0 || seen.invocation.sub !== context.self) throw new Wrong('admitted without a right')
        return seen
      },
    },
    { name: 'revocation', seeds, feed: (bytes) => sameAs(decodeRevocation(bytes).bytes, bytes) },
    invocationDoor(cases, (bytes) => verifyInvocation(bytes, proofs, { ...context, seen: new NonceMemory() })),
    {
      name: 'proofs of an invocation',
      seeds: cases.invocations.flatMap((one) => one.proofs),
      feed: (bytes) => {
        const [one] = cases.invocations.filter(({ name }) => name === 'a chain of one')
        const seen = verifyInvocation(one?.bytes ?? bytes, [bytes], { ...context, seen: new NonceMemory() })
        if (seen.ok && !one?.proofs.some((proof) => hex(proof) === hex(bytes))) throw new Wrong('another proof than the one listed was taken')
        if (!seen.ok) throw new ErrandError(seen.code, seen.detail)
        return seen
      },
    },
    {
      name: 'policy',
      seeds: policies,
      feed: (bytes) => {
        const [policy, args] = pairIn(bytes)
        const { steps, verdict } = evaluate(parsed(policy), args)
        if (steps > POLICY_LIMITS.steps) throw new Wrong(`${steps} steps`)
        return verdict
      },
    },
    {
      name: 'right in words',
      seeds: textSeeds(['exec: git, npm test; env CI; cwd /srv/app; timeout 10m; tty', 'exec: *', 'audit: read', '/exec/run', 'exec: "a b" …']),
      feed: (bytes) => parseRight(text(bytes)),
    },
    { name: 'token of UCAN 0.8', seeds: tokensOf(root), feed: (bytes) => readOldToken(text(bytes)) },
  ]
}

/** @param verify what judges; a test puts one in that forgets to. */
export function invocationDoor(cases: Cases, verify: (bytes: Uint8Array) => { ok: true } | { ok: false; code: string; detail: string }): Door {
  const signed = new Set(cases.invocations.map(({ bytes }) => hex(bytes)))
  return {
    name: 'invocation',
    seeds: cases.invocations.map(({ bytes }) => bytes),
    feed: (bytes) => {
      const seen = verify(bytes)
      if (!seen.ok) throw new ErrandError(seen.code, seen.detail)
      if (!signed.has(hex(bytes))) throw new Wrong('an invocation that nobody signed was admitted')
      return seen
    },
  }
}

const laptop = new Identity(new Uint8Array(32).fill(4))

function payloadsIn(token: Uint8Array): Uint8Array[] {
  const pair = attemptDecode(token)
  const body = Array.isArray(pair) && isMap(pair[1]) ? Object.entries(pair[1]).filter(([key]) => key !== 'h') : []
  return body.map(([, payload]) => encode(payload))
}

/** Whatever the payload is, its signature holds: what lies behind it is reached. */
function signed(tag: string, payload: Uint8Array): Uint8Array {
  const value = attemptDecode(payload)
  const body = encode({ h: VARSIG_HEADER, [tag]: isMap(value) ? { ...value, iss: laptop.did } : (value ?? null) })
  return encode([laptop.sign(body), decode(body)])
}

function pairIn(bytes: Uint8Array): readonly [unknown, unknown] {
  const value = jsonIn(text(bytes))
  return Array.isArray(value) ? [value[0], value[1]] : [value, value]
}

/** Policies are refused by their own error, which becomes a TokenError one storey up. */
function parsed(policy: unknown): ReturnType<typeof parsePolicy> {
  try {
    return parsePolicy(policy)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'BAD_POLICY') throw new ErrandError('BAD_POLICY', thrown.message)
    throw thrown
  }
}

function sameAs(read: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (hex(read) !== hex(bytes)) throw new Wrong('what was read is not what was given')
  return read
}
