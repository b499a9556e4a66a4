/** Signed records: seal a value for one domain and one mesh, open it again or say why not. */
import type * as v from 'valibot'
import { type Domain, decodeAs, Envelope, encode, MAX_ENVELOPE_BYTES, signingInput } from '../../protocols/wire.ts'
import { asDid, type Did, type Identity, verifySignature } from './identity.ts'

export interface Opened<T> {
  readonly value: T
  readonly by: Did
}

export function seal(identity: Identity, domain: Domain, mesh: Uint8Array, value: unknown): Uint8Array {
  const payload = encode(value)
  return encode([1, payload, identity.did, identity.sign(signingInput(domain, mesh, payload))])
}

/**
 * Verifies the bytes as received, then decodes the payload.
 * @throws BadBytes when the form is wrong; BadSignature when the signature does not hold for this domain and mesh.
 */
export function open<S extends v.GenericSchema>(schema: S, domain: Domain, mesh: Uint8Array, bytes: Uint8Array): Opened<v.InferOutput<S>> {
  const [, payload, by, signature] = decodeAs(Envelope, bytes, MAX_ENVELOPE_BYTES)
  if (!verifySignature(by, signingInput(domain, mesh, payload), signature)) throw new BadSignature(by, domain)
  return { value: decodeAs(schema, payload, payload.length), by: asDid(by) }
}

export class BadSignature extends Error {
  constructor(by: string, domain: string) {
    super(`the signature of ${by} does not hold for "${domain}"`)
    this.name = 'BadSignature'
  }
}
