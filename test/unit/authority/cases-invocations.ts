/** Published cases of invocations: chains, replay, revocation, time, arguments. */
import { encode } from '../../../protocols/wire.ts'
import { LAST_LINK } from '../../../src/authority/chain.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import type { Delegation, DelegationFields, Invocation, InvocationFields } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import {
  ARGS,
  bound,
  CHALLENGE,
  carol,
  device,
  filled,
  forge,
  grant,
  HOUR,
  hop,
  invoke,
  laptop,
  mallory,
  NOW,
  nonceOf,
  other,
  owner,
  pair,
  revocation,
  role,
} from './cases-people.ts'

export interface InvocationCase {
  readonly name: string
  readonly bytes: Uint8Array
  readonly proofs: readonly Uint8Array[]
  readonly revocations: readonly Uint8Array[]
  /** Invocations (with their proofs) that the same verifier judged before, on the same connection. */
  readonly before: readonly { readonly bytes: Uint8Array; readonly proofs: readonly Uint8Array[] }[]
  readonly peer?: Identity
  readonly now?: number
  readonly expect: string
  readonly by: 'spec' | 'profile'
}

type More = Partial<Pick<InvocationCase, 'revocations' | 'before' | 'peer' | 'now'>> & { readonly sent?: readonly Delegation[] }
const make =
  (by: 'spec' | 'profile') =>
  (
    name: string,
    chain: readonly Delegation[],
    expect: string,
    ...[fields = {}, more = {}]: [fields?: Partial<InvocationFields>, more?: More]
  ): InvocationCase =>
    judged(by, name, invoke(chain, fields), expect, { sent: chain, ...more })
function judged(
  by: 'spec' | 'profile',
  name: string,
  invocation: Pick<Invocation, 'bytes'>,
  ...[expect, more = {}]: [expect: string, more?: More]
): InvocationCase {
  const { sent = [], revocations = [], before = [], ...rest } = more
  return { name, by, bytes: invocation.bytes, proofs: sent.map(({ bytes }) => bytes), revocations, before, expect, ...rest }
}
const spec = make('spec')
const ours = make('profile')

const two = pair()
const three = [grant(device, owner, { cmd: '/', exp: null }), grant(owner, role, { cmd: '/exec' }), grant(role, laptop)]
const line = (length: number): Delegation[] => {
  const people = [device, ...Array.from({ length: length - 1 }, (_, i) => hop(i)), laptop]
  return people.slice(0, -1).map((from, i) => grant(from, people[i + 1] ?? laptop))
}
const pol = (text: string): Partial<DelegationFields> => parseRight(text)
const args = (over: object): Partial<InvocationFields> => ({ args: { ...ARGS, ...over } })
const killed = (by: Identity, at: number): More => ({ revocations: [revocation(by, three[at] ?? three[0] ?? fail()).bytes] })
function fail(): never {
  throw new TypeError('no such link')
}
const first = invoke(two)
const shared = bound(7_000)
const unsigned = (() => {
  const { bytes } = invoke(two, { nonce: shared })
  const copy = new Uint8Array(bytes)
  copy[10] = (copy[10] ?? 0) ^ 1
  return copy
})()
const INV = { sub: device.did, cmd: '/exec/run', args: ARGS, prf: [], exp: NOW + 60, nonce: bound(7_001) }
const without = (name: string): Record<string, unknown> => Object.fromEntries(Object.entries(ARGS).filter(([key]) => key !== name))
const late = grant(role, laptop)
const lateChain = [three[0] ?? fail(), three[1] ?? fail(), late]

