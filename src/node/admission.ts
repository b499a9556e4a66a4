/** Whether somebody who is no owner was allowed to admit devices: a chain for /mesh/join from an owner, alive when it was used. */
import { refuseChain } from '../authority/chain.ts'
import { decodeDelegation } from '../authority/token.ts'
import type { AdmissionCheck } from '../registry/directory.ts'

export function admission(owners: readonly string[]): AdmissionCheck {
  return (signer, proofs, atMs) => {
    const chain = proofs.map((bytes) => decodeDelegation(bytes))
    const [root] = chain
    if (root === undefined || !owners.includes(root.iss)) return false
    const asked = { subject: root.iss, invoker: signer, command: '/mesh/join', now: Math.floor(atMs / 1_000) }
    return refuseChain(chain, asked, 'profile') === undefined && chain.every((link) => link.pol.length === 0)
  }
}

