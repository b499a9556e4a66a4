/**
 * What a right holds a command to: a bound beside its policy, in the meta of the link that says it. Every link counts for itself, so nobody who hands a
 * right on can widen it. Holds nothing itself; what the limits mean is in protocols/task.
 */
import * as v from 'valibot'
import { LIMITS_META } from '../../protocols/authority/messages.ts'
import { Limits, SANDBOX_LEVELS, type SandboxLevel } from '../../protocols/task/limits.ts'
import { saySize } from '../base/size.ts'
import type { AnyRecord, Delegation } from './token.ts'

/** Undefined where the link says none. Those that cannot be read refuse the chain (`badLimits`). */
export function limitsIn(meta: AnyRecord | undefined): Limits | undefined {
  const said = v.safeParse(Limits, meta?.[LIMITS_META])
  return said.success ? said.output : undefined
}

/** What is wrong with the limits of a link; undefined where nothing is. */
export function badLimits(meta: AnyRecord | undefined): string | undefined {
  return meta?.[LIMITS_META] === undefined || limitsIn(meta) !== undefined ? undefined : `"${LIMITS_META}" holds limits that are not known here`
}

export function limitsMeta(limits: Limits | undefined): AnyRecord {
  return limits === undefined || isUnbounded(limits) ? {} : { [LIMITS_META]: limits }
}

/** All that the links of a chain ask for together. */
export function limitsOf(chain: readonly Pick<Delegation, 'meta'>[]): Limits {
  return narrowest(chain.map(({ meta }) => limitsIn(meta)))
}

/** In words, the first limit of a chain that a right would go beyond. */
export function limitsBeyond(limits: Limits | undefined, chain: readonly Pick<Delegation, 'meta'>[]): string | undefined {
  return limitBeyond(limits ?? {}, limitsOf(chain))
}

/** All that any of them asks for. */
export function narrowest(all: readonly (Limits | undefined)[]): Limits {
  return all.reduce<Limits>((held, more) => both(held, more ?? {}), {})
}

function both(one: Limits, other: Limits): Limits {
  const least = (name: 'memoryBytes' | 'cpuMillis' | 'processes'): Limits => {
    const said = [one[name], other[name]].filter((value) => value !== undefined)
    return said.length === 0 ? {} : { [name]: Math.min(...said) }
  }
  const level = higher(one.sandbox ?? 'none', other.sandbox ?? 'none')
  return {
    ...{ ...least('memoryBytes'), ...least('cpuMillis'), ...least('processes') },
    ...(one.network === false || other.network === false ? { network: false } : {}),
    ...(level === 'none' ? {} : { sandbox: level }),
  }
}

export function isUnbounded(limits: Limits | undefined): boolean {
  return limits === undefined || Object.keys(limits).length === 0
}

/** Whether the first level promises all that the second does. */
export function promises(level: SandboxLevel, demanded: SandboxLevel): boolean {
  return SANDBOX_LEVELS.indexOf(level) >= SANDBOX_LEVELS.indexOf(demanded)
}

function higher(one: SandboxLevel, other: SandboxLevel): SandboxLevel {
  return promises(one, other) ? one : other
}

/** In the words of a right: `memory 512MiB; cpu 1.5; processes 64; no-network; sandbox files`. */
export function sayLimits({ memoryBytes, cpuMillis, processes, network, sandbox }: Limits): string {
  return [
    ...(memoryBytes === undefined ? [] : [`memory ${saySize(memoryBytes)}`]),
    ...(cpuMillis === undefined ? [] : [`cpu ${cpuMillis / 1_000}`]),
    ...(processes === undefined ? [] : [`processes ${processes}`]),
    ...(network === false ? ['no-network'] : []),
    ...(sandbox === undefined ? [] : [`sandbox ${sandbox}`]),
  ].join('; ')
}

/** In words, the first bound of `held` that `limits` exceeds. No bound at all is beyond any. */
export function limitBeyond(limits: Limits, held: Limits): string | undefined {
  const more = (name: 'memoryBytes' | 'cpuMillis' | 'processes', word: string): string | undefined => {
    const [asked, most] = [limits[name], held[name]]
    if (most === undefined || (asked !== undefined && asked <= most)) return undefined
    return `${asked === undefined ? `any ${word}` : sayLimits({ [name]: asked })}, and it has ${sayLimits({ [name]: most })}`
  }
  return (
    more('memoryBytes', 'memory') ??
    more('cpuMillis', 'cpu') ??
    more('processes', 'number of processes') ??
    (held.network === false && limits.network !== false ? 'the network, and it has no-network' : undefined) ??
    (promises(limits.sandbox ?? 'none', held.sandbox ?? 'none') ? undefined : `sandbox ${limits.sandbox ?? 'none'}, and it has sandbox ${held.sandbox}`)
  )
}
