/** The delegations a device holds, and the search for a chain among them. In memory; who persists it keeps `list()`. */
import { TOKEN_LIMITS } from '../../protocols/authority/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import { sayDuration } from '../base/duration.ts'
import type { Did } from '../identity/identity.ts'
import { approvalsOf } from './approval.ts'
import { expiryOf, LAST_LINK, refuseChain, refusePolicies, refuseTime } from './chain.ts'
import { covers, isDelegable } from './commands.ts'
import { explain } from './explain.ts'
import { wideningOf } from './narrower.ts'
import type { Policy } from './policy.ts'
import type { Rate } from './rate.ts'
import type { RevocationView } from './revocations.ts'
import { type AnyRecord, type Delegation, decodeDelegation } from './token.ts'

export const WALLET_LIMITS = {
  /** Links looked at in one search; a person's wallet has dozens. */
  visits: 20_000,
  /** Whole chains weighed in one search. */
  chains: 256,
} as const

export interface Wanted {
  /** Who will invoke. */
  readonly issuer: Did
  readonly subject: Did
  readonly command: string
  /** The declared arguments. Absent: policies are not asked. */
  readonly args?: AnyRecord
  /** Seconds since the epoch. */
  readonly now: number
  readonly revocations?: RevocationView
}

export type Found =
  | { readonly ok: true; readonly chain: readonly Delegation[]; readonly expiresAt: number | null }
  | { readonly ok: false; readonly why: string; readonly nearest?: readonly Delegation[] }

export type CanDelegate =
  | { readonly ok: true; readonly chain: readonly Delegation[] }
  | { readonly ok: false; readonly code: 'NO_GRANT' | 'NOT_DELEGABLE' | 'NO_EXPIRY' | 'OUTLIVES' | 'WIDENS'; readonly why: string }

/** A chain, and what is wrong with it, in words. */
export interface Path {
  readonly chain: readonly Delegation[]
  readonly problem?: string
}

interface Weighed extends Path {
  readonly expiresAt: number
  /** People who would have to be asked. */
  readonly approvals: number
}

export class Wallet {
  readonly #byCid = new Map<string, Delegation>()
  readonly #byAudience = new Map<Did, Map<string, Delegation>>()

  /** Adds a delegation after verifying its form and signature. @throws TokenError */
  add(bytes: Uint8Array): Delegation {
    const link = decodeDelegation(bytes)
    this.#byCid.set(link.cid, link)
    const given = this.#byAudience.get(link.aud) ?? new Map<string, Delegation>()
    this.#byAudience.set(link.aud, given.set(link.cid, link))
    return link
  }

  get(cid: string): Delegation | undefined {
    return this.#byCid.get(cid)
  }

  list(): readonly Delegation[] {
    return [...this.#byCid.values()]
  }

  /** Forgets a delegation. Forgetting is not revoking: others may still hold it. @returns whether it was there. */
  remove(cid: string): boolean {
    const link = this.#byCid.get(cid)
    if (link === undefined) return false
    this.#byAudience.get(link.aud)?.delete(cid)
    return this.#byCid.delete(cid)
  }

  /** Finds the chain to invoke with: one whose policies allow the arguments, of those one for which the fewest people have to be asked, and of those the one that lives longest. */
  find(wanted: Wanted): Found {
    const { issuer, subject } = wanted
    if (issuer === subject) return { ok: true, chain: [], expiresAt: null }
    const weighed = this.#weighed(wanted)
    const [best] = weighed
    if (best === undefined) return { ok: false, why: `no grant from ${subject} reaches ${issuer} for ${wanted.command}` }
    if (best.problem !== undefined) return { ok: false, why: best.problem, nearest: best.chain }
    return { ok: true, chain: best.chain, expiresAt: expiryOf(best.chain) }
  }

  /** Every way there is, best first: those that lead there, and why each of the others does not. */
  paths(wanted: Wanted): readonly Path[] {
    return wanted.issuer === wanted.subject ? [] : this.#weighed(wanted)
  }

  /**
   * Whether a delegation signed now would promise no more than can be kept. Every use is held against the policies of every link, so what was signed
   * never widens; what would say more than it gives is refused here all the same, with the bound that it exceeds.
   */
  canDelegate(
    wanted: Omit<Wanted, 'args'> & { readonly policy?: Policy; readonly rate?: Rate | undefined; readonly limits?: Limits | undefined },
    exp: number | null,
  ): CanDelegate {
    const { issuer, subject, command, now, policy = [] } = wanted
    if (!isDelegable(command)) return { ok: false, code: 'NOT_DELEGABLE', why: `${command} cannot be given to anybody` }
    if (issuer === subject) return { ok: true, chain: [] }
    if (exp === null) return { ok: false, code: 'NO_EXPIRY', why: 'only the device itself can grant without expiry; name one' }
    const held = this.#weighed(wanted).filter(({ chain, problem }) => problem === undefined && chain.at(-1)?.meta?.[LAST_LINK] !== true)
    const [nearest] = held
    const right = { cmd: command, pol: policy, rate: wanted.rate, limits: wanted.limits }
    const best = wanted.policy === undefined ? nearest : held.find(({ chain }) => wideningOf(right, chain) === undefined)
    if (best === undefined && nearest !== undefined) return { ok: false, code: 'WIDENS', why: `it would give ${wideningOf(right, nearest.chain)}` }
    if (best === undefined) return { ok: false, code: 'NO_GRANT', why: `no grant from ${subject} that may be passed on reaches ${issuer} for ${command}` }
    if (exp <= best.expiresAt) return { ok: true, chain: best.chain }
    return {
      ok: false,
      code: 'OUTLIVES',
      why: `it would outlive what it rests on by ${sayDuration((exp - best.expiresAt) * 1_000)}; at most ${sayDuration(Math.max(0, best.expiresAt - now) * 1_000)} are left`,
    }
  }

  /** The chains, best first. Dead links are looked at only when there is no living chain, to say what is nearest: they must not crowd out the living. */
  #weighed(wanted: Wanted): Weighed[] {
    const living = this.#chains(wanted, (link) => refuseTime(link, wanted, 'profile') === undefined)
    const chains = living.length > 0 ? living : this.#chains(wanted, () => true)
    return chains.map((chain) => weigh(chain, wanted)).sort(better)
  }

