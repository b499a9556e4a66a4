/** The card of somebody who is to become an owner: a DID and proof that somebody has its key. Public; made for one mesh. */
import { DOMAIN, signingInput } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import { asDid, type Did, type Identity, isDid, verifySignature } from '../identity/identity.ts'

const PREFIX = 'owner1'

export function cardOf(identity: Identity, mesh: Uint8Array): string {
  const signature = identity.sign(signingInput(DOMAIN.ownerCard, mesh, Buffer.from(identity.did)))
  return [PREFIX, identity.did.slice('did:key:'.length), Buffer.from(signature).toString('base64url')].join('.')
}

/** @throws BAD_CARD: nobody becomes an owner with a key that nobody has. */
export function readCard(text: string, mesh: Uint8Array): Did {
  const [prefix, key = '', signature = '', ...more] = text.trim().split('.')
  const did = `did:key:${key}`
  const isWhole = prefix === PREFIX && more.length === 0 && isDid(did)
  if (isWhole && verifySignature(did, signingInput(DOMAIN.ownerCard, mesh, Buffer.from(did)), new Uint8Array(Buffer.from(signature, 'base64url'))))
    return asDid(did)
  throw new ErrandError('BAD_CARD', 'this is no card of an owner-to-be of this mesh', {
    hint: 'make one on a device of theirs that is in this mesh: errand owner new',
  })
}
