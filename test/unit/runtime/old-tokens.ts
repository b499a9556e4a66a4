/** UCAN 0.8 tokens as programs make them: with the library `ucans` itself, and by hand where it would not make them. */
import { createRequire } from 'node:module'
import type * as Ucans from 'ucans'
import type { Identity } from '../../../src/identity/identity.ts'

/** Its ES modules do not load on Node 20; its CommonJS does. */
export const ucans: typeof Ucans = createRequire(import.meta.url)('ucans')

export interface Wish {
  readonly from: Identity
  readonly to: Identity
  readonly att: readonly { readonly with: string; readonly can: string }[]
  readonly exp: number
  readonly nbf?: number
  readonly proofs?: readonly string[]
}

/** As `ucans.build` and `ucans.encode` make it. */
export async function built({ from, to, att, exp, nbf, proofs = [] }: Wish): Promise<string> {
  const payload = ucans.buildPayload({
    ...{ issuer: from.did, audience: to.did, expiration: exp, proofs: [...proofs], capabilities: att.map((one) => ucans.capability.parse(one)) },
    ...(nbf === undefined ? {} : { notBefore: nbf }),
  })
  return ucans.encode(await ucans.sign(payload, 'ed25519', (bytes) => Promise.resolve(from.sign(bytes))))
}

const part = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

export interface Forgery {
  readonly by: Identity
  readonly header?: object
  readonly payload: object | string
  readonly signature?: string
}

/** Any header and payload, rightly signed unless a signature is given. */
export function forged({ by, header = { alg: 'EdDSA', typ: 'JWT', ucv: '0.8.1' }, payload, signature }: Forgery): string {
  const signed = `${part(header)}.${part(payload)}`
  return `${signed}.${signature ?? Buffer.from(by.sign(Buffer.from(signed))).toString('base64url')}`
}