  /** All direct lines from subject to issuer, root first, within bounds. */
  #chains({ issuer, subject, command }: Wanted, usable: (link: Delegation) => boolean): Delegation[][] {
    const reachable = this.#reachableFrom(subject, command)
    const found: Delegation[][] = []
    let visits = 0
    const spent = (): boolean => found.length >= WALLET_LIMITS.chains || visits++ >= WALLET_LIMITS.visits
    const above = (audience: Did): Delegation[] => [...(this.#byAudience.get(audience)?.values() ?? [])].filter(usable)
    const walk = (audience: Did, below: readonly Delegation[], child: string): void => {
      for (const link of above(audience)) {
        if (spent()) return
        if (!extendsChain(link, below, { subject, child })) continue
        const chain = [link, ...below]
        if (link.iss === subject && link.sub === subject) found.push(chain)
        else if (reachable.has(link.iss)) walk(link.iss, chain, link.cmd)
      }
    }
    walk(issuer, [], command)
    return found
  }

  /** Who can be reached from the subject at all: keeps the search out of dead ends, however many a wallet was fed with. */
  #reachableFrom(subject: Did, command: string): ReadonlySet<Did> {
    const reached = new Set<Did>([subject])
    const usable = this.list().filter((link) => (link.sub === null || link.sub === subject) && covers(link.cmd, command))
    for (let before = 0; before < reached.size; ) {
      before = reached.size
      for (const { iss, aud } of usable) if (reached.has(iss)) reached.add(aud)
    }
    return reached
  }
}

function extendsChain(link: Delegation, below: readonly Delegation[], { subject, child }: { readonly subject: Did; readonly child: string }): boolean {
  const rightSubject = link.sub === null || link.sub === subject
  return below.length < TOKEN_LIMITS.chainLinks && rightSubject && covers(link.cmd, child) && below.every(({ iss }) => iss !== link.iss)
}

function weigh(chain: readonly Delegation[], { issuer, subject, command, args, now, revocations }: Wanted): Weighed {
  const expiresAt = expiryOf(chain) ?? Number.POSITIVE_INFINITY
  const seen = { chain, expiresAt, approvals: approvalsOf(chain) }
  const dead = revocations?.kills(chain)
  if (dead !== undefined) return { ...seen, problem: dead.words }
  const refusal = refuseChain(chain, { subject, invoker: issuer, command, now }, 'profile')
  if (refusal !== undefined) return { ...seen, problem: refusal.detail }
  const policy = args === undefined ? undefined : refusePolicies(chain, args)
  return policy === undefined || args === undefined ? seen : { ...seen, problem: explain(policy.statement, args) }
}

function better(a: Weighed, b: Weighed): number {
  const passes = Number(a.problem !== undefined) - Number(b.problem !== undefined)
  if (passes !== 0) return passes
  if (a.approvals !== b.approvals) return a.approvals - b.approvals // nobody is asked without need
  return a.expiresAt === b.expiresAt ? a.chain.length - b.chain.length : b.expiresAt - a.expiresAt
}
