/** Builds the golden bytes of protocols/authority/vectors.json from fixed seeds, nonces and times. */
import { VARSIG_HEADER } from '../../../protocols/authority/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import {
  type Delegation,
  type DelegationFields,
  type Invocation,
  type InvocationFields,
  linkTo,
  signDelegation,
  signInvocation,
} from '../../../src/authority/token.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { CONTEXT, INVOCATION_CASES, REVOCATION_CASES } from './cases-invocations.ts'
import { MANDATE_CASES } from './cases-mandates.ts'
import { seeds } from './cases-people.ts'
import { COVER_CASES, POLICY_CASES } from './cases-policies.ts'
import { TOKEN_CASES } from './cases-tokens.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)

const SEEDS = { device: filled(32, 1), owner: filled(32, 2), role: filled(32, 3), laptop: filled(32, 4), mallory: filled(32, 5) }
const device = new Identity(SEEDS.device)
const owner = new Identity(SEEDS.owner)
const role = new Identity(SEEDS.role)
const laptop = new Identity(SEEDS.laptop)
const mallory = new Identity(SEEDS.mallory)

const NOW = 1_800_000_000
const CHALLENGE = filled(16, 0xc4)
const EXEC_ARGS = {
  ...{ exe: 'npm', argv: ['test'], cwd: '', env: [], user: '', timeoutMs: 0, maxOutputBytes: 0, tty: false, stdin: false },
  task: '019aa3c1-0000-7000-8000-000000000001',
}

const grant = (from: Identity, to: Identity, n: number, more: Partial<DelegationFields> = {}): Delegation =>
  signDelegation(from, { aud: to.did, sub: device.did, cmd: '/exec/run', pol: [], exp: NOW + 3_600, nonce: filled(12, n), ...more })
const invoke = (chain: readonly Delegation[], more: Partial<InvocationFields> = {}): Invocation =>
  signInvocation(laptop, {
    ...{ sub: device.did, cmd: '/exec/run', args: EXEC_ARGS, exp: NOW + 60, iat: NOW },
    prf: chain.map(({ cid }) => cid),
    nonce: new Uint8Array([...CHALLENGE, ...filled(12, 9)]),
    ...more,
  })

/** A signed token with any payload: only its content is wrong. */
function forge(by: Identity, tag: string, payload: object, h: Uint8Array = VARSIG_HEADER): Uint8Array {
  const signed = { h, [tag]: { iss: by.did, ...payload } }
  return encode([by.sign(encode(signed)), signed])
}

const root = grant(device, owner, 1, { cmd: '/', exp: null })
const middle = grant(owner, role, 2, { sub: null, cmd: '/exec', exp: NOW + 7_200, nbf: NOW - 10 })
const leaf = grant(role, laptop, 3, { pol: parseRight('exec: git, npm test').pol, meta: { note: 'for the tests' } })
const chain = [root, middle, leaf]
const revocation = signInvocation(owner, { sub: owner.did, cmd: '/ucan/revoke', args: { ucan: linkTo(leaf.cid) }, prf: [], nonce: filled(12, 4), exp: null })

const FIELDS = { aud: owner.did, sub: device.did, cmd: '/exec/run', pol: [], exp: NOW, nonce: filled(12, 5) }
const DLG = 'ucan/dlg@1.0.0'
function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

const BAD_DELEGATIONS: readonly (readonly [string, Uint8Array, string])[] = [
  ['one bit of the signature flipped', flipped(leaf.bytes, 10), 'BAD_SIGNATURE'],
  ['signed by somebody else', forge(mallory, DLG, { ...FIELDS, iss: device.did }), 'BAD_SIGNATURE'],
  ['trailing byte', new Uint8Array([...leaf.bytes, 0]), 'NOT_CBOR'],
  ['an invocation', invoke(chain).bytes, 'WRONG_KIND'],
  ['a release candidate', forge(device, 'ucan/dlg@1.0.0-rc.1', FIELDS), 'WRONG_KIND'],
  ['header of P-256', forge(device, DLG, FIELDS, Uint8Array.of(0x34, 0x01, 0xec, 0x01, 0x80, 0x24, 0x12, 0x71)), 'BAD_ALGORITHM'],
  ['an unknown field', forge(device, DLG, { ...FIELDS, scope: 'x' }), 'BAD_TOKEN'],
  ['a DID with a fragment', forge(device, DLG, { ...FIELDS, aud: `${owner.did}#key` }), 'BAD_DID'],
  ['a fraction', forge(device, DLG, { ...FIELDS, pol: [['==', '.a', 0.5]] }), 'BAD_VALUE'],
  ['a short nonce', forge(device, DLG, { ...FIELDS, nonce: filled(11, 1) }), 'BAD_NONCE'],
  ['an unknown operator', forge(device, DLG, { ...FIELDS, pol: [['~', '.a', 1]] }), 'BAD_POLICY'],
]

