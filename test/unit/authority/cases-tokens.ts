/** Published cases of single tokens: what is a delegation, and all that is none. */
import { VARSIG_HEADER } from '../../../protocols/authority/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { didOfPublicKey } from '../../../src/identity/identity.ts'
import { carol, device, filled, forge, grant, HOUR, invoke, laptop, mallory, NOW, nonceOf, owner, pair } from './cases-people.ts'
import { HALF_TWO, head, joined, openList, rawBytes, rawDouble, rawList, rawMap, rawText, UNDEFINED } from './raw-cbor.ts'

export interface TokenCase {
  readonly name: string
  readonly bytes: Uint8Array
  /** 'valid', or the code of the refusal. */
  readonly expect: string
  /** Who has to answer so: every UCAN 1.0 implementation, or this profile. */
  readonly by: 'spec' | 'profile'
}

const DLG = 'ucan/dlg@1.0.0'
const FIELDS = { aud: owner.did, sub: device.did, cmd: '/exec/run', pol: [] as unknown[], exp: NOW + HOUR, nonce: nonceOf(900) }
const of = (over: object): Uint8Array => forge(device, DLG, { ...FIELDS, ...over })
const without = (...names: string[]): Uint8Array =>
  forge(device, DLG, Object.fromEntries(Object.entries({ ...FIELDS }).filter(([name]) => !names.includes(name))))

/** Rightly signed over bytes made by hand. */
const signedRaw = (body: Uint8Array): Uint8Array => rawList(rawBytes(device.sign(body)), body)
const raw = (value: unknown): Uint8Array => encode(value)
const payloadOf = (...over: (readonly [string, Uint8Array])[]): (readonly [string, Uint8Array])[] => {
  const all = Object.entries({ iss: device.did, ...FIELDS }).map(([key, value]): readonly [string, Uint8Array] => [key, raw(value)])
  const changed = all.map(([key, value]): readonly [string, Uint8Array] => over.find(([name]) => name === key) ?? [key, value])
  return changed.sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1))
}
const whole = (payload: Uint8Array, ...more: (readonly [string, Uint8Array])[]): Uint8Array =>
  signedRaw(rawMap(['h', rawBytes(VARSIG_HEADER)], [DLG, payload], ...more))

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
/** The same signature with s + the order of the group: valid under a sloppy verifier, and another token. */
function malleable(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes)
  let s =
    ORDER +
    BigInt(
      `0x${Buffer.from(copy.subarray(3 + 32, 3 + 64))
        .reverse()
        .toString('hex')}`,
    )
  for (let i = 0; i < 32; i++, s >>= 8n) copy[3 + 32 + i] = Number(s & 0xffn)
  return copy
}
function signatureOf(bytes: Uint8Array, signature: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy.set(signature, 3)
  return copy
}
function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

const good = grant(owner, laptop, { pol: [['==', '.exe', 'npm']], meta: { note: 'any' }, nbf: NOW - 10 })
const everybodys = didOfPublicKey(Uint8Array.of(1, ...filled(31, 0)))
const everybodysToken = (() => {
  const body = encode({ h: VARSIG_HEADER, [DLG]: { iss: everybodys, ...FIELDS } })
  return rawList(rawBytes(Uint8Array.of(1, ...filled(63, 0))), body)
})()
const deep = (n: number): unknown => Array.from({ length: n }).reduce((inner) => [inner], 1 as unknown)
const nots = (n: number): unknown => Array.from({ length: n }).reduce((inner) => ['not', inner], ['==', '.a', 1] as unknown)
const P256 = 'did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv'
const RSA =
  'did:key:z4MXj1wBzi9jUstyPMS4jQqB6KdJaiatPkAtVtGc6bQEQEEsKTic4G7Rou3iBf9vPmT5dbkm9qsZsuVNjq8HCuW1w24nhBFGkRE4cd2Uf2tfrB3N7h4mnyPp1BF3ZttHTYv3DLUPi1zMdkULiow3M1GfXkoC6DoxDUm1jmN6GBj22SjVsr6dxezRVQc7aj9TxE7JLbMH1wh5X3kA58H3DFW8rnYMakFGbca5CB2Jf6CnGQZmL7o5uJAdTwXfy2iiiyPxXEGerMhHwhjTA1mKYobyk2CpeEcmvynADfNZ5MBvcCS7m3XkFCMNUYBS9NQ3fze6vMSUPsNa6GVYmKx2x6JrdEjCk3qRMMmyjnjCMfR4pXbRMZa3i'

const spec = (name: string, bytes: Uint8Array, expect: string): TokenCase => ({ name, bytes, expect, by: 'spec' })
const ours = (name: string, bytes: Uint8Array, expect: string): TokenCase => ({ name, bytes, expect, by: 'profile' })

