import { expect, test } from 'vitest'
import { BINDING, QUESTION_META, TOKEN_LIMITS, VARSIG_HEADER } from '../../../protocols/authority/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { NonceMemory, SEEN_LIMITS } from '../../../src/authority/seen.ts'
import type { Delegation, InvocationFields } from '../../../src/authority/token.ts'
import { verifyBySpec, verifyInvocation } from '../../../src/authority/verify.ts'
import type { Did } from '../../../src/identity/identity.ts'
import {
  boundNonce,
  CHALLENGE,
  chainToLaptop,
  codeOf,
  context,
  device,
  EXEC_ARGS,
  grant,
  HOUR,
  invoke,
  laptop,
  mallory,
  NOW,
  nonce,
  owner,
  person,
  verify,
} from './world.ts'

const judge = (chain: readonly Delegation[], fields: Partial<InvocationFields> = {}): string => codeOf(verify(invoke(laptop, chain, fields), chain))

test('a chain from the device to the peer admits its command', () => {
  const chain = chainToLaptop(parseRight('exec: npm test, nvidia-smi'))
  expect(verify(invoke(laptop, chain), chain)).toMatchObject({ ok: true, chain, expiresAt: NOW + HOUR })
})

test('a refused command is named together with what the grant allows, the grant and its expiry', () => {
  const chain = chainToLaptop(parseRight('exec: nvidia-smi, npm'))
  const verified = verify(invoke(laptop, chain, { args: { ...EXEC_ARGS, exe: 'rm', argv: ['-rf', '/'] } }), chain)
  expect(verified).toMatchObject({ ok: false, code: 'POLICY', detail: 'exe "rm" is not in {nvidia-smi, npm}', grant: chain[1].cid, expiresAt: NOW + HOUR })
})

test('refused arguments are shown beside those allowed, invisible characters spelled out', () => {
  const chain = chainToLaptop(parseRight('exec: npm test, npm ci, git'))
  const detail = (argv: string[]): unknown => verify(invoke(laptop, chain, { args: { ...EXEC_ARGS, argv } }), chain)
  expect(detail(['install'])).toMatchObject({ detail: '"npm install" is not in {npm test …, npm ci …}' })
  expect(detail(['te\u202est'])).toMatchObject({ detail: '"npm te\\u202est" is not in {npm test …, npm ci …}' })
})

test('who has no grant learns just that', () => {
  expect(verify(invoke(laptop, []), [])).toMatchObject({ ok: false, code: 'NO_GRANT', detail: `no grant from ${device.did} reaches ${laptop.did}` })
})

test('a device that asks itself needs no proof', () => {
  expect(verify(invoke(device, []), [], { peer: device.did })).toMatchObject({ ok: true, chain: [], expiresAt: null })
})

test('a device that runs a mandate is held to it', () => {
  const chain = [...chainToLaptop(), grant(laptop, device, parseRight('exec: npm test'))]
  expect(codeOf(verify(invoke(device, chain), chain, { peer: device.did }))).toBe('admitted')
  expect(codeOf(verify(invoke(device, chain, { args: { ...EXEC_ARGS, exe: 'rm' } }), chain, { peer: device.did }))).toBe('POLICY')
  const dead = [...chainToLaptop({ exp: NOW }), grant(laptop, device)]
  expect(codeOf(verify(invoke(device, dead), dead, { peer: device.did }))).toBe('GRANT_EXPIRED')
})

test('an invocation about another subject, for another executor or from another peer is refused', () => {
  const chain = chainToLaptop()
  expect(judge(chain, { sub: owner.did })).toBe('WRONG_SUBJECT')
  expect(judge(chain, { aud: owner.did })).toBe('WRONG_AUDIENCE')
  expect(judge(chain, { aud: device.did })).toBe('admitted')
  expect(codeOf(verify(invoke(laptop, chain), chain, { peer: mallory.did }))).toBe('WRONG_ISSUER')
})

test('nobody is their own subject here', () => {
  expect(codeOf(verify(invoke(mallory, [], { sub: mallory.did, aud: device.did }), [], { peer: mallory.did }))).toBe('WRONG_SUBJECT')
})

