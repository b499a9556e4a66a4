/**
 * Ed25519 keys as the three names the field has for them: a key pair, a `did:key`, a libp2p PeerId. Lossless both ways.
 * Signing and verifying go through node:crypto with cached key objects; no primitive of our own.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { base58btc } from 'multiformats/bases/base58'

export type Did = string & { readonly __brand: 'Did' }
export type PeerIdText = string & { readonly __brand: 'PeerIdText' }

const ED25519_DID_PREFIX = Uint8Array.of(0xed, 0x01) // multicodec ed25519-pub as a varint
const ED25519_PEER_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20) // identity multihash of the protobuf public key
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex') // RFC 8410
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex') // RFC 8410
/**
 * The points of small order, without their sign bit, hex: 0, 1, the two of order 8, p−1, p, p+1. OpenSSL takes them as keys, and then one
 * signature fits every message: such a key is everybody's. The list is that of libsodium.
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
])
const MAX_CACHED_KEYS = 4_096

export class Identity {
  readonly did: Did
  readonly peerId: PeerIdText
  readonly #key: KeyObject

  /** @param seed the 32 bytes of an Ed25519 private key (RFC 8032). */
  constructor(readonly seed: Uint8Array) {
    if (seed.length !== 32) throw new TypeError(`an Ed25519 seed has 32 bytes, not ${seed.length}`)
    this.#key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
    const raw = createPublicKey(this.#key).export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length)
    this.did = didOfPublicKey(raw)
    this.peerId = peerIdOf(this.did)
  }

  sign(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, bytes, this.#key))
  }
}

/** Texts whose whole form was checked: the same few devices are named many times in every command. */
const checked = new Set<string>()

/** Branding for a DID that is known to be one; checks the whole form. @throws TypeError */
export function asDid(text: string): Did {
  if (!checked.has(text)) {
    publicKeyOf(text)
    if (checked.size >= MAX_CACHED_KEYS) checked.clear()
    checked.add(text)
  }
  return text as Did
}

export function isDid(text: string): text is Did {
  try {
    asDid(text)
    return true
  } catch {
    return false
  }
}

export function didOfPublicKey(raw: Uint8Array): Did {
  return `did:key:${base58btc.encode(Buffer.concat([ED25519_DID_PREFIX, raw]))}` as Did
}

/** The 32 raw bytes of the public key. @throws TypeError unless this is a plain Ed25519 did:key without a fragment. */
export function publicKeyOf(did: string): Uint8Array {
  const raw = did.length <= 64 && did.startsWith('did:key:z') ? tryBase58(did.slice('did:key:'.length)) : undefined
  if (raw?.length !== 34 || raw[0] !== 0xed || raw[1] !== 0x01 || isSmallOrder(raw.subarray(2)))
    throw new TypeError(`not an Ed25519 did:key: ${did.slice(0, 80)}`)
  return raw.subarray(2)
}

export function peerIdOf(did: Did): PeerIdText {
  return base58btc.encode(Buffer.concat([ED25519_PEER_PREFIX, publicKeyOf(did)])).slice(1) as PeerIdText
}

/** @throws TypeError unless this is the PeerId of an Ed25519 key that one holder can have. */
export function didOfPeerId(peerId: string): Did {
  const raw = peerId.length <= 64 ? tryBase58(`z${peerId}`) : undefined
  if (raw?.length !== 38 || Buffer.compare(raw.subarray(0, 6), ED25519_PEER_PREFIX) !== 0 || isSmallOrder(raw.subarray(6))) {
    throw new TypeError(`not the PeerId of an Ed25519 key: ${peerId.slice(0, 80)}`)
  }
  return didOfPublicKey(raw.subarray(ED25519_PEER_PREFIX.length))
}

const keys = new Map<string, KeyObject>()

/** True when `signature` over `bytes` was made by the key that `did` names. Malformed input is false, never a throw. */
export function verifySignature(did: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  let key = keys.get(did)
  if (key === undefined) {
    try {
      key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKeyOf(did)]), format: 'der', type: 'spki' })
    } catch {
      return false
    }
    if (keys.size >= MAX_CACHED_KEYS) keys.clear()
    keys.set(did, key)
  }
  return verify(null, bytes, key, signature)
}

function isSmallOrder(raw: Uint8Array): boolean {
  const bare = Buffer.from(raw)
  bare[31] = (bare[31] ?? 0) & 0x7f
  return SMALL_ORDER.has(bare.toString('hex'))
}

function tryBase58(text: string): Uint8Array | undefined {
  try {
    return base58btc.decode(text)
  } catch {
    return undefined
  }
}
