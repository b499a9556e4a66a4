/** Published cases of mandates: the device invokes itself on what somebody signed for one task. Numbered behind all other cases, whose bytes stay. */
import { MANDATE, MANDATE_META } from '../../../protocols/authority/messages.ts'
import { LAST_LINK } from '../../../src/authority/chain.ts'
import { signMandate } from '../../../src/authority/mandate.ts'
import { SESSION } from '../../../src/authority/session.ts'
import {
  type AnyRecord,
  type Delegation,
  type DelegationFields,
  type Invocation,
  linkTo,
  signDelegation,
  signInvocation,
} from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import type { InvocationCase } from './cases-invocations.ts'
import { ARGS, bound, carol, device, filled, HOUR, laptop, mallory, NOW, nonceOf, other, owner, role } from './cases-people.ts'

let counter = 9_000
const grant = (from: Identity, to: Identity, more: Partial<DelegationFields> = {}): Delegation =>
  signDelegation(from, { aud: to.did, sub: device.did, cmd: '/exec/run', pol: [], exp: NOW + HOUR, nonce: nonceOf(++counter), ...more })
const revocation = (by: Identity, of: Delegation): Invocation =>
  signInvocation(by, { sub: by.did, cmd: '/ucan/revoke', args: { ucan: linkTo(of.cid) }, prf: [], nonce: nonceOf(++counter), exp: null })
const invoke = (chain: readonly Delegation[], args: AnyRecord, by = device): Invocation =>
  signInvocation(by, { sub: device.did, cmd: '/exec/run', args, prf: chain.map(({ cid }) => cid), nonce: bound(++counter), exp: NOW + 60, iat: NOW })
const two = [grant(device, owner, { cmd: '/', exp: null }), grant(owner, laptop)] as const
const mandate = (chain: readonly Delegation[] = two, args: AnyRecord = ARGS, by = laptop): Delegation =>
  signMandate(by, { subject: device.did, command: '/exec/run', args }, { chain, now: NOW, nonce: nonceOf(++counter) })
const odd = (fields: Partial<DelegationFields>, meta: AnyRecord = {}): Delegation => {
  const { aud, sub, cmd, pol, exp, meta: own } = mandate()
  return signDelegation(laptop, { aud, sub, cmd, pol, exp, nonce: nonceOf(++counter), meta: { ...own, ...meta }, ...fields })
}
const run = (name: string, chain: readonly Delegation[], expect: string, more: Partial<InvocationCase> & { args?: AnyRecord } = {}): InvocationCase => {
  const { args = ARGS, ...rest } = more
  const { bytes } = invoke(chain, args)
  return { name, by: 'profile', bytes, proofs: chain.map((link) => link.bytes), revocations: [], before: [], peer: device, expect, ...rest }
}
const good = mandate()
const session = { [SESSION]: '019aa3c1-0000-7000-8000-00000000005e' }
const inSession = [two[0], grant(owner, laptop), grant(laptop, carol, { meta: session }), grant(carol, role, { meta: { ...session, [LAST_LINK]: true } })]

export const MANDATE_CASES: readonly InvocationCase[] = [
  run('a mandate for this task', [...two, good], 'admitted'),
  run('a mandate below a right that may not be passed on', [two[0], grant(owner, laptop, { meta: { [LAST_LINK]: true } }), mandate()], 'admitted'),
  run('a mandate of a session', [...inSession, mandate(inSession, ARGS, role)], 'admitted'),
  run('a mandate for another task', [...two, mandate(two, { ...ARGS, task: '019aa3c1-0000-7000-8000-000000000002' })], 'POLICY'),
  run('a mandate for other arguments', [...two, mandate(two, { ...ARGS, argv: ['install'] })], 'OTHER_TASK'),
  run('other arguments than those of the mandate', [...two, good], 'OTHER_TASK', { args: { ...ARGS, exe: 'sh' } }),
  run('a mandate that somebody else signed', [...two, mandate(two, ARGS, mallory)], 'CHAIN_GAP'),
  run('a mandate about another device', [...two, odd({ sub: other.did, aud: device.did })], 'CHAIN_SUBJECT'),
  run('a mandate given to another device', [...two, odd({ aud: other.did })], 'CHAIN_AUDIENCE'),
  run('a mandate that has expired', [...two, odd({ exp: NOW })], 'GRANT_EXPIRED'),
  run('a mandate without an end', [...two, odd({ exp: null })], 'NO_EXPIRY'),
  run('a mandate for longer than 30 days', [...two, odd({ exp: NOW + MANDATE.lifeSeconds + 1 })], 'BAD_MANDATE'),
  run(
    'a mandate that does not say when it was signed',
    [...two, odd({ meta: { [MANDATE_META]: good.meta?.[MANDATE_META], [LAST_LINK]: true } })],
    'BAD_MANDATE',
  ),
  run('a digest of 31 bytes', [...two, odd({}, { [MANDATE_META]: filled(31, 1) })], 'BAD_MANDATE'),
  run('a digest that is text', [...two, odd({}, { [MANDATE_META]: 'npm test' })], 'BAD_MANDATE'),
  run('a mandate that may be passed on', [...two, odd({}, { [LAST_LINK]: false })], 'BAD_MANDATE'),
  run('a mandate in the middle', [two[0], grant(owner, laptop, { meta: good.meta ?? {} }), mandate()], 'BAD_MANDATE'),
  run('a revoked mandate', [...two, good], 'REVOKED', { revocations: [revocation(laptop, good).bytes] }),
  run('a mandate whose right was revoked', [...two, good], 'REVOKED', { revocations: [revocation(owner, two[1]).bytes] }),
  { ...run('somebody else than the device on a mandate', [...two, good], 'CHAIN_AUDIENCE'), bytes: invoke([...two, good], ARGS, laptop).bytes, peer: laptop },
  {
    ...run('a right that may not be passed on, passed on in the form of a mandate', [], 'BAD_MANDATE'),
    ...(() => {
      const chain = [two[0], grant(owner, laptop, { meta: { [LAST_LINK]: true } }), odd({ aud: mallory.did })]
      return { bytes: invoke(chain, ARGS, mallory).bytes, proofs: chain.map((link) => link.bytes), peer: mallory }
    })(),
  },
  {
    ...run('somebody who signs twice, by a mandate to somebody else', [], 'BAD_MANDATE'),
    ...(() => {
      const chain = [two[0], grant(owner, mallory), grant(mallory, laptop), odd({ aud: mallory.did })]
      return { bytes: invoke(chain, ARGS, mallory).bytes, proofs: chain.map((link) => link.bytes), peer: mallory }
    })(),
  },
]
