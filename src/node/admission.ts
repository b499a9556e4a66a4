/** Whether somebody who is no owner was allowed to admit devices: a living chain for /mesh/join from an owner, without conditions. */
import { refuseChain } from '../authority/chain.ts'
import type { RevocationView } from '../authority/revocations.ts'
import { decodeDelegation, TokenError } from '../authority/token.ts'
import type { AdmissionCheck } from '../registry/directory.ts'
import type { OwnersView } from '../registry/owners.ts'

/**
 * The time of the admission is the signer's claim, so a revoked right admits nobody any more, whenever it says it did.
 * Members admitted before are kept: they are read back from disk before the revocations are.
 */
export function admission(owners: OwnersView, revocations: RevocationView): AdmissionCheck {
  return (signer, proofs, atMs) => {
    try {
      const chain = proofs.map((bytes) => decodeDelegation(bytes))
      const [root] = chain
      if (root === undefined || !owners.counts(root.iss, root.bytes)) return false
      const asked = { subject: root.iss, invoker: signer, command: '/mesh/join', now: Math.floor(atMs / 1_000) }
      return refuseChain(chain, asked, 'profile') === undefined && chain.every((link) => link.pol.length === 0) && revocations.kills(chain) === undefined
    } catch (thrown) {
      if (thrown instanceof TokenError) return false
      throw thrown
    }
  }
}
