/**
 * What a policy can say, in one table of schemas: of a device (`policy.yaml`), of a mesh, and of a workspace (`.errand/security.yaml`).
 * Everything in it narrows; nothing in it gives a right. Unknown words are refused by whoever reads with this. Spec: docs/policy.md.
 */
import { isAbsolute } from 'node:path'
import * as v from 'valibot'
import { LIMITS } from '../../protocols/task/limits.ts'
import type { ExecItem } from '../authority/items.ts'
import { parseItem } from '../authority/rights.ts'
import { parseDuration } from '../base/duration.ts'
import { asErrand } from '../base/errors.ts'
import { parseSize } from '../base/size.ts'
import { isPermission } from './permissions.ts'

export const TRUST = ['untrusted', 'verified', 'trusted'] as const
export type Trust = (typeof TRUST)[number]

export const POLICY = {
  /** Longer is no policy; looked at before anything is parsed. */
  maxBytes: 65_536,
  /** Maps and lists within each other. */
  maxDepth: 16,
  /** Words and marks of the text: the parser takes 15 µs for each. */
  maxWords: 16_384,
  maxItems: 256,
  maxExamples: 256,
} as const

const MAX_TEXT_CHARS = 4_096
const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._@/:+-]{0,127}$/u

const OnOff = v.boolean('must be true or false')
const Level = v.picklist(TRUST, `must be one of ${TRUST.join(', ')}`)
const Text = v.pipe(v.string('must be a text'), v.maxLength(MAX_TEXT_CHARS, `must have at most ${MAX_TEXT_CHARS} characters`))
const Name = v.pipe(v.string('must be a name'), v.regex(NAME, 'is not a name'))

function listOf<Item extends v.GenericSchema>(item: Item, what: string, most: number = POLICY.maxItems) {
  return v.pipe(v.array(item, `must be a list of ${what}, like [a, b]; [] is none`), v.maxLength(most, `has more than ${most} ${what}`))
}

function whole(least: number, most: number) {
  const must = `must be a whole number from ${least} to ${most}`
  return v.pipe(v.number(must), v.integer(must), v.minValue(least, must), v.maxValue(most, must))
}

function duration(least: string, most: string) {
  const must = `must be a duration from ${least} to ${most}, like 90s, 10m or 8h`
  const schema = v.pipe(v.string(must), v.transform(durationOrNaN), v.number(must))
  return v.pipe(schema, v.minValue(parseDuration(least), must), v.maxValue(parseDuration(most), must))
}

function durationOrNaN(text: string): number {
  try {
    return parseDuration(text)
  } catch {
    return Number.NaN
  }
}

/** An executable and what its arguments begin with, as in an `exec:` right. */
const Item = v.pipe(
  v.string('must be a command, like git or "npm test"'),
  v.rawTransform<string, ExecItem | '*'>(({ dataset, addIssue, NEVER }) => {
    try {
      const item = parseItem(dataset.value)
      if (item === '*' || item[0].startsWith('/') || !item[0].includes('/')) return item
      addIssue({ message: 'names a relative path, and nothing is ever run by one: write a bare name or an absolute path' })
    } catch (thrown) {
      addIssue({ message: `is no command: ${asErrand(thrown).message}` })
    }
    return NEVER
  }),
)

const Permission = v.pipe(
  v.string('must be a permission'),
  v.check(isPermission, 'is no permission: write one like task:submit, or a command like /task/submit'),
)

const Roles = listOf(Name, 'roles')

/** Of one agent or one skill. */
export const Conditions = v.strictObject({
  dangerous: v.optional(OnOff),
  requiredPermissions: v.optional(listOf(Permission, 'permissions')),
  allowedRoles: v.optional(Roles),
  requireDeviceTrust: v.optional(v.union([OnOff, Level], `must be true, false or one of ${TRUST.join(', ')}`)),
})
export type Conditions = v.InferOutput<typeof Conditions>

const WorkDir = v.pipe(
  Text,
  v.check((path) => path !== '' && !path.includes('\0'), 'must be a directory'),
)

const MEMORY = 'must be a size of 4MiB at least, like 512MiB or 2GiB'
const Memory = v.pipe(v.string(MEMORY), v.transform(sizeOrNaN), v.number(MEMORY), v.minValue(LIMITS.minMemoryBytes, MEMORY))
const CPU = 'must be a number of processors from 0.01 to 1024, like 0.5 or 2'
/** Becomes thousandths. */
const Cpu = v.pipe(
  v.number(CPU),
  v.transform((cpus) => Math.round(cpus * 1_000)),
  v.minValue(LIMITS.minCpuMillis, CPU),
  v.maxValue(LIMITS.maxCpuMillis, CPU),
)

function sizeOrNaN(text: string): number {
  try {
    return parseSize(text)
  } catch {
    return Number.NaN
  }
}

