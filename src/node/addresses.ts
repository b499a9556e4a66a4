/** What an address is good for. */

/** True for an address that only this machine can dial. */
export function isLoopback(address: string): boolean {
  return /^\/ip4\/127\.|^\/ip6\/::1\//.test(address)
}

/** Addresses for an invite: without the PeerId, those of the network first, loopback only when there is nothing else. */
export function dialable(addresses: readonly string[]): string[] {
  const plain = addresses.map((address) => address.replace(/\/p2p\/[^/]+$/, ''))
  const outside = plain.filter((address) => !isLoopback(address))
  return outside.length > 0 ? outside : plain
}

/**
 * Where a second door may be opened for a caller: on the address that it came to, never on one where this node does not listen.
 * @param caller a multiaddr, or anything else for this device itself. @returns an IP address; null when there is no such place.
 */
export function besideDoor(caller: string, listening: readonly string[]): string | null {
  if (!caller.startsWith('/')) return '127.0.0.1'
  const [, family, host = ''] = caller.split('/')
  if (caller.includes('/p2p-circuit')) return null
  if (family === 'ip4' && host.startsWith('127.')) return '127.0.0.1'
  if (family === 'ip6' && host === '::1') return '::1'
  const own = listening.map((address) => address.split('/')).filter((parts) => parts[1] === family && !isLoopback(parts.join('/')))
  return own[0]?.[2] ?? null
}