const CHAINS: readonly InvocationCase[] = [
  spec('a chain of one', [grant(device, laptop)], 'admitted'),
  spec('a chain of two', two, 'admitted'),
  spec('a chain of three', three, 'admitted'),
  ours('a chain of eight', line(8), 'admitted'),
  ours('a chain of nine', line(9), 'CHAIN_TOO_LONG', {}, { sent: [] }),
  spec('no chain', [], 'NO_GRANT'),
  spec('a proof not sent', three, 'MISSING_PROOF', {}, { sent: [three[0] ?? fail(), three[2] ?? fail()] }),
  spec('another proof than the one listed', three, 'UNASKED_PROOF', {}, { sent: [three[0] ?? fail(), three[1] ?? fail(), grant(role, laptop)] }),
  spec('links swapped', [three[1] ?? fail(), three[0] ?? fail(), three[2] ?? fail()], 'CHAIN_ROOT'),
  spec('the last link first', [...three].reverse(), 'CHAIN_ROOT'),
  spec('a link left out', [three[0] ?? fail(), three[2] ?? fail()], 'CHAIN_GAP'),
  spec('a principal gap', [grant(device, mallory), grant(owner, laptop)], 'CHAIN_GAP'),
  spec('given to somebody else', [grant(device, owner), grant(owner, mallory)], 'CHAIN_AUDIENCE'),
  ours('a link twice', [...two, two[1]], 'CHAIN_CYCLE', {}, { sent: two }),
  ours('somebody signs twice', [grant(device, owner), grant(owner, mallory), grant(mallory, owner), grant(owner, laptop)], 'CHAIN_CYCLE'),
  spec('a root signed by somebody else', [grant(mallory, owner), grant(owner, laptop)], 'CHAIN_ROOT'),
  spec('a leaf without its root', [grant(owner, laptop)], 'CHAIN_ROOT'),
  spec('a powerline at the root', [grant(device, owner, { sub: null }), grant(owner, laptop)], 'POWERLINE_ROOT'),
  spec('a powerline alone', [grant(device, laptop, { sub: null })], 'POWERLINE_ROOT'),
  spec('a powerline in the middle', [grant(device, owner), grant(owner, laptop, { sub: null })], 'admitted'),
  spec('a link about another subject', [grant(device, owner), grant(owner, laptop, { sub: other.did })], 'CHAIN_SUBJECT'),
  spec('a root about another subject', [grant(device, owner, { sub: other.did }), grant(owner, laptop)], 'CHAIN_SUBJECT'),
  spec('a command that begins alike', [grant(device, laptop, { cmd: '/exec/ru' })], 'NOT_COVERED'),
  spec('a longer word', two, 'NOT_COVERED', { cmd: '/exec/run-as-root' }),
  spec('another command', pair({ cmd: '/exec' }), 'NOT_COVERED', { cmd: '/audit/read', args: {} }),
  spec('a child that widens the command', [grant(device, owner, { cmd: '/exec/run' }), grant(owner, laptop, { cmd: '/exec' })], 'NOT_COVERED'),
  spec('a child for everything', [grant(device, owner, { cmd: '/exec' }), grant(owner, laptop, { cmd: '/' })], 'NOT_COVERED'),
  ours('a command that cannot be given', pair({ cmd: '/' }), 'NOT_COVERED', { cmd: '/audit/purge', args: {} }),
  ours('a command that nobody knows', pair({ cmd: '/' }), 'NOT_COVERED', { cmd: '/make/coffee', args: {} }),
  ours('a command that nothing executes yet', pair({ cmd: '/' }), 'UNKNOWN_COMMAND', { cmd: '/exec/signal', args: {} }),
  ours('passed on where it may not be', [grant(device, owner, { meta: { [LAST_LINK]: true } }), grant(owner, laptop)], 'PASSED_ON'),
  ours('not passed on where it may not be', [grant(device, owner), grant(owner, laptop, { meta: { [LAST_LINK]: true } })], 'admitted'),
]

const TIMES: readonly InvocationCase[] = [
  spec('a root that expires now', pair({}, { exp: NOW }), 'GRANT_EXPIRED'),
  spec('a leaf that expires now', pair({ exp: NOW }), 'GRANT_EXPIRED'),
  spec('a leaf that expires in a second', pair({ exp: NOW + 1 }), 'admitted'),
  spec('a child that outlives its parent', pair({ exp: NOW + HOUR }, { exp: NOW - 1 }), 'GRANT_EXPIRED'),
  ours('a child without expiry', pair({ exp: null }), 'NO_EXPIRY'),
  ours('a grant from half a minute on', pair({ nbf: NOW + 30 }), 'admitted'),
  spec('a grant of later', pair({ nbf: NOW + 31 }), 'GRANT_TOO_EARLY'),
  spec('a root of later', pair({}, { nbf: NOW + 31 }), 'GRANT_TOO_EARLY'),
  spec('an invocation that has expired', two, 'EXPIRED', { exp: NOW - 60, iat: NOW - 90 }),
  ours('an invocation that expired within the forgiven seconds', two, 'admitted', { exp: NOW - 29, iat: NOW - 60 }),
  ours('… and one second later', two, 'EXPIRED', { exp: NOW - 30, iat: NOW - 60 }),
  ours('an invocation that never expires', two, 'TTL_TOO_LONG', { exp: null }),
  ours('a life of 301 s', two, 'TTL_TOO_LONG', { exp: NOW + 301 }),
  ours('a life of 331 s, without its beginning', [two[0], two[1]], 'TTL_TOO_LONG', { exp: NOW + 331 }),
  ours('made in the future', two, 'TOO_EARLY', { iat: NOW + 31, exp: NOW + 60 }),
  ours('made 30 s in the future', two, 'admitted', { iat: NOW + 30, exp: NOW + 60 }),
]

