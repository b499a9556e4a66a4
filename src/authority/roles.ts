/**
 * Roles: named bundles of rights. The built-in ones, and what a role comes to with everything it inherits. Pure: who defined a role, who holds
 * its key and who has it is said elsewhere (runtime/roles.ts). A role's rights count as delegations only, never by its name.
 */
import { encode, sameBytes } from '../../protocols/wire.ts'
import { parseRight, type Right } from './rights.ts'

export interface RoleRules {
  /** Its own rights, as people write them. */
  readonly can: readonly string[]
  readonly inherits: readonly string[]
  /** For how long at most somebody is given it; null: no bound of its own. */
  readonly maxMs: number | null
}

const HOUR_MS = 3_600_000

export const BUILT_IN_ROLES = {
  admin: { can: ['everything'], inherits: [], maxMs: null },
  developer: { can: ['task:submit', 'task:read', 'task:cancel', 'agent:invoke', 'skill:execute'], inherits: [], maxMs: null },
  readonly: { can: ['task:read', 'config:read'], inherits: [], maxMs: null },
  /** Commands without a terminal. What it submitted itself anybody may read, so that needs no right. */
  ci: { can: ['exec: *; env *', 'agent:invoke'], inherits: [], maxMs: HOUR_MS },
  guest: { can: ['device:info'], inherits: [], maxMs: null },
} as const satisfies Record<string, RoleRules>

const SECOND_NAMES: Readonly<Record<string, string>> = { viewer: 'readonly' }

/** The one name of a role that may have two. */
export function roleName(name: string): string {
  return Object.hasOwn(SECOND_NAMES, name) ? (SECOND_NAMES[name] ?? name) : name
}

export function isBuiltIn(name: string): name is keyof typeof BUILT_IN_ROLES {
  return Object.hasOwn(BUILT_IN_ROLES, name)
}

/** Names that no custom role may have. */
export function isReservedRole(name: string): boolean {
  return isBuiltIn(name) || Object.hasOwn(SECOND_NAMES, name)
}

export type RulesOf = (name: string) => RoleRules | undefined

/** What somebody with the role may do. */
export interface Bundle {
  readonly rights: readonly Right[]
  /** The least of all the bounds: inheriting can only add rights, never time. */
  readonly maxMs: number | null
  /** It is the role `admin`, or has that within it: whoever has it also invites others. */
  readonly invites: boolean
}

/** The union of a role's own rights and those of all it inherits. A role that is gone adds nothing, and a circle ends where it began. */
export function bundleOf(name: string, rulesOf: RulesOf): Bundle {
  const roles = lineageOf(name, rulesOf)
  const rights: Right[] = []
  const known = roles.flatMap((role) => rulesOf(role) ?? [])
  for (const right of known.flatMap(({ can }) => can.map(parseRight))) if (!rights.some((held) => sameRight(held, right))) rights.push(right)
  const bounds = known.flatMap(({ maxMs }) => maxMs ?? [])
  return { rights, maxMs: bounds.length === 0 ? null : Math.min(...bounds), invites: roles.includes('admin') }
}

/** A role and all it inherits, each once. */
export function lineageOf(name: string, rulesOf: RulesOf): string[] {
  const found = [roleName(name)]
  for (const role of found) for (const inner of rulesOf(role)?.inherits ?? []) if (!found.includes(roleName(inner))) found.push(roleName(inner))
  return found
}

/** A way from a role back to itself, if this is what it inherited. */
export function circleThrough(name: string, inherits: readonly string[], rulesOf: RulesOf): string[] | undefined {
  const ways = inherits.map((next) => [name, roleName(next)])
  const seen = new Set<string>()
  for (const way of ways) {
    const at = way[way.length - 1] ?? name
    if (at === name) return way
    if (seen.has(at)) continue
    seen.add(at)
    for (const next of rulesOf(at)?.inherits ?? []) ways.push([...way, roleName(next)])
  }
  return undefined
}

export function sameRight(a: Right, b: Right): boolean {
  return a.cmd === b.cmd && sameBytes(encode(a), encode(b))
}
