import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TOKEN_LIMITS, VARSIG_HEADER } from '../../../protocols/authority/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { decodeDelegation, decodeInvocation, linkTo, signDelegation, signInvocation, TokenError } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { device, EXEC_ARGS, grant, HOUR, invoke, laptop, mallory, NOW, nonce, owner } from './world.ts'

const FIELDS = { aud: owner.did, sub: device.did, cmd: '/exec/run', pol: [], exp: NOW + HOUR, nonce: nonce() }
const INVOCATION = { sub: device.did, cmd: '/exec/run', args: EXEC_ARGS, prf: [], exp: NOW, nonce: nonce() }

/** A correctly signed token with any content: a test of the form, not of the signature. */
function forge(
  by: Identity,
  payload: object,
  { tag = 'ucan/dlg@1.0.0', h = VARSIG_HEADER, more = {} }: { tag?: string; h?: Uint8Array; more?: object } = {},
): Uint8Array {
  const signed = { h, [tag]: { iss: by.did, ...payload }, ...more }
  return encode([by.sign(encode(signed)), signed])
}

function codeOf(decode: () => unknown): string {
  try {
    decode()
    return 'accepted'
  } catch (thrown) {
    return thrown instanceof TokenError ? thrown.code : String(thrown)
  }
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('a delegation comes back as it was signed, and is found by its CID', () => {
  const fields = { ...FIELDS, nbf: NOW, meta: { note: 'x' }, pol: [['==', '.exe', 'git']] as const }
  const token = signDelegation(device, fields)
  expect(decodeDelegation(token.bytes)).toEqual({ ...fields, iss: device.did, cid: token.cid, bytes: token.bytes })
  expect(token.cid).toMatch(/^bafyrei[a-z2-7]{52}$/)
})

test('an invocation comes back as it was signed', () => {
  const prf = [grant(device, owner).cid]
  const token = signInvocation(laptop, { ...INVOCATION, prf, aud: device.did, iat: NOW, cause: prf[0] ?? '' })
  expect(decodeInvocation(token.bytes)).toEqual(token)
  expect(token.prf).toEqual(prf)
})

test('what is decoded shares no bytes with what was received', () => {
  const { bytes } = invoke(laptop, [])
  const received = new Uint8Array(bytes)
  const token = decodeInvocation(received)
  const before = { bytes: new Uint8Array(token.bytes), nonce: new Uint8Array(token.nonce) }
  received.fill(0)
  expect(token).toMatchObject(before)
})

test('every flipped bit is found', () => {
  const { bytes } = signDelegation(device, { ...FIELDS, pol: [['==', '.exe', 'git']] })
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = new Uint8Array(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(codeOf(() => decodeDelegation(flipped))).not.toBe('accepted')
  }
})

test('somebody else’s 64-byte signature does not hold', () => {
  const signed = { h: VARSIG_HEADER, 'ucan/dlg@1.0.0': { ...FIELDS, iss: device.did } }
  for (const signature of [mallory.sign(encode(signed)), new Uint8Array(64), new Uint8Array(64).fill(255)]) {
    expect(codeOf(() => decodeDelegation(encode([signature, signed])))).toBe('BAD_SIGNATURE')
  }
})

test('a signature of another length, or the malleable twin of a true one, does not hold', () => {
  const { bytes } = grant(device, owner)
  const signed = bytes.subarray(67)
  const signature = bytes.subarray(3, 67)
  const wrap = (sig: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0x82), encode(sig), signed])
  expect(codeOf(() => decodeDelegation(wrap(signature)))).toBe('accepted')
  for (const sig of [signature.subarray(0, 63), Buffer.concat([signature, Uint8Array.of(0)]), Uint8Array.of(1, 2, 3), new Uint8Array(0)]) {
    expect(codeOf(() => decodeDelegation(wrap(sig)))).toBe('BAD_SIGNATURE')
  }
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const s = BigInt(`0x${hexOf(signature.subarray(32).slice().reverse())}`) + order
  const twin = Buffer.concat([signature.subarray(0, 32), bytesOf(s.toString(16).padStart(64, '0')).reverse()])
  expect(codeOf(() => decodeDelegation(wrap(twin)))).toBe('BAD_SIGNATURE')
})

test('a delegation is no invocation, and the other way round', () => {
  expect(codeOf(() => decodeInvocation(grant(device, owner).bytes))).toBe('WRONG_KIND')
  expect(codeOf(() => decodeDelegation(invoke(laptop, []).bytes))).toBe('WRONG_KIND')
})

test.each(['ucan/dlg@1.0.0-rc.1', 'ucan/dlg@1.0.1', 'ucan/dlg@2.0.0', 'ucan/dlg', 'dlg@1.0.0'])('the version tag %s is unknown', (tag) => {
  expect(codeOf(() => decodeDelegation(forge(device, FIELDS, { tag })))).toBe('WRONG_KIND')
})

