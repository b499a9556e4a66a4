/** Who has not heard of a revocation, and when the last of the grants dies there by itself. */
import type { RevokeView } from '../../protocols/local/messages.ts'
import type { Delegation } from '../authority/token.ts'
import type { Did } from '../identity/identity.ts'
import type { Directory } from '../registry/directory.ts'

interface Known {
  readonly directory: Directory
  readonly self: Did
}

export function unreached(links: readonly Delegation[], acknowledged: readonly Did[], { directory, self }: Known): RevokeView['unreachable'] {
  const latest = links.some((link) => link.exp === null) ? null : Math.max(...links.map((link) => link.exp ?? 0))
  const expiresAt = latest === null ? null : new Date(latest * 1_000).toISOString()
  const missing = directory.members().filter(({ device }) => device !== self && !acknowledged.includes(device as Did))
  return missing.map(({ name }) => ({ device: name, expiresAt }))
}
