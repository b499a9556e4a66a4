/** The strict reader of UCAN 0.8: what an attacker makes is refused by size, form or signature, before anything is paid for it. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { expect, test } from 'vitest'
import { LAST_LINK } from '../../../src/authority/chain.ts'
import { STALE_META } from '../../../src/authority/freshness.ts'
import { signDelegation } from '../../../src/authority/token.ts'
import { readOldToken } from '../../../src/authority/ucan08.ts'
import { capabilityOf } from '../../../src/authority/ucan08-rights.ts'
import { workedMs } from '../../support/worked.ts'
import { alice, bob, carol, mallory } from '../runtime/mesh-world.ts'
import { forged } from '../runtime/old-tokens.ts'

const NPM = { with: `errand:${bob.did}/${encodeURIComponent('exec: npm test …')}`, can: 'exec/run' }

function codeOf(token: string): string {
  try {
    readOldToken(token)
    return 'read'
  } catch (thrown) {
    return thrown instanceof Error ? thrown.name : String(thrown)
  }
}

const PAYLOAD = { iss: carol.did, aud: alice.did, att: [NPM], exp: 4_000_000_000, prf: [] }
const lying = (over: object): string => forged({ by: carol, payload: { ...PAYLOAD, ...over } })
const wrapped = (times: number): string => Array.from({ length: times }).reduce<string>((inner) => lying({ prf: inner === '' ? [] : [inner] }), '')

test.each<[string, string, string]>([
  ['no token at all', 'hello', 'NOT_A_TOKEN'],
  ['nothing', '', 'NOT_A_TOKEN'],
  ['four parts', `${lying({})}.x`, 'NOT_A_TOKEN'],
  ['a signature of no byte', lying({}).replace(/[^.]+$/, ''), 'NOT_A_TOKEN'],
  ['200 KB', `e30.${'A'.repeat(200_000)}.AA`, 'TOO_LARGE'],
  ['a payload that is not JSON', forged({ by: carol, payload: '{"iss":' }), 'NOT_A_TOKEN'],
  ['base64 with a spare bit', lying({}).replace(/.$/, (last) => (last === 'A' ? 'B' : 'x')), 'NOT_A_TOKEN'],
  ['brackets 5,000 deep', forged({ by: carol, payload: `{"att":${'['.repeat(5_000)}${']'.repeat(5_000)}}` }), 'TOO_DEEP'],
  ['maps 1,500 deep in a fact', forged({ by: carol, payload: `{"fct":[${'{"a":'.repeat(1_500)}1${'}'.repeat(1_500)}]}` }), 'TOO_DEEP'],
  ['algorithm none, unsigned', forged({ by: carol, payload: PAYLOAD, header: { alg: 'none', typ: 'JWT', ucv: '0.8.1' }, signature: '' }), 'BAD_TOKEN'],
  ['algorithm HS256', forged({ by: carol, payload: PAYLOAD, header: { alg: 'HS256', typ: 'JWT', ucv: '0.8.1' } }), 'BAD_TOKEN'],
  ['a key in its header', forged({ by: carol, payload: PAYLOAD, header: { alg: 'EdDSA', typ: 'JWT', ucv: '0.8.1', jwk: {} } }), 'BAD_TOKEN'],
  ['version 0.3', forged({ by: carol, payload: PAYLOAD, header: { alg: 'EdDSA', typ: 'JWT', uav: '1.0.0' } }), 'BAD_TOKEN'],
  ['version 0.9', forged({ by: carol, payload: PAYLOAD, header: { alg: 'EdDSA', typ: 'JWT', ucv: '0.9.1' } }), 'BAD_TOKEN'],
  ['signed by somebody else', forged({ by: mallory, payload: PAYLOAD }), 'BAD_SIGNATURE'],
  ['a signature of zeros', forged({ by: carol, payload: PAYLOAD, signature: Buffer.alloc(64).toString('base64url') }), 'BAD_SIGNATURE'],
  ['a signature of three bytes', forged({ by: carol, payload: PAYLOAD, signature: 'AAAA' }), 'BAD_SIGNATURE'],
  ['a caveat', lying({ att: [{ ...NPM, nb: { exe: 'npm' } }] }), 'BAD_TOKEN'],
  ['an unknown field', lying({ scope: '*' }), 'BAD_TOKEN'],
  ['no expiry', lying({ exp: null }), 'BAD_TOKEN'],
  ['a fraction of an expiry', lying({ exp: 4_000_000_000.5 }), 'BAD_TOKEN'],
  ['an expiry beyond all', forged({ by: carol, payload: JSON.stringify(PAYLOAD).replace('4000000000', '1e400') }), 'BAD_TOKEN'],
  ['a not-before in words', lying({ nbf: 'now' }), 'BAD_TOKEN'],
  ['an issuer that is no key', lying({ iss: 'did:web:example.com' }), 'BAD_TOKEN'],
  ['an audience with a fragment', lying({ aud: `${alice.did}#key` }), 'BAD_TOKEN'],
  ['nothing given', lying({ att: [] }), 'BAD_TOKEN'],
  ['a capability twice', lying({ att: [NPM, NPM] }), 'BAD_TOKEN'],
  ['nine capabilities', lying({ att: Array.from({ length: 9 }, (_, n) => ({ ...NPM, can: `x/${n}` })) }), 'BAD_TOKEN'],
  ['five proofs', lying({ prf: Array(5).fill(lying({})) }), 'BAD_TOKEN'],
  ['nine tokens', lying({ prf: Array(4).fill(lying({ prf: [lying({})] })) }), 'TOO_MANY_TOKENS'],
  ['tokens seven deep', wrapped(7), 'TOO_DEEP'],
  ['a proof by its CID', lying({ prf: ['bafkreihogico5an3e2xy3fykalfwxxry7itbhfcgq6f47sif6d7w6uk2ze'] }), 'NOT_A_TOKEN'],
])('refused within 100 ms, before the library hears of it: %s', (_, token, code) => {
  expect(workedMs(() => expect(codeOf(token)).toBe(code))).toBeLessThan(100)
})

test('a key that is not Ed25519 signs nothing here', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const head = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'JWT', ucv: '0.8.1' })).toString('base64url')
  const body = Buffer.from(JSON.stringify({ ...PAYLOAD, iss: 'did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv' })).toString('base64url')
  expect(codeOf(`${head}.${body}.${sign('sha256', Buffer.from(`${head}.${body}`), privateKey).toString('base64url')}`)).toBe('BAD_TOKEN')
})

test.each([
  ['of how old the knowledge of revocations may be', { meta: { [STALE_META]: 60 } }, 'how old the knowledge'],
  ['that it may not be passed on', { meta: { [LAST_LINK]: true } }, 'may not be passed on'],
  ['that it does not know', { meta: { 'errand/rate': '5/m' } }, 'cannot say errand/rate'],
  ['of no device', { sub: null }, 'names no device'],
  ['without an end', { exp: null }, 'does not expire'],
  ['to something that has no ability', { cmd: '/config/write' }, 'no ability for /config/write'],
])('a grant %s is not written in the older format, and the reason is its own', (_, fields, why) => {
  const grant = signDelegation(alice, { aud: bob.did, sub: alice.did, cmd: '/exec/run', pol: [], exp: 2_000_000_000, nonce: new Uint8Array(16), ...fields })
  expect(capabilityOf(grant)).toMatchObject({ ok: false, why: expect.stringContaining(why) })
})

test('a token is three parts between dots, no fewer and no more', () => {
  const whole = lying({}).split('.')
  for (const parts of [[], whole.slice(0, 1), whole.slice(0, 2), [...whole, ''], [...whole, 'e30']]) expect(codeOf(parts.join('.'))).toBe('NOT_A_TOKEN')
})