test.each([
  ['RS256', '3401850124011371'],
  ['P-256', '3401ec01802412 71'.replace(' ', '')],
  ['EdDSA over DAG-JSON', '3401ed01ed0113a902'],
  ['EdDSA over raw', '3401ed01ed011355'],
  ['Ed448', '3401ed01834019 71'.replace(' ', '')],
  ['nothing', ''],
  ['a byte more', '3401ed01ed01137100'],
])('the algorithm %s is refused', (_, h) => expect(codeOf(() => decodeDelegation(forge(device, FIELDS, { h: bytesOf(h) })))).toBe('BAD_ALGORITHM'))

test.each([
  ['an unknown field of the envelope', { more: { x: 1 } }],
  ['a second payload', { more: { 'ucan/inv@1.0.0': {} } }],
  ['a key of the prototype in the envelope', { more: Object.fromEntries([['constructor', 1]]) }],
])('refused: %s', (_, forging) => expect(codeOf(() => decodeDelegation(forge(device, FIELDS, forging)))).toBe('BAD_TOKEN'))

const did = (text: string): object => ({ ...FIELDS, aud: text })
test.each<[string, object, string]>([
  ['an unknown field', { ...FIELDS, scope: 'x' }, 'BAD_TOKEN'],
  ['a field named constructor', { ...FIELDS, constructor: 1 }, 'BAD_TOKEN'],
  ['prf in a delegation', { ...FIELDS, prf: [] }, 'BAD_TOKEN'],
  ['no expiry field', { aud: owner.did, sub: device.did, cmd: '/exec/run', pol: [], nonce: nonce() }, 'BAD_TOKEN'],
  ['no subject field', { aud: owner.did, cmd: '/exec/run', pol: [], exp: null, nonce: nonce() }, 'BAD_DID'],
  ['an expiry that is text', { ...FIELDS, exp: '1' }, 'BAD_TOKEN'],
  ['an expiry below zero', { ...FIELDS, exp: -1 }, 'BAD_TOKEN'],
  ['a start that is null', { ...FIELDS, nbf: null }, 'BAD_TOKEN'],
  ['a float in the payload', { ...FIELDS, exp: 1.5 }, 'BAD_VALUE'],
  ['a float deep in a policy', { ...FIELDS, pol: [['==', '.a', [{ b: 0.1 }]]] }, 'BAD_VALUE'],
  ['an integer beyond 53 bits', { ...FIELDS, meta: { n: 2n ** 60n } }, 'BAD_VALUE'],
  ['meta that is a list', { ...FIELDS, meta: [] }, 'BAD_TOKEN'],
  [
    'meta nested without end',
    {
      ...FIELDS,
      meta: {
        a: Array(40)
          .fill(0)
          .reduce((inner: unknown) => [inner], 1),
      },
    },
    'BAD_VALUE',
  ],
  ['a nonce of 11 bytes', { ...FIELDS, nonce: new Uint8Array(11) }, 'BAD_NONCE'],
  ['a nonce that is text', { ...FIELDS, nonce: 'a'.repeat(16) }, 'BAD_NONCE'],
  ['a DID with a fragment', did(`${owner.did}#${owner.did.slice(8)}`), 'BAD_DID'],
  ['a DID with a query', did(`${owner.did}?x=1`), 'BAD_DID'],
  ['a DID in upper case', did(owner.did.toUpperCase()), 'BAD_DID'],
  [
    'an RSA DID',
    did(
      'did:key:z4MXj1wBzi9jUstyPMS4jQqB6KdJaiatPkAtVtGc6bQEQEEsKTic4G7Rou3iBf9vPmT5dbkm9qsZsuVNjq8HCuW1w24nhBFGkRE4cd2Uf2tfrB3N7h4mnyPp1BF3ZttHTYv3DLUPi1zMdkULiow3M1GfXkoC6DoxDUm1jmN6GBj22SjVsr6dxezRVQc7aj9TxE7JLbMH1wh5X3kA58H3DFW8rnYMakFGbca5CB2Jf6CnGQZmL7o5uJAdTwXfy2iiiyPxXEGerMhHwhjTA1mKYobyk2CpeEcmvynADfNZ5MBvcCS7m3XkFCMNUYBS9NQ3fze6vMSUPsNa6GVYmKx2x6JrdEjCk3qRMMmyjnjCMfR4pXbRMZa3i',
    ),
    'BAD_DID',
  ],
  ['a P-256 DID', did('did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv'), 'BAD_DID'],
  ['an X25519 DID', did('did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc'), 'BAD_DID'],
  ['a DID one character short', did(owner.did.slice(0, -1)), 'BAD_DID'],
  ['did:web', did('did:web:example.com'), 'BAD_DID'],
  ['a command without a slash', { ...FIELDS, cmd: 'exec/run' }, 'BAD_TOKEN'],
  ['a command that ends in a slash', { ...FIELDS, cmd: '/exec/' }, 'BAD_TOKEN'],
  ['a command with an empty segment', { ...FIELDS, cmd: '/exec//run' }, 'BAD_TOKEN'],
  ['a command in upper case', { ...FIELDS, cmd: '/Exec/run' }, 'BAD_TOKEN'],
  ['a command with a line behind', { ...FIELDS, cmd: '/exec/run\n' }, 'BAD_TOKEN'],
  ['a policy that is none', { ...FIELDS, pol: [['===', '.a', 1]] }, 'BAD_POLICY'],
  [
    'a policy too deep',
    {
      ...FIELDS,
      pol: [
        Array(14)
          .fill(0)
          .reduce((inner: unknown) => ['not', inner], ['==', '.a', 1]),
      ],
    },
    'BAD_POLICY',
  ],
])('refused: %s', (_, payload, code) => {
  expect(codeOf(() => decodeDelegation(forge(device, payload)))).toBe(code)
})

