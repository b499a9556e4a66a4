/** What a grant rests on, as far as this device knows: the links above it, whether it still counts, and what has to travel with it. */
import { coversPath } from '../authority/commands.ts'
import type { Revocations } from '../authority/revocations.ts'
import type { Delegation } from '../authority/token.ts'
import type { Wallet } from '../authority/wallet.ts'
import type { Did } from '../identity/identity.ts'

export class Lineage {
  constructor(private readonly on: { readonly wallet: Wallet; readonly revocations: Revocations; readonly nowSeconds: () => number }) {}

  /** The links a grant rests on, root first; empty for a root. For a grant that names no device those that name none either. */
  above(link: Delegation): readonly Delegation[] {
    if (link.iss === link.sub) return []
    if (link.sub === null) return this.#powerlines(link)
    const found = this.on.wallet.find({ issuer: link.iss, subject: link.sub, command: link.cmd, now: this.on.nowSeconds() })
    return found.ok ? found.chain : (found.nearest ?? [])
  }

  isLive(link: Delegation): boolean {
    return (link.exp === null || link.exp > this.on.nowSeconds()) && !this.isRevoked(link)
  }

  isRevoked(link: Delegation): boolean {
    return this.on.revocations.kills([...this.above(link), link]) !== undefined
  }

  /** Every living link that this one may come to rest on: which of them carries a command is known only with its arguments. */
  support({ iss, sub }: Delegation): Delegation[] {
    const usable = this.on.wallet.list().filter((link) => (sub === null || link.sub === null || link.sub === sub) && this.isLive(link))
    const givers = new Set<string>([iss])
    for (let before = 0; before < givers.size; ) {
      before = givers.size
      for (const link of usable) if (givers.has(link.aud)) givers.add(link.iss)
    }
    return usable.filter((link) => givers.has(link.aud))
  }

  #powerlines(link: Delegation, below: readonly Did[] = []): readonly Delegation[] {
    const fits = this.on.wallet.list().filter(({ sub, aud, iss, cmd }) => sub === null && aud === link.iss && !below.includes(iss) && coversPath(cmd, link.cmd))
    const [parent] = fits.sort((a, b) => this.#left(b) - this.#left(a))
    return parent === undefined ? [] : [...this.#powerlines(parent, [...below, link.iss]), parent]
  }

  /** What was revoked comes last: it is shown only where there is nothing else. */
  #left({ cid, iss, exp }: Delegation): number {
    if (this.on.revocations.revokedBy(cid, new Set([iss])) !== undefined) return -1
    return exp ?? Number.POSITIVE_INFINITY
  }
}
