/**
 * How old an executor's knowledge of revocations may be for a chain to count, and which of its links could have been revoked without the
 * executor knowing. Pure. The reasoning is in docs/decisions (freshness); the words are in protocols/authority/README.md.
 */
import { BINDING } from '../../protocols/authority/messages.ts'
import { coversPath } from './commands.ts'
import type { AnyRecord, Delegation } from './token.ts'

/** In the `meta` of a delegation, seconds: the executor's knowledge of revocations may be so old. */
export const STALE_META = 'errand/stale'
/** In the `meta` of a delegation, seconds since the epoch: when it was signed. Of the link it stands in, no revocation is older. */
export const SIGNED_META = 'errand/at'

const HOUR = 3_600
/** Terminals, and what changes the device itself. */
export const SENSITIVE_SECONDS = 300
const READS: ReadonlySet<string> = new Set([
  ...['/task/read', '/task/logs', '/agent/list', '/skill/list', '/file/read', '/file/list', '/config/read', '/audit/read', '/device/info'],
])
const SENSITIVE = ['/exec/tty', '/config', '/audit', '/mesh', '/ucan', '/approval', '/skill/install', '/device'] as const

/** What is demanded where no grant says it: seconds; undefined: nothing. */
export function demandedOf(command: string, args: AnyRecord): number | undefined {
  if (READS.has(command)) return undefined
  return args['tty'] === true || SENSITIVE.some((path) => coversPath(path, command)) ? SENSITIVE_SECONDS : HOUR
}

export interface Standing {
  /** Whose word may loosen what is demanded: the device itself, and the owners of the mesh. Everybody else can only tighten it. */
  readonly mayLoosen: (signer: string) => boolean
}

/** @returns seconds; undefined: this chain demands nothing. */
export function boundOf(
  chain: readonly Delegation[],
  asked: { readonly command: string; readonly args: AnyRecord },
  { mayLoosen }: Standing,
): number | undefined {
  const named = chain.flatMap((link) => (typeof link.meta?.[STALE_META] === 'number' ? [{ by: link.iss, seconds: link.meta[STALE_META] }] : []))
  const [loose, tight] = [named.filter(({ by }) => mayLoosen(by)), named.filter(({ by }) => !mayLoosen(by))]
  const least = (some: readonly { readonly seconds: number }[]): number[] => (some.length === 0 ? [] : [Math.min(...some.map(({ seconds }) => seconds))])
  const base = least(loose).at(0) ?? demandedOf(asked.command, asked.args)
  const all = [...(base === undefined ? [] : [base]), ...least(tight)]
  return all.length === 0 ? undefined : Math.min(...all)
}

/**
 * Whether some link could have been revoked longer ago than the bound, by somebody whose revocations this device does not make itself.
 * A link signed within the bound cannot: whatever revokes it is younger.
 */
export function needsNews(chain: readonly Delegation[], bound: number, on: { readonly now: number; readonly isOurs: (signer: string) => boolean }): boolean {
  return chain.some((link, at) => {
    const signedAt = link.meta?.[SIGNED_META]
    const isYoung = typeof signedAt === 'number' && signedAt <= on.now + BINDING.skewSeconds && on.now - signedAt <= bound
    return !isYoung && chain.slice(0, at + 1).some(({ iss }) => !on.isOurs(iss))
  })
}

/** What is wrong with the bounds of ours in a link's `meta`: one that is not understood could be one that says no. */
export function badMeta(meta: AnyRecord | undefined, known: readonly string[]): string | undefined {
  for (const [key, value] of Object.entries(meta ?? {})) {
    if (!key.startsWith('errand/')) continue
    if (key === STALE_META || key === SIGNED_META) {
      if (!Number.isSafeInteger(value) || Number(value) < 0) return `"${key}" is a count of seconds`
    } else if (!known.includes(key)) return `"${key}" is not known here, and may bound the grant`
  }
  return undefined
}
