/**
 * Whether a chain of delegations carries an invocation: one direct line from the subject to the invoker.
 * Used by the verifier and the wallet alike, in the strict profile of this mesh or in the bare rules of the specification.
 */
import { CID } from 'multiformats/cid'
import { BINDING, LIMITS_META, MANDATE, MANDATE_META, RATE_META, RUNS_UNTIL_META, SESSION_SECONDS, TOKEN_LIMITS } from '../../protocols/authority/messages.ts'
import type { Did } from '../identity/identity.ts'
import { covers, coversPath } from './commands.ts'
import { badMeta, SIGNED_META } from './freshness.ts'
import { badLimits } from './limits.ts'
import { failing, type Statement } from './policy.ts'
import { badRate } from './rate.ts'
import type { AnyRecord, Delegation } from './token.ts'

/** `profile` is what this mesh accepts; `spec` is UCAN 1.0 as the official vectors have it. */
export type Rules = 'profile' | 'spec'

export type ChainCode =
  | 'NO_GRANT'
  | 'CHAIN_TOO_LONG'
  | 'CHAIN_CYCLE'
  | 'POWERLINE_ROOT'
  | 'CHAIN_SUBJECT'
  | 'CHAIN_ROOT'
  | 'CHAIN_GAP'
  | 'CHAIN_AUDIENCE'
  | 'NOT_COVERED'
  | 'NO_EXPIRY'
  | 'GRANT_EXPIRED'
  | 'GRANT_TOO_EARLY'
  | 'PASSED_ON'
  | 'BAD_META'
  | 'BAD_MANDATE'

/** A link that says so may only be the last one: `meta: {"errand/last": true}`. It is signed by who gave it, and can only narrow. */
export const LAST_LINK = 'errand/last'

/** Names another token by its CID: when somebody up the chain revokes that one, this link is dead too. So one revocation ends a session with many rights. */
export const DIES_WITH = 'errand/dies-with'

/** All there are, with those of freshness: a bound that a device does not know must not pass for none. Spec: protocols/authority/README.md, "Meta of delegations". */
const META_KEYS = [
  ...[
    LAST_LINK,
    DIES_WITH,
    MANDATE_META,
    RATE_META,
    LIMITS_META,
    RUNS_UNTIL_META,
    'errand/session',
    'errand/approvals',
    'errand/role',
    'errand/group-on',
    'errand/group-to',
  ],
] as const

export interface ChainRefusal {
  readonly code: ChainCode
  /** In words, with the actual values. */
  readonly detail: string
  /** The link that refuses. */
  readonly link?: Delegation
}

export interface Asked {
  readonly subject: Did
  /** Who invokes: the audience of the last link. */
  readonly invoker: Did
  readonly command: string
  /** Seconds since the epoch. */
  readonly now: number
  /** It was asked for before, and is about to start or runs: of a session's links the time counts that they give to that. */
  readonly isWork?: boolean
}

/** Judges everything about a chain (root first) but revocation and policies. */
export function refuseChain(chain: readonly Delegation[], asked: Asked, rules: Rules): ChainRefusal | undefined {
  const [root] = chain
  if (root === undefined) return { code: 'NO_GRANT', detail: `no grant from ${asked.subject} reaches ${asked.invoker}` }
  if (chain.length > TOKEN_LIMITS.chainLinks)
    return { code: 'CHAIN_TOO_LONG', detail: `a chain has at most ${TOKEN_LIMITS.chainLinks} links, not ${chain.length}` }
  return (
    refusePrincipals(chain, root, asked) ??
    firstOf(chain, (link) => refuseTime(link, asked, rules)) ??
    refuseCoverage(chain, asked, rules) ??
    (rules === 'profile' ? refuseProfile(chain) : undefined)
  )
}

function refusePrincipals(chain: readonly Delegation[], root: Delegation, { subject, invoker }: Asked): ChainRefusal | undefined {
  if (root.sub === null) return { code: 'POWERLINE_ROOT', detail: 'the first link names no subject: nobody can begin with everybody’s authority', link: root }
  const stranger = chain.find((link) => link.sub !== null && link.sub !== subject)
  if (stranger !== undefined) return { code: 'CHAIN_SUBJECT', detail: `a link is about ${stranger.sub}, not about ${subject}`, link: stranger }
  if (root.iss !== subject) return { code: 'CHAIN_ROOT', detail: `the first link is signed by ${root.iss}, not by ${subject}`, link: root }
  const gap = firstOf<Delegation, ChainRefusal>(chain, (link, i) => {
    const next = chain[i + 1]
    if (next === undefined || next.iss === link.aud) return undefined
    return { code: 'CHAIN_GAP', detail: `a link is given to ${link.aud}, the next one is signed by ${next.iss}`, link: next }
  })
  if (gap !== undefined) return gap
  const last = chain[chain.length - 1]
  return last === undefined || last.aud === invoker
    ? undefined
    : { code: 'CHAIN_AUDIENCE', detail: `the last link is given to ${last.aud}, not to ${invoker}`, link: last }
}

