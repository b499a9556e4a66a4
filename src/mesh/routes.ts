/** Addresses as they are dialled and said. */
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { DOMAIN } from '../../protocols/wire.ts'
import { ErrandError } from '../base/errors.ts'
import { seal } from '../identity/envelope.ts'
import { type Identity, isDid } from '../identity/identity.ts'

/** Without the peer: where it is, whoever it is. */
export function placeOf(address: Multiaddr): string {
  return address.toString().replace(/\/p2p\/.*$/, '')
}

export function withPeer(address: string, peerId: string): Multiaddr {
  return multiaddr(address.includes('/p2p/') ? address : `${address}/p2p/${peerId}`)
}

export function noRoute(name: string, tried: readonly string[]): ErrandError {
  const detail = tried.length === 0 ? 'no address of it is known' : `tried ${[...new Set(tried)].slice(0, 6).join(', ')}`
  return new ErrandError('NO_ROUTE', `cannot reach ${isDid(name) ? name : `"${name}"`}: ${detail}`, {
    hint: 'is it up and on a network that this device reaches? see: errand devices',
    retryable: true,
    fields: { tried: [...new Set(tried)] },
  })
}

/** Where a device listens, as it tells the others. */
export function addressRecord(
  { identity, meshId }: { readonly identity: Identity; readonly meshId: Uint8Array },
  addresses: readonly string[],
  seq: number,
): Uint8Array {
  const addrs = addresses.map((address) => address.replace(/\/p2p\/[^/]+$/, '')).slice(0, 16)
  return seal(identity, DOMAIN.address, meshId, { v: 1, device: identity.did, seq, addrs })
}