export const TOKEN_CASES: readonly TokenCase[] = [
  spec('a delegation', good.bytes, 'valid'),
  spec('a powerline', grant(owner, laptop, { sub: null }).bytes, 'valid'),
  spec('no expiry', grant(device, owner, { exp: null }).bytes, 'valid'),
  spec('one bit of the signature flipped', flipped(good.bytes, 10), 'BAD_SIGNATURE'),
  spec('one bit of the nonce flipped', of({}).length > 0 ? flipped(good.bytes, good.bytes.length - 1) : good.bytes, 'BAD_SIGNATURE'),
  spec('signed by somebody else, all 64 bytes', forge(mallory, DLG, { ...FIELDS, iss: device.did }), 'BAD_SIGNATURE'),
  spec('the signature of another token of the same issuer', signatureOf(of({}), of({ cmd: '/exec' }).subarray(3, 67)), 'BAD_SIGNATURE'),
  spec('a signature of zeros', signatureOf(of({}), filled(64, 0)), 'BAD_SIGNATURE'),
  spec('a signature of ones', signatureOf(of({}), filled(64, 0xff)), 'BAD_SIGNATURE'),
  spec('s beyond the order of the group', malleable(of({})), 'BAD_SIGNATURE'),
  spec('a signature of 63 bytes', rawList(rawBytes(filled(63, 1)), raw({ h: VARSIG_HEADER, [DLG]: { iss: device.did, ...FIELDS } })), 'BAD_SIGNATURE'),
  ours('an issuer of small order: one signature for every message', everybodysToken, 'BAD_DID'),
  spec('an invocation', invoke(pair()).bytes, 'WRONG_KIND'),
  spec('a release candidate', forge(device, 'ucan/dlg@1.0.0-rc.1', FIELDS), 'WRONG_KIND'),
  spec('a later version', forge(device, 'ucan/dlg@1.1.0', FIELDS), 'WRONG_KIND'),
  spec('header of P-256', forge(device, DLG, FIELDS, Uint8Array.of(0x34, 0x01, 0xec, 0x01, 0x80, 0x24, 0x12, 0x71)), 'BAD_ALGORITHM'),
  spec('header of DAG-JSON', forge(device, DLG, FIELDS, Uint8Array.of(0x34, 0x01, 0xed, 0x01, 0xed, 0x01, 0x13, 0x81, 0x02)), 'BAD_ALGORITHM'),
  spec('an empty header', forge(device, DLG, FIELDS, new Uint8Array()), 'BAD_ALGORITHM'),
  spec('no header', signedRaw(rawMap([DLG, rawMap(...payloadOf())])), 'BAD_ALGORITHM'),
  spec('a second payload', whole(rawMap(...payloadOf()), ['ucan/dlg@1.0.1', rawMap(...payloadOf())]), 'BAD_TOKEN'),
  spec('no payload', signedRaw(rawMap(['h', rawBytes(VARSIG_HEADER)])), 'BAD_TOKEN'),
  spec('a third item', rawList(rawBytes(filled(64, 1)), raw({}), raw(1)), 'BAD_TOKEN'),
  spec('a map instead of the pair', raw({ s: filled(64, 1) }), 'BAD_TOKEN'),
  spec('nothing', new Uint8Array(), 'NOT_CBOR'),
  spec('half of a token', good.bytes.subarray(0, 100), 'NOT_CBOR'),
  spec('a trailing byte', joined(good.bytes, Uint8Array.of(0)), 'NOT_CBOR'),
  spec('two tokens', joined(good.bytes, good.bytes), 'NOT_CBOR'),
  spec('keys in another order', whole(rawMap(...[...payloadOf()].reverse())), 'NOT_CANONICAL'),
  spec(
    'a number in more bytes than it needs',
    whole(rawMap(...payloadOf(['pol', rawList(rawList(rawText('=='), rawText('.a'), head(0, 5, true)))]))),
    'NOT_CBOR',
  ),
  spec('a text whose length takes more bytes than it needs', whole(rawMap(...payloadOf(['cmd', rawText('/exec/run', true)]))), 'NOT_CBOR'),
  spec('a list of open length', whole(rawMap(...payloadOf(['pol', openList()]))), 'NOT_CBOR'),
  spec('a key twice', whole(rawMap(...payloadOf(), ['sub', raw(null)])), 'NOT_CBOR'),
  spec('NaN', whole(rawMap(...payloadOf(['pol', rawList(rawList(rawText('=='), rawText('.a'), rawDouble(Number.NaN)))]))), 'NOT_CBOR'),
  spec('infinity', whole(rawMap(...payloadOf(['exp', rawDouble(Number.POSITIVE_INFINITY)]))), 'NOT_CBOR'),
  spec('a whole number as a half float', whole(rawMap(...payloadOf(['exp', HALF_TWO]))), 'NOT_CANONICAL'),
  ours('a fraction', of({ pol: [['==', '.a', 0.5]] }), 'BAD_VALUE'),
  ours('an integer beyond 53 bits', of({ pol: [['==', '.a', 2n ** 60n]] }), 'BAD_VALUE'),
  spec('undefined', whole(rawMap(...payloadOf(['exp', UNDEFINED]))), 'NOT_CANONICAL'),
  spec('a tag that is not 42', whole(rawMap(...payloadOf(['pol', rawList(joined(head(6, 1), raw(1)))]))), 'NOT_CBOR'),
  spec('an unknown field', of({ scope: 'x' }), 'BAD_TOKEN'),
  spec('a field of an invocation', of({ args: {} }), 'BAD_TOKEN'),
  ...['aud', 'sub', 'cmd', 'pol', 'nonce', 'exp'].map((name) =>
    spec(`no ${name}`, without(name), name === 'nonce' ? 'BAD_NONCE' : ['aud', 'sub'].includes(name) ? 'BAD_DID' : 'BAD_TOKEN'),
  ),
  spec('a DID with a fragment', of({ aud: `${owner.did}#key` }), 'BAD_DID'),
  spec('a DID of another method', of({ aud: 'did:web:example.com' }), 'BAD_DID'),
  ours('an audience with a key of P-256', of({ aud: P256 }), 'BAD_DID'),
  ours('an audience with a key of RSA', of({ aud: RSA }), 'BAD_DID'),
  spec('a DID with one letter changed', of({ aud: `${owner.did.slice(0, -1) + (owner.did.endsWith('1') ? '2' : '1')}1` }), 'BAD_DID'),
  ours('a nonce of 11 bytes', of({ nonce: filled(11, 1) }), 'BAD_NONCE'),
  ours('a nonce of 65 bytes', of({ nonce: filled(65, 1) }), 'BAD_NONCE'),
  spec('a nonce that is text', of({ nonce: 'twelve bytes' }), 'BAD_NONCE'),
  spec('a negative expiry', of({ exp: -1 }), 'BAD_TOKEN'),
  spec('an expiry in words', of({ exp: 'never' }), 'BAD_TOKEN'),
  spec('a command without its slash', of({ cmd: 'exec/run' }), 'BAD_TOKEN'),
  spec('a command with a slash at the end', of({ cmd: '/exec/run/' }), 'BAD_TOKEN'),
  spec('a command with an empty segment', of({ cmd: '/exec//run' }), 'BAD_TOKEN'),
  spec('a command in capitals', of({ cmd: '/Exec/run' }), 'BAD_TOKEN'),
  ours('a command of 129 characters', of({ cmd: `/${'a'.repeat(128)}` }), 'BAD_TOKEN'),
  spec('a policy that is a map', of({ pol: {} }), 'BAD_TOKEN'),
  spec('an unknown operator', of({ pol: [['~', '.a', 1]] }), 'BAD_POLICY'),
  spec('an operator of every object', of({ pol: [['constructor', '.a', 1]] }), 'BAD_POLICY'),
  spec('an operand too few', of({ pol: [['==', '.a']] }), 'BAD_POLICY'),
  spec('an operand too many', of({ pol: [['==', '.a', 1, 2]] }), 'BAD_POLICY'),
  spec('a statement that is text', of({ pol: ['=='] }), 'BAD_POLICY'),
  spec('a selector without its dot', of({ pol: [['==', 'a', 1]] }), 'BAD_POLICY'),
  spec('two dots', of({ pol: [['==', '.a..b', 1]] }), 'BAD_POLICY'),
  spec('a bracket left open', of({ pol: [['==', '.a[0', 1]] }), 'BAD_POLICY'),
  spec('an index in words', of({ pol: [['==', '.a[x]', 1]] }), 'BAD_POLICY'),
  ours('a selector of 257 characters', of({ pol: [['==', `.${'a'.repeat(256)}`, 1]] }), 'BAD_POLICY'),
  ours('a selector of 17 segments', of({ pol: [['==', '.a'.repeat(17), 1]] }), 'BAD_POLICY'),
  ours('a pattern of 1,025 characters', of({ pol: [['like', '.a', 'x'.repeat(1_025)]] }), 'BAD_POLICY'),
  ours('statements 13 deep', of({ pol: [nots(13)] }), 'BAD_POLICY'),
  ours('257 statements', of({ pol: Array(257).fill(['==', '.', 1]) }), 'BAD_POLICY'),
  ours('a value nested 25 deep', of({ pol: [['==', '.a', deep(25)]] }), 'BAD_VALUE'),
  ours('8,193 bytes', of({ meta: { fill: filled(8_193 - of({ meta: { fill: filled(1_000, 0) } }).length + 1_000, 0) } }), 'TOO_LARGE'),
  ours('8,192 bytes', of({ meta: { fill: filled(8_192 - of({ meta: { fill: filled(1_000, 0) } }).length + 1_000, 0) } }), 'valid'),
  spec('given to oneself', grant(carol, carol, { sub: carol.did }).bytes, 'valid'),
]