/** Every link is checked on its own, so that a child cannot outlive its parent whatever it says. */
export function refuseTime(link: Delegation, { now, isWork }: Pick<Asked, 'now' | 'isWork'>, rules: Rules): ChainRefusal | undefined {
  const end = isWork === true && rules === 'profile' ? endOfWork(link) : link.exp
  // No allowance for expiry: the executor's own clock rules, and a right must not live longer than it says.
  if (end !== null && now >= end) return { code: 'GRANT_EXPIRED', detail: `a grant expired ${now - end} s ago`, link }
  const skew = rules === 'profile' ? BINDING.skewSeconds : 0
  if (link.nbf !== undefined && now + skew < link.nbf) return { code: 'GRANT_TOO_EARLY', detail: `a grant is valid in ${link.nbf - now} s only`, link }
  return undefined
}

function refuseCoverage(chain: readonly Delegation[], { command }: Asked, rules: Rules): ChainRefusal | undefined {
  const covering = rules === 'profile' ? covers : coversPath
  return firstOf<Delegation, ChainRefusal>(chain, (link, i) => {
    const child = chain[i + 1]?.cmd ?? command
    return covering(link.cmd, child) ? undefined : { code: 'NOT_COVERED', detail: `a grant for ${link.cmd} does not cover ${child}`, link }
  })
}

function refuseProfile(chain: readonly Delegation[]): ChainRefusal | undefined {
  const issuers = new Set<Did>()
  const mandate = mandateIn(chain)
  const handed = mandate === undefined ? chain.length - 1 : chain.length - 2 // a mandate hands nothing on: the subject has every power over itself
  return firstOf<Delegation, ChainRefusal>(chain, (link, i) => {
    if (issuers.has(link.iss) && link !== mandate) return { code: 'CHAIN_CYCLE', detail: `${link.iss} signs twice in one chain`, link }
    issuers.add(link.iss)
    if (i > 0 && link.exp === null) return { code: 'NO_EXPIRY', detail: 'only the first link of a chain may be without expiry', link }
    const unknown = badMeta(link.meta, META_KEYS) ?? badRate(link.meta) ?? badLimits(link.meta) ?? badRunsUntil(link)
    if (unknown !== undefined) return { code: 'BAD_META', detail: `a grant cannot be read whole: ${unknown}`, link }
    const odd = refuseMandate(link, chain)
    if (odd !== undefined) return { code: 'BAD_MANDATE', detail: odd, link }
    if (i < handed && link.meta?.[LAST_LINK] === true) return { code: 'PASSED_ON', detail: 'a grant that may not be passed on was passed on', link }
    return undefined
  })
}

/** The mandate that a chain ends with. Whether it is for what is invoked is asked by `refuseOther` (mandate.ts). */
export function mandateIn(chain: readonly Delegation[]): Delegation | undefined {
  const last = chain.at(-1)
  return last?.meta?.[MANDATE_META] === undefined ? undefined : last
}

/** What is wrong with the form of a mandate; undefined for one that is well-formed, and for every other link. */
function refuseMandate(link: Delegation, chain: readonly Delegation[]): string | undefined {
  const { meta, aud, exp } = link
  const digest = meta?.[MANDATE_META]
  if (digest === undefined) return undefined
  if (!(digest instanceof Uint8Array) || digest.length !== MANDATE.digestBytes) return `a mandate names its task by a digest of ${MANDATE.digestBytes} bytes`
  if (link !== chain.at(-1) || meta?.[LAST_LINK] !== true) return 'a mandate is the last link, and says so'
  if (aud !== chain[0]?.iss) return `a mandate is for the device it is about, not for ${aud}`
  const signedAt = meta[SIGNED_META]
  if (typeof signedAt !== 'number' || exp === null || exp - signedAt > MANDATE.lifeSeconds)
    return 'a mandate says when it was signed, and lives 30 days at most'
  return undefined
}

/** The first link, root first, whose policy these arguments do not meet. */
export function refusePolicies(chain: readonly Delegation[], args: AnyRecord): { readonly link: Delegation; readonly statement: Statement } | undefined {
  return firstOf(chain, (link) => {
    const statement = failing(link.pol, args)
    return statement === undefined ? undefined : { link, statement }
  })
}

/** The token that a link dies with. */
export function diesWith({ meta }: Delegation): string | undefined {
  return CID.asCID(meta?.[DIES_WITH])?.toString()
}

/** When what rests on a link ends. */
export function endOfWork({ exp, meta }: Delegation): number | null {
  const later = meta?.[RUNS_UNTIL_META]
  return exp !== null && typeof later === 'number' ? later : exp
}

/** Only a session's links say it, no earlier than they expire, and for no longer than a session lives. */
function badRunsUntil({ meta, exp }: Delegation): string | undefined {
  const later = meta?.[RUNS_UNTIL_META]
  if (later === undefined) return undefined
  const signedAt = meta?.[SIGNED_META]
  const isSession = typeof meta?.['errand/session'] === 'string' && typeof signedAt === 'number' && exp !== null
  if (isSession && typeof later === 'number' && Number.isSafeInteger(later) && later >= exp && later - signedAt <= SESSION_SECONDS) return undefined
  return `"${RUNS_UNTIL_META}" stands on links of a session, and is within a day`
}

/** When what rests on the chain dies, seconds; null when it never does. */
export function expiryOf(chain: readonly Delegation[]): number | null {
  return chain.map(endOfWork).reduce((least, end) => (end === null ? least : least === null ? end : Math.min(least, end)), null)
}

function firstOf<T, R>(items: readonly T[], judge: (item: T, at: number) => R | undefined): R | undefined {
  for (const [at, item] of items.entries()) {
    const found = judge(item, at)
    if (found !== undefined) return found
  }
  return undefined
}
