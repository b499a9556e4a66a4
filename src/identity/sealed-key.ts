/**
 * A private key under a passphrase: PKCS#8 with PBES2 (RFC 8018), scrypt (RFC 7914) and AES-256-CBC, readable by openssl. OpenSSL opens such files
 * itself; only making them is ours, since node:crypto makes them with PBKDF2 alone. The line above the key says whose it is without opening it.
 */
import { createCipheriv, createPrivateKey, scryptSync } from 'node:crypto'
import { type Did, type Identity, isDid } from './identity.ts'
import { fromPem } from './keyfile.ts'

/** 16 MiB and five passes: what OWASP asks for, within the 32 MiB that OpenSSL opens. */
const SCRYPT = { N: 16_384, r: 8, p: 5 } as const
const KEY_BYTES = 32
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex') // RFC 8410
const OID = { pbes2: '2a864886f70d01050d', scrypt: '2b06010401da47040b', aes256cbc: '60864801650304012a' } as const
const OPENING = '-----BEGIN ENCRYPTED PRIVATE KEY-----'
const ABOVE = 'errand owner '

/** @param random 16 fresh bytes of salt, then 16 of IV. */
export function sealedPem(identity: Identity, passphrase: string, random: Uint8Array): string {
  const [salt, iv] = [random.subarray(0, 16), random.subarray(16, 32)]
  const { N, r, p } = SCRYPT
  const key = scryptSync(passphrase.normalize('NFC'), salt, KEY_BYTES, { N, r, p, maxmem: 64 * 1024 * 1024 })
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const sealed = Buffer.concat([cipher.update(Buffer.concat([PKCS8_PREFIX, identity.seed])), cipher.final()])
  const kdf = der(0x30, oid(OID.scrypt), der(0x30, der(0x04, salt), count(N), count(r), count(p)))
  const scheme = der(0x30, oid(OID.aes256cbc), der(0x04, iv))
  const whole = der(0x30, der(0x30, oid(OID.pbes2), der(0x30, kdf, scheme)), der(0x04, sealed))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return `${ABOVE}${identity.did}\n${OPENING}\n${lines.join('\n')}\n-----END ENCRYPTED PRIVATE KEY-----\n`
}

/** Whose key this is, if it is one under a passphrase. */
export function sealedDid(pem: string): Did | undefined {
  const [above = '', opening] = pem.split('\n')
  const did = above.slice(ABOVE.length)
  return opening === OPENING && above.startsWith(ABOVE) && isDid(did) ? did : undefined
}

/** @returns undefined with a passphrase that does not open it. */
export function openSealed(pem: string, passphrase: string): Identity | undefined {
  try {
    const plain = createPrivateKey({ key: pem.slice(pem.indexOf(OPENING)), format: 'pem', passphrase: passphrase.normalize('NFC') }).export({
      format: 'pem',
      type: 'pkcs8',
    })
    const identity = fromPem(plain.toString())
    return identity.did === sealedDid(pem) ? identity : undefined
  } catch {
    return undefined
  }
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length = body.length < 128 ? [body.length] : [0x81, body.length]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

/** Of the numbers here none begins with a set bit. */
function count(value: number): Buffer {
  const hex = value.toString(16)
  return der(0x02, Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
}
