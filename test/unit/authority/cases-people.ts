/** Who signs in the published cases, and what they sign: fixed seeds, nonces and times, so that the bytes never change. */
import { VARSIG_HEADER } from '../../../protocols/authority/messages.ts'
import { encode } from '../../../protocols/wire.ts'
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

export const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const NAMES = ['device', 'owner', 'role', 'laptop', 'mallory', 'carol', 'other'] as const
export const seeds = Object.fromEntries(NAMES.map((name, i) => [name, filled(32, i + 1)]))
const [device, owner, role, laptop, mallory, carol, other] = NAMES.map((_, i) => new Identity(filled(32, i + 1))) as [
  ...[Identity, Identity, Identity, Identity, Identity, Identity, Identity],
]

export { carol, device, laptop, mallory, other, owner, role }
export const hop = (n: number): Identity => new Identity(filled(32, 0x40 + n))

export const NOW = 1_800_000_000
export const HOUR = 3_600
export const CHALLENGE = filled(16, 0xc4)
export const ARGS = {
  ...{ exe: 'npm', argv: ['test'], cwd: '', env: [], user: '', timeoutMs: 0, maxOutputBytes: 0, tty: false, stdin: false },
  task: '019aa3c1-0000-7000-8000-000000000001',
}

/** Ed25519 is deterministic, so one number makes one token; every case has numbers of its own. */
export const nonceOf = (n: number): Uint8Array => Uint8Array.from([...filled(10, 0xa0), n >> 8, n & 0xff])
export const bound = (n: number, challenge: Uint8Array = CHALLENGE): Uint8Array => Uint8Array.from([...challenge, ...nonceOf(n)])

let counter = 0
export const grant = (from: Identity, to: Identity, more: Partial<DelegationFields> = {}): Delegation =>
  signDelegation(from, { aud: to.did, sub: device.did, cmd: '/exec/run', pol: [], exp: NOW + HOUR, nonce: nonceOf(++counter), ...more })
export const invoke = (chain: readonly Delegation[], more: Partial<InvocationFields> = {}, by: Identity = laptop): Invocation =>
  signInvocation(by, {
    ...{ sub: device.did, cmd: '/exec/run', args: ARGS, exp: NOW + 60, iat: NOW },
    ...{ prf: chain.map(({ cid }) => cid), nonce: bound(++counter), ...more },
  })
export const revocation = (by: Identity, of: Delegation, more: Partial<InvocationFields> = {}): Invocation =>
  signInvocation(by, { sub: by.did, cmd: '/ucan/revoke', args: { ucan: linkTo(of.cid) }, prf: [], nonce: nonceOf(++counter), exp: null, ...more })

/** A rightly signed token with any payload: only its content is wrong. */
export function forge(by: Identity, tag: string, payload: object, h: Uint8Array = VARSIG_HEADER): Uint8Array {
  const signed = { h, [tag]: { iss: by.did, ...payload } }
  return encode([by.sign(encode(signed)), signed])
}

/** device → owner → laptop */
export function pair(leaf: Partial<DelegationFields> = {}, root: Partial<DelegationFields> = {}): [Delegation, Delegation] {
  return [grant(device, owner, { cmd: '/', exp: null, ...root }), grant(owner, laptop, leaf)]
}