test('an invocation lives five minutes at most and not in the future', () => {
  const chain = chainToLaptop()
  expect(judge(chain, { exp: null })).toBe('TTL_TOO_LONG')
  expect(judge(chain, { exp: NOW + 331 })).toBe('TTL_TOO_LONG')
  expect(judge(chain, { exp: NOW + 330, iat: NOW + 30 })).toBe('admitted')
  expect(judge(chain, { exp: NOW + 200, iat: NOW - 101 })).toBe('TTL_TOO_LONG')
  expect(judge(chain, { iat: NOW + 31 })).toBe('TOO_EARLY')
  expect(judge(chain, { exp: NOW - 29 })).toBe('admitted')
  expect(judge(chain, { exp: NOW - 30 })).toBe('EXPIRED')
})

test('a replay is refused, also when another proof is sent along', () => {
  const chain = chainToLaptop()
  const invocation = invoke(laptop, chain)
  const seen = new NonceMemory()
  expect(codeOf(verify(invocation, chain, { seen }))).toBe('admitted')
  expect(codeOf(verify(invocation, chain, { seen }))).toBe('REPLAYED')
  expect(codeOf(verify(invocation, chain, { seen, now: NOW + 80 }))).toBe('REPLAYED')
})

test('an invocation stolen from another connection, another device or a former life of this one is refused', () => {
  const chain = chainToLaptop()
  const stolen = invoke(laptop, chain)
  expect(codeOf(verify(stolen, chain, { challenge: new Uint8Array(16).fill(1) }))).toBe('WRONG_CHALLENGE')
  expect(codeOf(verify(stolen, chain, { self: person('another device').did }))).toBe('WRONG_SUBJECT')
  expect(() => verify(stolen, chain, { challenge: new Uint8Array(0) })).toThrow(TypeError)
})

test('a nonce that is the challenge and little more is refused', () => {
  const chain = chainToLaptop()
  expect(judge(chain, { nonce: new Uint8Array([...CHALLENGE, ...nonce(11)]) })).toBe('BAD_NONCE')
  expect(judge(chain, { nonce: nonce(12) })).toBe('BAD_NONCE')
  expect(judge(chain, { nonce: boundNonce() })).toBe('admitted')
})

/** The payload of an invocation under a signature of somebody else. */
function forged(fields: object, by: { sign(bytes: Uint8Array): Uint8Array }): Uint8Array {
  const signed = { h: VARSIG_HEADER, 'ucan/inv@1.0.0': fields }
  return encode([by.sign(encode(signed)), signed])
}

test('a forged invocation does not use up the nonce of an honest one', () => {
  const chain = chainToLaptop()
  const honest = invoke(laptop, chain)
  const seen = new NonceMemory()
  const fake = forged({ iss: laptop.did, sub: device.did, cmd: honest.cmd, args: honest.args, prf: [], nonce: honest.nonce, exp: honest.exp }, mallory)
  expect(codeOf(verifyInvocation(fake, [], context({ seen })))).toBe('BAD_SIGNATURE')
  expect(codeOf(verify(honest, chain, { seen }))).toBe('admitted')
})

test('cheap refusals come before the signature', () => {
  const base = { iss: laptop.did, sub: device.did, cmd: '/exec/run', args: EXEC_ARGS, prf: [], nonce: boundNonce(), exp: NOW + 60 }
  const code = (fields: object): string => codeOf(verifyInvocation(forged({ ...base, ...fields }, mallory), [], context()))
  expect(code({})).toBe('BAD_SIGNATURE')
  expect(code({ sub: owner.did })).toBe('WRONG_SUBJECT')
  expect(code({ iss: owner.did })).toBe('WRONG_ISSUER')
  expect(code({ exp: NOW - 100 })).toBe('EXPIRED')
})

test('the memory of nonces is bounded, refuses when full and frees itself', () => {
  const memory = new NonceMemory()
  const small = (n: number): Uint8Array => Uint8Array.of(n >> 16, n >> 8, n)
  for (let n = 0; n < 262_144; n++) memory.take(laptop.did, small(n), NOW, NOW)
  expect(memory.take(laptop.did, nonce(), NOW, NOW)).toBe('full')
  expect(memory.take(owner.did, nonce(), NOW, NOW)).toBe('new')
  expect(memory.take(laptop.did, small(7), NOW, NOW)).toBe('known')
  expect(memory.take(laptop.did, nonce(), NOW + 9, NOW + 1)).toBe('new')
  expect(memory.take(laptop.did, small(7), NOW + 9, NOW + 1)).toBe('new')
})

