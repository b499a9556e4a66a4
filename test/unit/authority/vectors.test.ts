import { readFileSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { failuresOf, readCases } from '../../../scripts/vectors/cases.ts'
import { Revocations } from '../../../src/authority/revocations.ts'
import { sayRight } from '../../../src/authority/rights.ts'
import { NonceMemory } from '../../../src/authority/seen.ts'
import { decodeDelegation, TokenError } from '../../../src/authority/token.ts'
import { type VerifyContext, verifyInvocation } from '../../../src/authority/verify.ts'
import { asDid } from '../../../src/identity/identity.ts'
import { golden } from './golden.ts'
import { codeOf } from './world.ts'

const FILE = new URL('../../../protocols/authority/vectors.json', import.meta.url)
// The one way to make the file: ERRAND_WRITE_VECTORS=authority npx vitest run test/unit/authority/vectors
if (process.env['ERRAND_WRITE_VECTORS'] === 'authority') writeFileSync(FILE, `${JSON.stringify(golden, null, 2)}\n`)

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'))
const Token = v.object({ cid: v.string(), bytes: v.pipe(v.string(), v.transform(bytesOf)) })
const Vectors = v.object({
  dids: v.record(v.string(), v.pipe(v.string(), v.transform(asDid))),
  now: v.number(),
  challenge: v.string(),
  chain: v.array(Token),
  words: v.string(),
  invocation: Token,
  revocation: v.object({ ...Token.entries, by: v.string(), of: v.string() }),
  badDelegations: v.array(v.object({ name: v.string(), bytes: v.pipe(v.string(), v.transform(bytesOf)), code: v.string() })),
  refusals: v.array(
    v.object({
      name: v.string(),
      invocation: v.pipe(v.string(), v.transform(bytesOf)),
      proofs: v.array(v.pipe(v.string(), v.transform(bytesOf))),
      code: v.string(),
    }),
  ),
})
const written: unknown = JSON.parse(readFileSync(FILE, 'utf8'))
const vectors = v.parse(Vectors, written)

function context(): VerifyContext {
  const { device, laptop } = vectors.dids
  if (device === undefined || laptop === undefined) throw new TypeError('the vectors name no device')
  return {
    self: device,
    peer: laptop,
    challenge: Buffer.from(vectors.challenge, 'hex'),
    now: vectors.now,
    revocations: new Revocations(),
    seen: new NonceMemory(),
  }
}

test('what we sign today is byte for byte what we signed when the vectors were made', () => expect(JSON.parse(JSON.stringify(golden))).toEqual(written))

test('the golden chain, invocation and revocation are read as they were meant', () => {
  const links = vectors.chain.map(({ bytes }) => decodeDelegation(bytes))
  expect(links.map(({ cid }) => cid)).toEqual(vectors.chain.map(({ cid }) => cid))
  const last = links[2]
  expect(last && sayRight(last.cmd, last.pol)).toBe(vectors.words)
  const proofs = vectors.chain.map(({ bytes }) => bytes)
  expect(verifyInvocation(vectors.invocation.bytes, proofs, context())).toMatchObject({ ok: true, chain: links, invocation: { cid: vectors.invocation.cid } })
  const after = context()
  const revocations = new Revocations()
  const { revocation } = revocations.add(vectors.revocation.bytes)
  expect(revocation).toMatchObject({ cid: vectors.revocation.cid, by: vectors.revocation.by, of: vectors.revocation.of })
  expect(codeOf(verifyInvocation(vectors.invocation.bytes, proofs, { ...after, revocations }))).toBe('REVOKED')
})

test.each(vectors.badDelegations)('no delegation: $name', ({ bytes, code }) => {
  expect(() => decodeDelegation(bytes)).toThrowError(TokenError)
  expect(() => decodeDelegation(bytes)).toThrowError(expect.objectContaining({ code }))
})

test.each(vectors.refusals)('refused: $name', ({ invocation, proofs, code }) => expect(codeOf(verifyInvocation(invocation, proofs, context()))).toBe(code))

const cases = readCases(written)

test('every published case is answered as it says, within the time of an answer', () => {
  expect(failuresOf(cases)).toEqual([])
  expect(cases.delegations.length + cases.invocations.length + cases.policies.length).toBeGreaterThan(230)
})

test('no two cases of one kind are called alike, and both answers are asked for', () => {
  for (const kind of [cases.delegations, cases.invocations, cases.policies, cases.revocations]) {
    expect(new Set(kind.map(({ name }) => name)).size).toBe(kind.length)
    expect(new Set(kind.map(({ expect: said }) => said)).size).toBeGreaterThan(1)
  }
})
