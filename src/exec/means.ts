/**
 * What this device can hold a command to, as `probe.ts` found out by running it; and by what means one command is held. Pure. What cannot be
 * enforced is a refusal with a next step, never a warning. Spec: docs/decisions/0041-limits-and-sandbox.md.
 */
import * as v from 'valibot'
import { ENFORCED, type Enforced, type Limits, type SandboxLevel } from '../../protocols/task/limits.ts'
import { Text } from '../../protocols/wire.ts'
import { isUnbounded, promises } from '../authority/limits.ts'
import { ErrandError } from '../base/errors.ts'

const Path = Text(4_096)

/** Where groups of the kernel are made: one directory for each controller, in the old layout in different trees. null: that one cannot be bounded here. */
export const GroupPlace = v.strictObject({
  kind: v.picklist(['cgroup v2', 'cgroup v1']),
  memory: v.nullable(Path),
  cpu: v.nullable(Path),
  processes: v.nullable(Path),
  /** Where `cgroup.kill` is. */
  kill: v.nullable(Path),
})
export type GroupPlace = v.InferOutput<typeof GroupPlace>

/** JSON: the daemon finds out, the host goes by it. */
export const Means = v.strictObject({
  /** What wraps a bounded command; it can give a program another name (`exec -a`), or not. */
  shell: Path,
  namesPrograms: v.boolean(),
  /** An `env` that can undo ignored signals. */
  env: v.nullable(Path),
  setpriv: v.nullable(Path),
  /** It can run something as another user, who keeps nothing of the node's. */
  switchesUser: v.boolean(),
  bwrap: v.nullable(Path),
  /** bwrap started by another user works as well. */
  bwrapOfOthers: v.boolean(),
  unshare: v.nullable(Path),
  mount: v.nullable(Path),
  group: v.nullable(GroupPlace),
  /** Whether the node is root's. */
  isRoot: v.boolean(),
  /** Why something is not there, in words, and what to do about it. */
  lacking: v.record(Text(32), v.strictObject({ why: Text(512), how: Text(512) })),
})
export type Means = v.InferOutput<typeof Means>

export const NO_MEANS: Means = {
  ...{
    shell: '/bin/sh',
    namesPrograms: false,
    env: null,
    setpriv: null,
    switchesUser: false,
    bwrap: null,
    bwrapOfOthers: false,
    unshare: null,
    mount: null,
    group: null,
  },
  ...{ isRoot: false, lacking: {} },
}

export type Tool = 'bwrap' | 'unshare' | 'setpriv'

export interface Plan {
  readonly level: SandboxLevel
  /** null: nothing shuts it in. */
  readonly by: Tool | null
  readonly limits: Limits
  /** For the log: level, tools, bounds. '' for a command that nothing holds. */
  readonly words: string
}

/** @param isOther it runs as another user than the node's. @throws ErrandError DENIED with `fields.reason` UNENFORCEABLE. */
export function planOf(limits: Limits, isOther: boolean, means: Means): Plan {
  if (isUnbounded(limits) && !isOther) return { level: 'none', by: null, limits, words: '' }
  const by = toolFor(limits, isOther, means)
  for (const [name, asked] of [
    ['memory', limits.memoryBytes],
    ['cpu', limits.cpuMillis],
    ['processes', limits.processes],
  ] as const) {
    if (asked !== undefined && (means.group?.[name] ?? null) === null) throw unenforceable(`it cannot bound ${WORDS[name]}`, means, 'group')
  }
  const level = by === 'bwrap' ? levelOf(limits, 'processes') : by === 'unshare' ? 'processes' : isUnbounded(limits) ? 'none' : 'privileges'
  const groups = isGrouped(limits) && means.group !== null ? [means.group.kind] : []
  return { level, by, limits, words: `${level}: ${[by, ...groups].filter((one) => one !== null).join(', ')}` }
}

const WORDS = { memory: 'the memory of a command', cpu: 'its share of the processors', processes: 'the number of its processes' } as const

export function isGrouped({ memoryBytes, cpuMillis, processes }: Limits): boolean {
  return memoryBytes !== undefined || cpuMillis !== undefined || processes !== undefined
}

/**
 * What bounds a command shuts it in as well: one that runs as the node's own user could otherwise walk out of its group, or ask the daemon's socket for
 * more. Another user cannot, but for the network.
 */
function toolFor(limits: Limits, isOther: boolean, means: Means): Tool {
  const asked = limits.sandbox ?? 'none'
  const needed = isOther && limits.network !== false ? asked : levelOf(limits, 'processes')
  if (!promises(needed, 'processes')) {
    if (!means.switchesUser) throw unenforceable('it cannot run a command as another user', means, 'setpriv')
    return 'setpriv'
  }
  if (isOther ? means.bwrapOfOthers && means.bwrap !== null : means.bwrap !== null) return 'bwrap'
  const canUnshare = means.unshare !== null && isOther === means.isRoot
  if (needed === 'processes' && canUnshare) return 'unshare'
  throw unenforceable(`it cannot shut a command in as far as "${needed}"`, means, 'bwrap')
}

function levelOf({ sandbox }: Limits, least: SandboxLevel): SandboxLevel {
  return sandbox !== undefined && promises(sandbox, least) ? sandbox : least
}

function unenforceable(what: string, { lacking }: Means, name: string): ErrandError {
  const { why, how } = lacking[name] ?? { why: 'nothing that does it works there', how: 'run it on another device' }
  return new ErrandError('DENIED', `this device cannot keep that bound: ${what} (${why})`, { hint: how, fields: { reason: 'UNENFORCEABLE' } })
}

/** The highest level that a command of the node's own user can be given; and what can be bounded. */
export function publishedOf(means: Means): { readonly sandbox: SandboxLevel; readonly limits: Enforced[] } {
  const sandbox = means.bwrap !== null ? 'files' : means.unshare !== null ? 'processes' : means.switchesUser ? 'privileges' : 'none'
  return { sandbox, limits: ENFORCED.filter((name) => canBound(name, means)) }
}

function canBound(name: Enforced, means: Means): boolean {
  const isShut = means.bwrap !== null || (means.unshare !== null && !means.isRoot)
  if (name === 'network' || name === 'kill') return isShut
  return isShut && (means.group?.[name] ?? null) !== null
}