const BINDINGS: readonly InvocationCase[] = [
  spec('about another device', two, 'WRONG_SUBJECT', { sub: other.did }),
  judged('spec', 'about its own signer', invoke([], { sub: laptop.did }), 'WRONG_SUBJECT'),
  spec('for another device', two, 'WRONG_AUDIENCE', { aud: other.did }),
  spec('for this device by name', two, 'admitted', { aud: device.did }),
  ours('brought by another peer', two, 'WRONG_ISSUER', {}, { peer: carol }),
  judged('profile', 'signed by somebody else than the peer', invoke(pair(), {}, mallory), 'WRONG_ISSUER', { sent: two }),
  ours('made for another connection', two, 'WRONG_CHALLENGE', { nonce: bound(1, filled(16, 7)) }),
  ours('a nonce without room for randomness', two, 'BAD_NONCE', { nonce: filled(27, 0xc4) }),
  judged('spec', 'used before', first, 'REPLAYED', { sent: two, before: [{ bytes: first.bytes, proofs: two.map(({ bytes }) => bytes) }] }),
  ours(
    'the nonce of another invocation of the same issuer',
    two,
    'REPLAYED',
    { nonce: shared, ...args({ argv: ['x'] }) },
    { before: [{ bytes: invoke(two, { nonce: shared }).bytes, proofs: two.map(({ bytes }) => bytes) }] },
  ),
  ours(
    'a nonce that a forgery used before: only what is signed counts',
    two,
    'admitted',
    { nonce: shared },
    { before: [{ bytes: unsigned, proofs: two.map(({ bytes }) => bytes) }] },
  ),
  ours('the same device asks itself', [], 'NO_GRANT'),
  judged('profile', 'the device itself needs no chain', invoke([], {}, device), 'admitted', { peer: device }),
  judged(
    'profile',
    'the device itself is held to a chain that it names',
    invoke([grant(device, owner), grant(owner, device, pol('exec: git'))], {}, device),
    'MISSING_PROOF',
    { peer: device },
  ),
  judged('spec', 'a delegation', two[1], 'WRONG_KIND', { sent: two }),
  judged('spec', 'signed by somebody else, all 64 bytes', { bytes: forge(mallory, 'ucan/inv@1.0.0', { ...INV, iss: laptop.did }) }, 'BAD_SIGNATURE'),
  judged('spec', 'an unknown field', { bytes: forge(laptop, 'ucan/inv@1.0.0', { ...INV, nnc: 'x' }) }, 'BAD_TOKEN'),
  judged('spec', 'arguments that are a list', { bytes: forge(laptop, 'ucan/inv@1.0.0', { ...INV, args: [] }) }, 'BAD_TOKEN'),
  judged('spec', 'a proof that is text', { bytes: forge(laptop, 'ucan/inv@1.0.0', { ...INV, prf: ['bafy'] }) }, 'BAD_TOKEN'),
  judged('spec', 'not CBOR', { bytes: encode('x').subarray(0, 1) }, 'NOT_CBOR'),
  judged('profile', '65,537 bytes', { bytes: filled(65_537, 0) }, 'TOO_LARGE'),
]

const REVOKED: readonly InvocationCase[] = [
  spec('the root revoked by its signer', three, 'REVOKED', {}, killed(device, 0)),
  spec('the middle revoked by its signer', three, 'REVOKED', {}, killed(owner, 1)),
  spec('the leaf revoked by its signer', three, 'REVOKED', {}, killed(role, 2)),
  spec('the leaf revoked by the root’s signer', three, 'REVOKED', {}, killed(device, 2)),
  spec('the leaf revoked by the middle’s signer', three, 'REVOKED', {}, killed(owner, 2)),
  spec('the root revoked from below', three, 'admitted', {}, killed(owner, 0)),
  spec('the middle revoked from below', three, 'admitted', {}, killed(role, 1)),
  spec('the leaf revoked by who holds it', three, 'admitted', {}, killed(laptop, 2)),
  spec('the leaf revoked by a stranger', three, 'admitted', {}, killed(mallory, 2)),
  spec('another grant revoked', three, 'admitted', {}, { revocations: [revocation(role, two[1]).bytes] }),
  judged('spec', 'revoked before the token was seen', invoke(lateChain), 'REVOKED', { sent: lateChain, revocations: [revocation(role, late).bytes] }),
  spec(
    'by a stranger and by its signer',
    three,
    'REVOKED',
    {},
    { revocations: [...(killed(mallory, 2).revocations ?? []), ...(killed(role, 2).revocations ?? [])] },
  ),
]