export const ExecPolicy = v.strictObject({
  allowedCommands: v.optional(listOf(Item, 'commands')),
  deniedCommands: v.optional(listOf(Item, 'commands')),
  allowedUsers: v.optional(listOf(Name, 'users')),
  allowedWorkDirs: v.optional(listOf(WorkDir, 'directories')),
  maxTimeout: v.optional(duration('1s', '30d')),
  requireApproval: v.optional(v.union([OnOff, listOf(Item, 'commands')], 'must be true, false or a list of commands')),
  allowInteractive: v.optional(OnOff),
  allowTty: v.optional(OnOff),
  minimumSandbox: v.optional(v.picklist(['privileges', 'processes', 'files'], 'must be one of privileges, processes, files')),
  maxMemory: v.optional(Memory),
  maxCpu: v.optional(Cpu),
  maxProcesses: v.optional(whole(1, LIMITS.maxProcesses)),
  allowNetwork: v.optional(OnOff),
})
export type ExecPolicy = v.InferOutput<typeof ExecPolicy>

/** Connections through this device. */
export const NetPolicy = v.strictObject({ allowForward: v.optional(OnOff), allowListen: v.optional(OnOff) })
export type NetPolicy = v.InferOutput<typeof NetPolicy>

export const RateLimit = v.strictObject({
  requestsPerMinute: v.optional(whole(1, 1_000_000)),
  concurrentLimit: v.optional(whole(1, 4_096)),
  queueSize: v.optional(whole(0, 1_000_000)),
  queueTimeout: v.optional(duration('1s', '30d')),
})
export type RateLimit = v.InferOutput<typeof RateLimit>

const EXPECT = ['allow', 'deny', 'approval'] as const

/** A request that the author of a policy thought of, and what is to become of it. `errand policy test` asks them all. */
export const Example = v.strictObject({
  /** `self` is the device itself. */
  who: v.optional(Name, 'somebody'),
  trust: v.optional(Level),
  role: v.optional(v.union([Name, Roles])),
  permissions: v.optional(listOf(Permission, 'permissions')),
  command: v.optional(v.union([Text, listOf(Text, 'words')])),
  skill: v.optional(Name),
  agent: v.optional(Name),
  skills: v.optional(listOf(Name, 'skills')),
  cwd: v.optional(Text),
  user: v.optional(Name),
  timeout: v.optional(duration('1s', '30d')),
  tty: v.optional(OnOff, false),
  interactive: v.optional(OnOff, false),
  expect: v.picklist(EXPECT, `must be one of ${EXPECT.join(', ')}`),
  /** A part of the reason that is given. */
  because: v.optional(Text),
})
export type Example = v.InferOutput<typeof Example>

const common = {
  version: v.optional(v.literal(1, 'must be 1: a newer errand wrote this')),
  enforceTrust: v.optional(OnOff),
  minimumTrustLevel: v.optional(Level),
  autoTrustLocal: v.optional(OnOff),
  allowedRoles: v.optional(Roles),
  agentPolicies: v.optional(v.record(Name, Conditions, 'must be a map from agents to conditions')),
  skillPolicies: v.optional(v.record(Name, Conditions, 'must be a map from skills to conditions')),
  requiredSkills: v.optional(listOf(Name, 'skills')),
  deniedSkills: v.optional(listOf(Name, 'skills')),
  exec: v.optional(ExecPolicy),
  net: v.optional(NetPolicy),
  examples: v.optional(listOf(Example, 'examples', POLICY.maxExamples)),
}

/** Of a whole device. */
export const DevicePolicy = v.strictObject({ ...common, rateLimit: v.optional(RateLimit) })
/** Of a directory and what lies below it. Rates are counted before anybody knows in which directory a command will run, so it has none. */
export const WorkspacePolicy = v.strictObject(common)
export type Policy = v.InferOutput<typeof DevicePolicy>

export type PolicyKind = 'device' | 'mesh' | 'workspace'

/** What one field means only together with another one. */
export function contradictionIn(policy: Policy, kind: PolicyKind): { readonly path: readonly string[]; readonly message: string } | undefined {
  if (policy.enforceTrust === false && policy.minimumTrustLevel !== undefined)
    return { path: ['enforceTrust'], message: 'says that trust is not looked at, and minimumTrustLevel says that it is: keep one of them' }
  const at = kind === 'workspace' ? -1 : (policy.exec?.allowedWorkDirs ?? []).findIndex((path) => !isAbsolute(path))
  if (at >= 0) return { path: ['exec', 'allowedWorkDirs', String(at)], message: 'must be an absolute directory' }
  const empty = (policy.examples ?? []).findIndex((one) => [one.command, one.skill, one.agent].filter((what) => what !== undefined).length !== 1)
  if (empty >= 0) return { path: ['examples', String(empty)], message: 'is about one thing: a command, a skill or an agent' }
  return undefined
}
