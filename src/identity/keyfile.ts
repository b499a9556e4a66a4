/** Ed25519 keys as PKCS#8 PEM files (RFC 8410), readable by openssl; parsing and spelling only, no disk. */
import { createPrivateKey } from 'node:crypto'
import { Identity } from './identity.ts'

const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

export function toPem(identity: Identity): string {
  const der = Buffer.concat([PKCS8_PREFIX, identity.seed]).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`
}

/** @throws TypeError when this is no Ed25519 private key. */
export function fromPem(pem: string): Identity {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError(`an Ed25519 key is needed, this is ${key.asymmetricKeyType ?? 'something else'}`)
  return new Identity(new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_PREFIX.length)))
}