const ARGUMENTS: readonly InvocationCase[] = [
  spec('within the policy', pair(pol('exec: git, npm test')), 'admitted'),
  spec('another executable', pair(pol('exec: git, npm test')), 'POLICY', args({ exe: 'rm' })),
  spec('another argument', pair(pol('exec: npm test')), 'POLICY', args({ argv: ['run', 'test'] })),
  spec('a policy further up', pair({}, pol('exec: git')), 'POLICY'),
  spec('a policy further down', pair(pol('exec: git'), {}), 'POLICY'),
  spec('an executable in capitals', pair(pol('exec: npm')), 'POLICY', args({ exe: 'NPM' })),
  spec('an environment that was not granted', pair(pol('exec: npm')), 'POLICY', args({ env: ['LD_PRELOAD'] })),
  spec('a terminal that was not granted', pair(pol('exec: npm')), 'POLICY', args({ tty: true })),
  ours('a directory beside the one granted', pair(pol('exec: npm; cwd /srv/app')), 'POLICY', args({ cwd: '/srv/application' })),
  ours('a directory that climbs out', pair(), 'BAD_ARGS', args({ cwd: '/srv/app/../../etc' })),
  ours('a field missing', [grant(device, laptop)], 'BAD_ARGS', { args: without('tty') }),
  ours('a field too many', [grant(device, laptop)], 'BAD_ARGS', args({ shell: true })),
  ours('text for the arguments', [grant(device, laptop)], 'BAD_ARGS', args({ argv: 'test' })),
  ours('a zero-width character', [grant(device, laptop)], 'BAD_ARGS', args({ exe: 'np\u200bm' })),
  ours('a text that is not NFC', [grant(device, laptop)], 'BAD_ARGS', args({ exe: 'cafe\u0301' })),
  ours('NUL', [grant(device, laptop)], 'BAD_ARGS', args({ argv: ['a\0b'] })),
  ours('names out of order', [grant(device, laptop)], 'BAD_ARGS', args({ env: ['B', 'A'] })),
]

export const INVOCATION_CASES: readonly InvocationCase[] = [...CHAINS, ...TIMES, ...BINDINGS, ...REVOKED, ...ARGUMENTS]
export const CONTEXT = { self: device.did, peer: laptop.did, challenge: CHALLENGE, now: NOW } as const
export const REVOCATION_CASES = [
  { name: 'a revocation', bytes: revocation(role, late).bytes, expect: 'valid' },
  { name: 'with an expiry', bytes: revocation(role, late, { exp: NOW }).bytes, expect: 'BAD_REVOCATION' },
  { name: 'about somebody else', bytes: revocation(role, late, { sub: device.did }).bytes, expect: 'BAD_REVOCATION' },
  { name: 'of nothing', bytes: revocation(role, late, { args: {} }).bytes, expect: 'BAD_REVOCATION' },
  { name: 'of text', bytes: revocation(role, late, { args: { ucan: late.cid } }).bytes, expect: 'BAD_REVOCATION' },
  { name: 'with a proof', bytes: revocation(role, late, { prf: [late.cid] }).bytes, expect: 'BAD_REVOCATION' },
  { name: 'another command', bytes: revocation(role, late, { cmd: '/ucan' }).bytes, expect: 'BAD_REVOCATION' },
  { name: 'for somebody else', bytes: revocation(role, late, { aud: device.did }).bytes, expect: 'BAD_REVOCATION' },
  {
    name: 'signed by somebody else',
    bytes: forge(mallory, 'ucan/inv@1.0.0', { iss: role.did, sub: role.did, cmd: '/ucan/revoke', args: {}, prf: [], exp: null, nonce: nonceOf(8_000) }),
    expect: 'BAD_SIGNATURE',
  },
] as const
