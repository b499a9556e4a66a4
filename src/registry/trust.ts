/**
 * How far a device is trusted: what an owner said of it, else what follows from how it joined. A ceiling: it takes away and never gives.
 * Spec of the levels: protocols/member/README.md.
 */
import type { TrustLevel } from '../../protocols/member/orders.ts'
import type { Directory } from './directory.ts'
import type { Orders } from './orders.ts'

/** Devices of the owners are trusted, all others are verified: both joined with a code that somebody made for them. */
export type TrustOf = (did: string) => TrustLevel

/** What an owner said of a device; else `trusted` for the owners' own devices and `verified` for other members and for guests. A guest is never trusted with more. Who is neither is not trusted. */
export function trustOf(orders: Pick<Orders, 'get'>, directory: Pick<Directory, 'member'>): TrustOf {
  return (did) => {
    const member = directory.member(did)
    if (member === undefined) return 'untrusted'
    const level = orders.get('trust', did)?.level ?? (member.own ? 'trusted' : 'verified')
    return member.kind === 'guest' && level === 'trusted' ? 'verified' : level
  }
}