const only = grant(device, laptop, 6)
const refusals: readonly (readonly [string, Invocation, readonly Delegation[], string])[] = [
  ['no chain', invoke([]), [], 'NO_GRANT'],
  ['a proof not sent', invoke(chain), [root, leaf], 'MISSING_PROOF'],
  ['links swapped', invoke([middle, root, leaf]), chain, 'POWERLINE_ROOT'],
  ['a link left out', invoke([root, leaf]), [root, leaf], 'CHAIN_GAP'],
  ['another command', invoke(chain, { cmd: '/audit/read', args: {} }), chain, 'NOT_COVERED'],
  ['arguments outside the policy', invoke(chain, { args: { ...EXEC_ARGS, exe: 'rm' } }), chain, 'POLICY'],
  ['a field missing', invoke([only], { args: { exe: 'npm' } }), [only], 'BAD_ARGS'],
  ['another connection', invoke(chain, { nonce: filled(28, 7) }), chain, 'WRONG_CHALLENGE'],
  ['another device', invoke(chain, { sub: owner.did }), chain, 'WRONG_SUBJECT'],
  ['expired', invoke(chain, { exp: NOW - 60, iat: NOW - 90 }), chain, 'EXPIRED'],
  ['a life too long', invoke(chain, { exp: NOW + 301 }), chain, 'TTL_TOO_LONG'],
]

const said = ({ cid, bytes }: { cid: string; bytes: Uint8Array }): object => ({ cid, bytes: base64(bytes) })

export const golden = {
  version: 1,
  note: 'Seeds are hex, bytes are base64. Refusals are judged by the device, for the laptop as the peer, at time `now` with `challenge`.',
  seeds: Object.fromEntries(Object.entries(SEEDS).map(([name, seed]) => [name, hex(seed)])),
  dids: { device: device.did, owner: owner.did, role: role.did, laptop: laptop.did, mallory: mallory.did },
  now: NOW,
  challenge: hex(CHALLENGE),
  chain: chain.map(said),
  words: 'exec: git …, npm test …',
  invocation: said(invoke(chain)),
  revocation: { ...said(revocation), by: owner.did, of: leaf.cid },
  badDelegations: BAD_DELEGATIONS.map(([name, bytes, code]) => ({ name, bytes: base64(bytes), code })),
  refusals: refusals.map(([name, invocation, proofs, code]) => ({
    name,
    invocation: base64(invocation.bytes),
    proofs: proofs.map(({ bytes }) => base64(bytes)),
    code,
  })),
  cases: {
    format: 'ucan-cases/1',
    note: 'What a runner does with each kind: README.md. Bytes are base64; `by` says who has to answer so: every UCAN 1.0 implementation (spec), or one of this profile.',
    seeds: Object.fromEntries(Object.entries(seeds).map(([name, seed]) => [name, hex(seed)])),
    context: { self: CONTEXT.self, peer: CONTEXT.peer, challenge: base64(CONTEXT.challenge), now: CONTEXT.now },
    delegations: TOKEN_CASES.map(({ name, by, bytes, expect }) => ({ name, by, bytes: base64(bytes), expect })),
    revocations: REVOCATION_CASES.map(({ name, bytes, expect }) => ({ name, bytes: base64(bytes), expect })),
    invocations: [...INVOCATION_CASES, ...MANDATE_CASES].map(({ bytes, proofs, revocations, before, peer, now, ...rest }) => ({
      ...rest,
      bytes: base64(bytes),
      proofs: proofs.map(base64),
      ...(revocations.length === 0 ? {} : { revocations: revocations.map(base64) }),
      ...(before.length === 0 ? {} : { before: before.map((one) => ({ bytes: base64(one.bytes), proofs: one.proofs.map(base64) })) }),
      ...(peer === undefined ? {} : { peer: peer.did }),
      ...(now === undefined ? {} : { now }),
    })),
    policies: POLICY_CASES,
    covers: COVER_CASES,
  },
} as const
