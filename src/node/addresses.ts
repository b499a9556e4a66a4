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