test.each<[string, (hex: string) => string, string]>([
  ['trailing bytes', (hex) => `${hex}00`, 'NOT_CBOR'],
  ['a second token behind', (hex) => hex + hex, 'NOT_CBOR'],
  ['a list of unknown length', (hex) => `9f${hex.slice(2)}ff`, 'NOT_CBOR'],
  ['a longer head than needed', (hex) => `9802${hex.slice(2)}`, 'NOT_CBOR'],
  ['a tag around it', (hex) => `d9d9f7${hex}`, 'NOT_CBOR'],
  ['a third item', (hex) => `83${hex.slice(2)}00`, 'BAD_TOKEN'],
])('refused: %s', (_, change, code) => expect(codeOf(() => decodeDelegation(bytesOf(change(hexOf(grant(device, owner).bytes)))))).toBe(code))

/** Signs hand-made CBOR: only the form is wrong. */
function signedHex(payloadHex: string): Uint8Array {
  const body = bytesOf(`a26168${hexOf(encode(VARSIG_HEADER))}${hexOf(encode('ucan/dlg@1.0.0'))}${payloadHex}`)
  return Buffer.concat([Uint8Array.of(0x82), encode(device.sign(body)), body])
}
const payloadHex = (fields: object): string => hexOf(encode({ iss: device.did, ...fields }))

test('forms that another decoder would read differently are refused although they are signed', () => {
  const plain = payloadHex(FIELDS)
  expect(codeOf(() => decodeDelegation(signedHex(plain)))).toBe('accepted')
  const withMeta = payloadHex({ ...FIELDS, meta: { aa: 1, bb: 2 } })
  const swap = (from: string, to: string): string => codeOf(() => decodeDelegation(signedHex(withMeta.replace(from, to))))
  expect(swap('a262616101626262' + '02', 'a262616101626262' + '02')).toBe('accepted')
  expect(swap('a26261610162626202', 'a26262620262616101')).toBe('NOT_CANONICAL') // keys out of order
  expect(swap('a26261610162626202', 'a26261610162616102')).toBe('NOT_CBOR') // a key twice
  expect(swap('a26261610162626202', 'a2626161180162626202')).toBe('NOT_CBOR') // a one in two bytes
  expect(swap('a26261610162626202', 'a262616101626262fb4000000000000000')).toBe('NOT_CANONICAL') // 2.0
  expect(swap('a26261610162626202', 'a262616101626262f93c00')).toBe('NOT_CANONICAL') // a short float
  expect(swap('a26261610162626202', 'a262616101626262fb7ff8000000000000')).toBe('NOT_CBOR') // NaN
  expect(swap('a26261610162626202', 'a262616101626262f7')).toBe('NOT_CANONICAL') // undefined
  expect(swap('a26261610162626202', 'a262616101626262' + '62c328')).toBe('NOT_CANONICAL') // broken UTF-8
})

test('size is refused before anything is decoded', () => {
  expect(codeOf(() => decodeDelegation(new Uint8Array(TOKEN_LIMITS.delegationBytes + 1)))).toBe('TOO_LARGE')
  expect(codeOf(() => decodeInvocation(new Uint8Array(TOKEN_LIMITS.invocationBytes + 1)))).toBe('TOO_LARGE')
  expect(codeOf(() => signDelegation(device, { ...FIELDS, meta: { x: 'x'.repeat(8_192) } }))).toBe('TOO_LARGE')
})

test('links of another kind are no proofs', () => {
  for (const link of ['bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG', 'bafyaaaa'].map(
    (text) => (text === 'bafyaaaa' ? 'text' : linkTo(text)),
  )) {
    expect(codeOf(() => decodeInvocation(forge(laptop, { ...INVOCATION, prf: [link] }, { tag: 'ucan/inv@1.0.0' })))).toBe('BAD_TOKEN')
  }
})

test('random bytes never do anything but fail', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(codeOf(() => decodeDelegation(bytes))).toMatch(/^[A-Z_]+$/)
      expect(codeOf(() => decodeInvocation(bytes))).toMatch(/^[A-Z_]+$/)
    }),
    { numRuns: 1_000 },
  )
  expect(codeOf(() => decodeInvocation(new Uint8Array(65_536).fill(0x81)))).toBe('NOT_CBOR')
})

test('a list of arguments nobody closed is still a map', () => {
  for (const args of [[], 'x', null, nonce()])
    expect(codeOf(() => decodeInvocation(forge(laptop, { ...INVOCATION, args }, { tag: 'ucan/inv@1.0.0' })))).toBe('BAD_TOKEN')
})