test('so is the number of those whose nonces are kept: somebody new is refused, who is known is not, and who has nothing living makes room', () => {
  const memory = new NonceMemory()
  for (let n = 0; n < SEEN_LIMITS.issuers; n++) expect(memory.take(`did:key:${n}` as Did, nonce(), NOW + (n === 7 ? 0 : 9), NOW)).toBe('new')
  expect(memory.take(owner.did, nonce(), NOW + 9, NOW)).toBe('full')
  expect(memory.take('did:key:9' as Did, nonce(), NOW + 9, NOW)).toBe('new')
  expect(memory.take(owner.did, nonce(), NOW + 9, NOW + 1)).toBe('new')
  expect(memory.take(laptop.did, nonce(), NOW + 9, NOW + 1)).toBe('full')
})

test('what cannot be remembered is refused, not let through', () => {
  const chain = chainToLaptop()
  expect(codeOf(verify(invoke(laptop, chain), chain, { seen: { take: () => 'full' } }))).toBe('TOO_MANY')
})

test('garbage is an answer, not a throw', () => {
  const good = invoke(laptop, []).bytes
  const codes = [new Uint8Array(0), Uint8Array.of(0x80), good.subarray(1), new Uint8Array(TOKEN_LIMITS.invocationBytes + 1)].map((bytes) =>
    codeOf(verifyInvocation(bytes, [], context())),
  )
  expect(codes).toEqual(['NOT_CBOR', 'BAD_TOKEN', 'NOT_CBOR', 'TOO_LARGE'])
  expect(codeOf(verifyInvocation(good, [Uint8Array.of(1)], context()))).toBe('BAD_TOKEN')
})

test('a question is no order, and an order is no answer to one: what was signed to be looked at starts nothing', () => {
  const chain = chainToLaptop()
  const question = invoke(laptop, chain, { meta: { [QUESTION_META]: true } })
  expect([verify(question, chain), verify(question, chain, { isQuestion: true })].map(codeOf)).toEqual(['QUESTION', 'admitted'])
  expect(codeOf(verify(invoke(laptop, chain), chain, { isQuestion: true }))).toBe('QUESTION')
})

test('by the bare specification too nothing counts that has expired, is not signed, or is outside of a policy', () => {
  const chain = [grant(device, owner, { exp: null, cmd: '/crud' }), grant(owner, laptop, { cmd: '/crud/read', pol: [['==', '.page', 1]] })]
  const ask = (fields: Partial<InvocationFields>): Uint8Array => invoke(laptop, chain, { cmd: '/crud/read', args: { page: 1 }, ...fields }).bytes
  const judged = (bytes: Uint8Array, now = NOW): string => {
    const proofs = chain.map((link) => link.bytes)
    return codeOf(verifyBySpec(bytes, proofs, { now }))
  }
  expect(judged(ask({}))).toBe('admitted')
  expect([59, 60].map((later) => judged(ask({ exp: NOW + 60 }), NOW + later))).toEqual(['admitted', 'EXPIRED'])
  expect(judged(ask({ args: { page: 2 } }))).toBe('POLICY')
  expect(judged(Uint8Array.from(ask({}), (byte, at) => (at === 20 ? byte ^ 1 : byte)))).toBe('BAD_SIGNATURE')
})

test('the bare specification needs no connection and refuses no long life, and shares everything else', () => {
  const chain = [grant(device, owner, { exp: null, cmd: '/crud' }), grant(owner, laptop, { exp: null, cmd: '/crud/read' })]
  const invocation = invoke(laptop, chain, { cmd: '/crud/read', args: {}, exp: null, nonce: nonce() })
  const proofs = chain.map(({ bytes }) => bytes)
  expect(codeOf(verifyBySpec(invocation.bytes, proofs, { now: NOW }))).toBe('admitted')
  expect(codeOf(verifyBySpec(invocation.bytes, proofs.slice(1), { now: NOW }))).toBe('MISSING_PROOF')
  expect(codeOf(verifyBySpec(invoke(mallory, chain, { cmd: '/crud/read' }).bytes, proofs, { now: NOW }))).toBe('CHAIN_AUDIENCE')
  expect(BINDING.challengeBytes + BINDING.randomBytes).toBeLessThanOrEqual(TOKEN_LIMITS.nonceBytes.max)
})
