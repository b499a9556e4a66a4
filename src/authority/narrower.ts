/**
 * Whether a right goes beyond what it would rest on, bound by bound, and in which. For signing: nobody is promised what no device would let him do.
 * Rights that words cannot say are not compared; verification holds every use against every link's policy, whatever was signed.
 */
import type { Limits } from '../../protocols/task/limits.ts'
import { type ExecItem, type ExecRight, readExec } from './items.ts'
import { limitsBeyond } from './limits.ts'
import { readNet } from './net-items.ts'
import { NET_COMMAND, netBeyond } from './net-rights.ts'
import type { Policy } from './policy.ts'
import { type Rate, rateBeyond } from './rate.ts'
import { sayItem } from './say.ts'
import type { Delegation } from './token.ts'

/** In words, the first bound of a chain that the right would exceed. */
export function wideningOf(
  right: { readonly cmd: string; readonly pol: Policy; readonly rate?: Rate | undefined; readonly limits?: Limits | undefined },
  chain: readonly Pick<Delegation, 'cmd' | 'pol' | 'meta'>[],
): string | undefined {
  return boundBeyond(right, chain) ?? rateBeyond(right.rate, chain) ?? limitsBeyond(right.limits, chain)
}

function boundBeyond(right: { readonly cmd: string; readonly pol: Policy }, chain: readonly Pick<Delegation, 'cmd' | 'pol'>[]): string | undefined {
  if (right.cmd === NET_COMMAND) return netOutside(right.pol, chain)
  if (right.cmd !== '/exec/run') return undefined
  const child = readExec(right.pol)
  if (child === undefined) return undefined
  for (const link of chain) {
    const parent = link.cmd === '/exec/run' ? readExec(link.pol) : undefined
    const beyond = parent === undefined ? undefined : exceeding(child, parent)
    if (beyond !== undefined) return beyond
  }
  return undefined
}

function netOutside(pol: Policy, chain: readonly Pick<Delegation, 'cmd' | 'pol'>[]): string | undefined {
  const child = readNet(pol)
  const parents = chain.flatMap((link) => (link.cmd === NET_COMMAND ? (readNet(link.pol) ?? []) : []))
  return child && parents.map((parent) => netBeyond(child, parent)).find((beyond) => beyond !== undefined)
}

/** The first bound of `parent` that `child` exceeds. */
export function exceeding(child: ExecRight, parent: ExecRight): string | undefined {
  return (
    commandBeyond(child.items, parent.items) ??
    listBeyond('env', child.env, parent.env) ??
    listBeyond('user', child.users, parent.users) ??
    directoryBeyond(child.cwd, parent.cwd) ??
    mostBeyond('timeout', child.timeoutMs, parent.timeoutMs) ??
    mostBeyond('output', child.maxOutputBytes, parent.maxOutputBytes) ??
    (child.tty && !parent.tty ? 'a terminal, and it has none to give' : undefined)
  )
}

function commandBeyond(child: ExecRight['items'], parent: ExecRight['items']): string | undefined {
  if (parent === '*') return undefined
  const held = `it has {${parent.map(sayItem).join(', ')}}`
  if (child === '*') return `any command, and ${held}`
  const beyond = child.find((item) => !parent.some((above) => isWithin(item, above)))
  return beyond === undefined ? undefined : `${sayItem(beyond)}, and ${held}`
}

/** The same executable, and at least the arguments that the other must begin with. */
function isWithin(item: ExecItem, above: ExecItem): boolean {
  return above.length <= item.length && above.every((word, at) => word === item[at])
}

function listBeyond(what: string, child: readonly string[] | '*', parent: readonly string[] | '*'): string | undefined {
  if (parent === '*') return undefined
  const held = parent.length === 0 ? 'it has none' : `it has ${parent.map((one) => (one === '' ? "the node's own" : one)).join(', ')}`
  if (child === '*') return `${what} *, and ${held}`
  const beyond = child.find((name) => !parent.includes(name))
  return beyond === undefined ? undefined : `${what} ${beyond === '' ? "the node's own" : beyond}, and ${held}`
}

function directoryBeyond(child: string | undefined, parent: string | undefined): string | undefined {
  if (parent === undefined || child === parent || child?.startsWith(parent === '/' ? '/' : `${parent}/`) === true) return undefined
  return `${child === undefined ? 'any directory' : `cwd ${child}`}, and it has cwd ${parent}`
}

/** No bound at all is beyond any. */
function mostBeyond(what: string, child: number | undefined, parent: number | undefined): string | undefined {
  if (parent === undefined || (child !== undefined && child <= parent)) return undefined
  return `${child === undefined ? 'any' : 'a larger'} ${what}, and it has a bound on that`
}
