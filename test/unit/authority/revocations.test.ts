import { expect, test } from 'vitest'
import { QUESTION_META } from '../../../protocols/authority/messages.ts'
import { decodeRevocation, Revocations, revoke } from '../../../src/authority/revocations.ts'
import { linkTo, signInvocation } from '../../../src/authority/token.ts'
import { device, grant, laptop, mallory, nonce, owner } from './world.ts'

const root = grant(device, owner)
const leaf = grant(owner, laptop)

test('a revocation says who took back what', () => {
  const revocation = revoke(owner, leaf.cid)
  expect(decodeRevocation(revocation.bytes)).toEqual(revocation)
  expect(revocation).toMatchObject({ by: owner.did, of: leaf.cid })
})

test('a revocation that arrives before the token works', () => {
  const revocations = new Revocations()
  revocations.add(revoke(owner, leaf.cid).bytes)
  expect(revocations.kills([root, leaf])).toMatchObject({ link: leaf, revocation: { by: owner.did } })
})

test('only who issued the link or one above it can take it back', () => {
  const revocations = new Revocations()
  for (const who of [laptop, mallory]) revocations.add(revoke(who, leaf.cid).bytes)
  revocations.add(revoke(owner, root.cid).bytes)
  expect(revocations.kills([root, leaf])).toBeUndefined()
  revocations.add(revoke(device, leaf.cid).bytes)
  expect(revocations.kills([root, leaf])).toMatchObject({ revocation: { by: device.did } })
})

test('a spurious revocation does not keep out the true one', () => {
  const revocations = new Revocations()
  revocations.add(revoke(mallory, leaf.cid).bytes)
  expect(revocations.add(revoke(owner, leaf.cid).bytes).isNew).toBe(true)
  expect(revocations.kills([root, leaf])).toBeDefined()
})

test('two sets that saw the same revocations in any order are equal', () => {
  const all = [revoke(owner, leaf.cid), revoke(owner, leaf.cid), revoke(device, leaf.cid), revoke(device, root.cid), revoke(mallory, root.cid)]
  const [a, b, less] = [new Revocations(), new Revocations(), new Revocations()]
  for (const { bytes } of all) a.add(bytes)
  for (const { bytes } of [...all].reverse()) b.add(bytes)
  for (const { bytes } of all.slice(0, 4)) less.add(bytes)
  expect(a.digest()).toEqual(b.digest())
  expect(a.list()).toEqual(b.list())
  expect(a.size).toBe(4)
  expect(a.digest()).not.toEqual(less.digest())
  expect(new Revocations().digest()).toHaveLength(32)
  expect(a.list().every(({ bytes }) => !a.add(bytes).isNew)).toBe(true)
})

test.each<[string, object]>([
  ['another command', { cmd: '/ucan/revok' }],
  ['another subject', { sub: device.did }],
  ['another audience', { aud: device.did }],
  ['proofs', { prf: [root.cid] }],
  ['an expiry', { exp: 1 }],
  ['a text for the link', { args: { ucan: leaf.cid } }],
  ['nothing named', { args: {} }],
  ['the sign of a question', { meta: { [QUESTION_META]: true } }],
  ['more named', { args: { ucan: linkTo(leaf.cid), also: 1 } }],
])('not a revocation: one with %s', (_, change) => {
  const fields = { sub: owner.did, cmd: '/ucan/revoke', args: { ucan: linkTo(leaf.cid) }, prf: [], nonce: nonce(), exp: null }
  expect(decodeRevocation(signInvocation(owner, fields).bytes).of).toBe(leaf.cid)
  const { bytes } = signInvocation(owner, { ...fields, ...change })
  expect(() => new Revocations().add(bytes)).toThrowError(expect.objectContaining({ code: 'BAD_REVOCATION' }))
})
