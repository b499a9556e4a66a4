/** People, devices and signed things for the tests of this room. Fixed seeds; every nonce differs. */
import { createHash } from 'node:crypto'
import { Revocations } from '../../../src/authority/revocations.ts'
import { NonceMemory } from '../../../src/authority/seen.ts'
import { type Delegation, type DelegationFields, type Invocation, type InvocationFields, signDelegation, signInvocation } from '../../../src/authority/token.ts'
import { type Verified, type VerifyContext, verifyInvocation } from '../../../src/authority/verify.ts'
import { Identity } from '../../../src/identity/identity.ts'

export const person = (name: string): Identity => new Identity(createHash('sha256').update(`errand test ${name}`).digest())

export const device = person('device')
export const owner = person('owner')
export const laptop = person('laptop')
export const mallory = person('mallory')

export const NOW = 1_800_000_000
export const HOUR = 3_600
export const CHALLENGE = new Uint8Array(16).fill(0xc4)

let counter = 0
export function nonce(bytes = 12): Uint8Array {
  counter++
  return new Uint8Array(createHash('sha512').update(`nonce ${counter}`).digest().subarray(0, bytes))
}
export const boundNonce = (challenge: Uint8Array = CHALLENGE): Uint8Array => new Uint8Array([...challenge, ...nonce(12)])

export const EXEC_ARGS = {
  exe: 'npm',
  argv: ['test'],
  cwd: '',
  env: [],
  user: '',
  timeoutMs: 0,
  maxOutputBytes: 0,
  tty: false,
  stdin: false,
  task: '019aa3c1-0000-7000-8000-000000000001',
} as const

export function grant(from: Identity, to: Identity, fields: Partial<DelegationFields> = {}): Delegation {
  return signDelegation(from, { aud: to.did, sub: device.did, cmd: '/exec/run', pol: [], exp: NOW + HOUR, nonce: nonce(), ...fields })
}

export function invoke(by: Identity, chain: readonly Delegation[], fields: Partial<InvocationFields> = {}): Invocation {
  return signInvocation(by, {
    sub: device.did,
    cmd: '/exec/run',
    args: EXEC_ARGS,
    prf: chain.map(({ cid }) => cid),
    nonce: boundNonce(),
    exp: NOW + 60,
    ...fields,
  })
}

export function context(over: Partial<VerifyContext> = {}): VerifyContext {
  return { self: device.did, peer: laptop.did, challenge: CHALLENGE, now: NOW, revocations: new Revocations(), seen: new NonceMemory(), ...over }
}

export function verify(invocation: Invocation, chain: readonly Delegation[], over: Partial<VerifyContext> = {}): Verified {
  return verifyInvocation(
    invocation.bytes,
    chain.map(({ bytes }) => bytes),
    context(over),
  )
}

/** The code of a refusal, or 'admitted'. */
export const codeOf = (verified: Verified): string => (verified.ok ? 'admitted' : verified.code)

/** device → owner → laptop */
export function chainToLaptop(last: Partial<DelegationFields> = {}, root: Partial<DelegationFields> = {}): [Delegation, Delegation] {
  return [grant(device, owner, { cmd: '/', exp: null, ...root }), grant(owner, laptop, last)]
}

/** `like`, slow and obvious: tries every length for every star. */
export function slowLike(text: string, pattern: string): boolean {
  if (pattern === '') return text === ''
  if (pattern.startsWith('\\*')) return text.startsWith('*') && slowLike(text.slice(1), pattern.slice(2))
  if (!pattern.startsWith('*')) return text.startsWith(pattern.slice(0, 1)) && slowLike(text.slice(1), pattern.slice(1))
  return [...Array(text.length + 1).keys()].some((n) => slowLike(text.slice(n), pattern.slice(1)))
}
