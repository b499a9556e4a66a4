import { createPrivateKey, createPublicKey, verify } from 'node:crypto'
import * as fc from 'fast-check'
import { base58btc } from 'multiformats/bases/base58'
import { expect, test } from 'vitest'
import { DOMAIN, Text } from '../../../protocols/wire.ts'
import { open, seal } from '../../../src/identity/envelope.ts'
import { asDid, didOfPeerId, didOfPublicKey, Identity, isDid, peerIdOf, publicKeyOf, verifySignature } from '../../../src/identity/identity.ts'
import { fromPem, toPem } from '../../../src/identity/keyfile.ts'

const seed = fc.uint8Array({ minLength: 32, maxLength: 32 })
const MESH = new Uint8Array(32).fill(7)

test('key, DID and PeerId are three names of one thing', async () => {
  await fc.assert(
    fc.property(seed, (bytes) => {
      const identity = new Identity(bytes)
      expect(didOfPeerId(identity.peerId)).toBe(identity.did)
      expect(peerIdOf(identity.did)).toBe(identity.peerId)
      expect(asDid(identity.did)).toBe(identity.did)
      expect(identity.peerId).toMatch(/^12D3KooW/)
    }),
    { numRuns: 50 },
  )
})

test('the names are those that others give the same key (RFC 8032 test 1, W3C did:key)', () => {
  const identity = new Identity(Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex'))
  expect(Buffer.from(publicKeyOf(identity.did)).toString('hex')).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
  expect(Buffer.from(identity.sign(new Uint8Array())).toString('hex')).toMatch(/^e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155/)
})

test('a key file is read back, and openssl’s form is ours', async () => {
  await fc.assert(
    fc.property(seed, (bytes) => {
      const identity = new Identity(bytes)
      const pem = toPem(identity)
      expect(fromPem(pem).did).toBe(identity.did)
      const signed = identity.sign(MESH)
      expect(verify(null, MESH, createPublicKey(createPrivateKey(pem)), signed)).toBe(true)
    }),
    { numRuns: 20 },
  )
  expect(() => fromPem('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n')).toThrow()
})

test.each([
  ['a fragment', (did: string) => `${did}#key`],
  ['another method', (did: string) => did.replace('did:key', 'did:web')],
  ['a character too few', (did: string) => did.slice(0, -1)],
  ['another kind of key', () => `did:key:${base58btc.encode(Buffer.concat([Uint8Array.of(0xe7, 0x01), new Uint8Array(33)]))}`],
  ['nothing', () => ''],
])('%s is no DID of ours', (_name, change) => {
  const text = change(new Identity(MESH).did)
  expect(isDid(text)).toBe(false)
  expect(() => asDid(text)).toThrow(TypeError)
})

const spelled = (bytes: readonly number[], length: number): string => base58btc.encode(Uint8Array.from({ length }, (_, i) => bytes[i] ?? i))

test.each([
  ['with a byte too many', [0xed, 0x01], 35],
  ['with a byte too few', [0xed, 0x01], 33],
  ['for agreeing on keys', [0xec, 0x01], 34],
  ['of another code that begins alike', [0xed, 0x02], 34],
])('a key %s has no DID of ours', (_name, code, length) => {
  const text = `did:key:${spelled(code, length)}`
  expect(() => publicKeyOf(text)).toThrow(TypeError)
  expect(isDid(text)).toBe(false)
})

test.each([
  ['with a byte too many', [0, 0x24, 8, 1, 0x12, 0x20], 39],
  ['with a byte too few', [0, 0x24, 8, 1, 0x12, 0x20], 37],
  ['of another kind', [0, 0x24, 8, 2, 0x12, 0x20], 38],
])('a key %s has no PeerId of ours', (_name, prefix, length) => {
  expect(() => didOfPeerId(spelled(prefix, length).slice(1))).toThrow(/not the PeerId of an Ed25519 key/)
})

test('a seed has 32 bytes, no fewer and no more', () => {
  for (const length of [0, 31, 33, 64]) expect(() => new Identity(new Uint8Array(length))).toThrow(`32 bytes, not ${length}`)
})

test('only PeerIds of Ed25519 keys are read', () => {
  for (const text of ['', 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG', `${new Identity(MESH).peerId}1`]) expect(() => didOfPeerId(text)).toThrow(TypeError)
})

test('a signature holds for its bytes and its key, and malformed ones are false, not thrown', () => {
  const [a, b] = [new Identity(MESH), new Identity(new Uint8Array(32))]
  const signature = a.sign(Uint8Array.of(1, 2))
  expect(verifySignature(a.did, Uint8Array.of(1, 2), signature)).toBe(true)
  expect(verifySignature(a.did, Uint8Array.of(1, 3), signature)).toBe(false)
  expect(verifySignature(b.did, Uint8Array.of(1, 2), signature)).toBe(false)
  expect(verifySignature('did:key:z6Mk', Uint8Array.of(1, 2), signature)).toBe(false)
  for (const length of [0, 1, 32, 63, 65, 128])
    expect(verifySignature(a.did, Uint8Array.of(1, 2), Buffer.concat([signature, signature]).subarray(0, length)), `${length} bytes`).toBe(false)
})

test('a sealed thing opens in its own domain and mesh, and nowhere else; any changed byte is noticed', () => {
  const identity = new Identity(MESH)
  const bytes = seal(identity, DOMAIN.address, MESH, 'here')
  expect(open(Text(9), DOMAIN.address, MESH, bytes)).toEqual({ value: 'here', by: identity.did })
  for (const domain of Object.values(DOMAIN).filter((one) => one !== DOMAIN.address)) expect(() => open(Text(9), domain, MESH, bytes)).toThrow()
  expect(() => open(Text(9), DOMAIN.address, new Uint8Array(32), bytes)).toThrow()
  for (let at = 0; at < bytes.length; at++) {
    const changed = Uint8Array.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    expect(() => open(Text(9), DOMAIN.address, MESH, changed)).toThrow()
  }
})

const tail = (first: string, last: string): string => `${first}${'ff'.repeat(30)}${last}`
test.each([
  `01${'00'.repeat(31)}`,
  '00'.repeat(32),
  `${'00'.repeat(31)}80`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  tail('ec', '7f'),
  tail('ed', 'ff'),
  tail('ee', '7f'),
])('a key for which anybody can sign is no identity: %s', (hex) => {
  const raw = Buffer.from(hex, 'hex')
  const did = didOfPublicKey(raw)
  expect(isDid(did)).toBe(false)
  const forAll = Buffer.concat([Buffer.from(`01${'00'.repeat(31)}`, 'hex'), Buffer.alloc(32)])
  const fitting = Array.from({ length: 64 }, (_, n) => verifySignature(did, Buffer.from(`message ${n}`), forAll)).filter(Boolean)
  expect(fitting).toEqual([])
  const peerId = base58btc.encode(Buffer.concat([Buffer.from('002408011220', 'hex'), raw])).slice(1)
  expect(() => didOfPeerId(peerId)).toThrow(TypeError)
})
