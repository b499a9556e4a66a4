/**
 * What policies say about one request. Pure but for what they have to see of this device (`Ground`). Every layer is asked, each can only
 * narrow: a no of one is a no, a question of one is a question, and the shortest time-out counts.
 */
import type { Limits } from '../../protocols/task/limits.ts'
import { narrowest, sayLimits } from '../authority/limits.ts'
import { sayDuration } from '../base/duration.ts'
import { allowedBy, type Command, deniedBy, type Ground, sayItem } from './commands.ts'
import { type Conditions, type ExecPolicy, type Policy, TRUST, type Trust } from './schema.ts'

/** One policy and where it stands. */
export interface Layer {
  /** As it is said to whoever is refused: `policy.yaml`, `.errand/security.yaml`. */
  readonly name: string
  readonly policy: Policy
  readonly hash: string
  readonly lineOf: (path: readonly string[]) => number
  /** Of a workspace: what its relative directories are relative to. */
  readonly root: string | null
}

export interface Request {
  readonly isSelf: boolean
  /** What the owner says of the caller's device; undefined where nothing was said. */
  readonly trust: Trust | undefined
  readonly roles: readonly string[]
  /** Whether the caller's rights hold a permission, like `task:submit` or `/exec/run`. */
  readonly may: (permission: string) => boolean
  readonly exec?: ExecRequest
  /** To be connected somewhere, or listened for. */
  readonly net?: 'connect' | 'listen'
  readonly agent?: string
  readonly skill?: string
  /** Skills that an agent is to use. */
  readonly skills?: readonly string[]
}

export interface ExecRequest extends Command {
  /** Real; null where there is no such directory. */
  readonly cwd: string | null
  /** '' is the node's own. */
  readonly user: string
  /** 0 is none. */
  readonly timeoutMs: number
  readonly tty: boolean
  readonly stdin: boolean
  /** What its caller wants it held to. */
  readonly limits?: Limits | undefined
}

export interface No {
  readonly t: 'deny' | 'approval'
  /** Dotted, like `exec.deniedCommands`. */
  readonly rule: string
  readonly layer: Layer
  readonly detail: string
  readonly hint?: string
}

export type Ruling = { readonly t: 'allow' /** The time-out that is enforced. */; readonly timeoutMs: number | null } | No

type Said = { readonly rule: readonly string[]; readonly why: string; readonly hint?: string } | undefined
type Rule = (policy: Policy, request: Request, on: { readonly ground: Ground; readonly layer: Layer }) => Said

/** Whether the caller's device is trusted as far as is demanded here. */
export function judgeTrust(layers: readonly Layer[], request: Request): Ruling {
  for (const layer of layers) {
    const demanded = demandedTrust(layer.policy)
    const trust = trustOf(layer.policy, request)
    if (demanded === undefined || atLeast(trust, demanded)) continue
    const rule = layer.policy.minimumTrustLevel === undefined ? ['enforceTrust'] : ['minimumTrustLevel']
    const why = `${trust === undefined ? 'nobody has said that your device is trusted' : `your device is ${trust}`}, and ${demanded} is asked for here`
    return no('deny', layer, { rule, why, hint: `an owner can say so: errand device trust DEVICE ${demanded}` })
  }
  return { t: 'allow', timeoutMs: null }
}

export function judgePolicy(layers: readonly Layer[], request: Request, ground: Ground): Ruling {
  for (const layer of layers) {
    for (const rule of RULES) {
      const said = rule(layer.policy, request, { ground, layer })
      if (said !== undefined) return no('deny', layer, said)
    }
  }
  for (const layer of layers) {
    const said = approvalFor(layer.policy, request, ground)
    if (said !== undefined) return no('approval', layer, said)
  }
  return { t: 'allow', timeoutMs: shortest(layers) }
}

/** @returns the shortest of the time-outs; null where nobody set one. */
export function shortest(layers: readonly Layer[]): number | null {
  const bounds = layers.flatMap(({ policy }) => policy.exec?.maxTimeout ?? [])
  return bounds.length === 0 ? null : Math.min(...bounds)
}

/** All that they hold a command to. */
export function heldTo(layers: readonly Layer[]): Limits {
  return narrowest(layers.map(({ policy }) => limitsIn(policy)))
}

function limitsIn({ exec }: Policy): Limits {
  return {
    ...(exec?.minimumSandbox === undefined ? {} : { sandbox: exec.minimumSandbox }),
    ...(exec?.maxMemory === undefined ? {} : { memoryBytes: exec.maxMemory }),
    ...(exec?.maxCpu === undefined ? {} : { cpuMillis: exec.maxCpu }),
    ...(exec?.maxProcesses === undefined ? {} : { processes: exec.maxProcesses }),
    ...(exec?.allowNetwork === false ? { network: false } : {}),
  }
}

function no(t: No['t'], layer: Layer, { rule, why, hint }: NonNullable<Said>): No {
  const at = `${layer.name} line ${layer.lineOf(rule)}`
  return { t, layer, rule: rule.join('.'), detail: `${why} (${rule.join('.')}, ${at})`, ...(hint === undefined ? {} : { hint }) }
}

function demandedTrust({ enforceTrust, minimumTrustLevel }: Policy): Trust | undefined {
  return minimumTrustLevel ?? (enforceTrust === true ? 'verified' : undefined)
}

/** A device trusts itself, unless its policy says that it has to be told. */
function trustOf({ autoTrustLocal = true }: Policy, { isSelf, trust }: Request): Trust | undefined {
  return isSelf && autoTrustLocal ? 'trusted' : trust
}

function atLeast(trust: Trust | undefined, demanded: Trust): boolean {
  return TRUST.indexOf(trust ?? 'untrusted') >= TRUST.indexOf(demanded)
}

const roles: Rule = ({ allowedRoles }, request) => rolesIn(allowedRoles, request, ['allowedRoles'])

const agents: Rule = (policy, request) => {
  const { agent, skills = [] } = request
  if (agent === undefined) return undefined
  const lacking = policy.requiredSkills?.find((skill) => !skills.includes(skill))
  if (lacking !== undefined) return { rule: ['requiredSkills'], why: `no agent runs here without the skill ${lacking}` }
  return conditions(named(policy.agentPolicies, agent), request, { policy, path: ['agentPolicies', agent], what: `the agent ${agent}` })
}

const skills: Rule = (policy, request) => {
  for (const skill of skillsOf(request)) {
    if (policy.deniedSkills?.includes(skill) === true) return { rule: ['deniedSkills'], why: `the skill ${skill} is denied here` }
    const said = conditions(named(policy.skillPolicies, skill), request, { policy, path: ['skillPolicies', skill], what: `the skill ${skill}` })
    if (said !== undefined) return said
  }
  return undefined
}

const commands: Rule = ({ exec }, request, { ground }) => {
  if (request.exec === undefined || exec === undefined) return undefined
  const { exe } = request.exec
  const denied = deniedBy(exec.deniedCommands ?? [], request.exec, ground)
  if (denied !== undefined) return { rule: ['exec', 'deniedCommands'], why: `${sayItem(denied)} is denied here` }
  if (exec.allowedCommands === undefined || allowedBy(exec.allowedCommands, request.exec, ground) !== undefined) return undefined
  const all = exec.allowedCommands.map(sayItem)
  const why = all.length === 0 ? 'no command is allowed here' : `${clip(exe)} is not among the commands allowed here: ${clip(all.join(', '))}`
  return { rule: ['exec', 'allowedCommands'], why }
}

const people: Rule = ({ exec }, request, { ground }) => {
  if (request.exec === undefined || exec?.allowedUsers === undefined) return undefined
  const user = request.exec.user === '' ? ground.user : request.exec.user
  if (exec.allowedUsers.includes(user)) return undefined
  return { rule: ['exec', 'allowedUsers'], why: `nothing runs here as ${clip(user)}, only as ${said(exec.allowedUsers)}` }
}

const directories: Rule = ({ exec }, request, { ground, layer }) => {
  if (request.exec === undefined || exec?.allowedWorkDirs === undefined) return undefined
  const { cwd } = request.exec
  const within = exec.allowedWorkDirs.map((path) => absolute(path, layer)).some((path) => cwd !== null && isBelow(cwd, ground.directory(path) ?? path))
  if (within) return undefined
  return {
    rule: ['exec', 'allowedWorkDirs'],
    why: `nothing runs here in ${clip(cwd ?? 'a directory that is not there')}, only in ${said(exec.allowedWorkDirs)}`,
  }
}

const shape: Rule = ({ exec }, request) => {
  if (request.exec === undefined || exec === undefined) return undefined
  const { timeoutMs, tty, stdin } = request.exec
  if (tty && exec.allowTty === false) return { rule: ['exec', 'allowTty'], why: 'no terminals are given here' }
  if (stdin && exec.allowInteractive === false) return { rule: ['exec', 'allowInteractive'], why: 'no command here gets an input' }
  if (exec.maxTimeout === undefined || timeoutMs <= exec.maxTimeout) return undefined
  const most = sayDuration(exec.maxTimeout)
  return {
    rule: ['exec', 'maxTimeout'],
    why: `a command may take ${most} here, and ${sayDuration(timeoutMs)} was asked for`,
    hint: `run it with --timeout ${most}`,
  }
}

/** Who asks for more than there is hears of it; who asks for nothing is held to it all the same. */
const bounds: Rule = (policy, { exec }) => {
  const [asked, most] = [exec?.limits ?? {}, limitsIn(policy)]
  for (const [name, field, say] of [
    ['memoryBytes', 'maxMemory', '--memory'],
    ['cpuMillis', 'maxCpu', '--cpu'],
    ['processes', 'maxProcesses', 'processes'],
  ] as const) {
    const [wanted, bound] = [asked[name], most[name]]
    if (wanted === undefined || bound === undefined || wanted <= bound) continue
    const why = `a command may take ${sayLimits({ [name]: bound })} here, and ${sayLimits({ [name]: wanted })} was asked for`
    return { rule: ['exec', field], why, hint: `ask for no more with ${say}, or for nothing: it is held to that in any case` }
  }
  return undefined
}

/** What goes through a connection is in no recording: a policy that records every command or terminal refuses them, here and nowhere else. */
const connections: Rule = ({ net: policy }, { net }) => {
  if (net === 'connect' && policy?.allowForward === false) return { rule: ['net', 'allowForward'], why: 'this device connects nowhere for others' }
  if (net === 'listen' && policy?.allowListen === false) return { rule: ['net', 'allowListen'], why: 'this device listens for nobody' }
  return undefined
}

/** In the order in which they are said. */
const RULES: readonly Rule[] = [roles, connections, agents, skills, commands, people, directories, shape, bounds]

function approvalFor(policy: Policy, request: Request, ground: Ground): Said {
  const dangerous = skillsOf(request).find((skill) => named(policy.skillPolicies, skill)?.dangerous === true)
  if (dangerous !== undefined)
    return { rule: ['skillPolicies', dangerous, 'dangerous'], why: `the skill ${dangerous} is dangerous: somebody has to approve it` }
  const { agent } = request
  if (agent !== undefined && named(policy.agentPolicies, agent)?.dangerous === true)
    return { rule: ['agentPolicies', agent, 'dangerous'], why: `the agent ${agent} is dangerous: somebody has to approve it` }
  return request.exec === undefined ? undefined : execApproval(policy.exec, request.exec, ground)
}

function execApproval(exec: ExecPolicy | undefined, command: Command, ground: Ground): Said {
  const asked = exec?.requireApproval ?? false
  const matched = typeof asked === 'boolean' ? asked : deniedBy(asked, command, ground) !== undefined
  return matched ? { rule: ['exec', 'requireApproval'], why: `${clip(command.exe)} has to be approved here` } : undefined
}

function conditions(given: Conditions | undefined, request: Request, on: { policy: Policy; path: readonly string[]; what: string }): Said {
  if (given === undefined) return undefined
  const said = rolesIn(given.allowedRoles, request, [...on.path, 'allowedRoles'])
  if (said !== undefined) return said
  const lacking = given.requiredPermissions?.find((permission) => !request.may(permission))
  if (lacking !== undefined) return { rule: [...on.path, 'requiredPermissions'], why: `${on.what} needs the permission ${lacking}` }
  const { requireDeviceTrust = false } = given
  const demanded = typeof requireDeviceTrust === 'boolean' ? 'trusted' : requireDeviceTrust
  if (requireDeviceTrust === false || atLeast(trustOf(on.policy, request), demanded)) return undefined
  return { rule: [...on.path, 'requireDeviceTrust'], why: `${on.what} is for devices that are ${demanded}` }
}

/** Roles are what others come with; the device itself comes with none and needs none. */
function rolesIn(allowed: readonly string[] | undefined, { isSelf, roles: held }: Request, rule: readonly string[]): Said {
  if (allowed === undefined || isSelf || held.some((role) => allowed.includes(role))) return undefined
  const who = held.length === 0 ? 'you come with no role' : `you come as ${said(held)}`
  return { rule, why: `${who}, and ${allowed.length === 0 ? 'no role is allowed here' : `only ${said(allowed)} may do this here`}` }
}

/** A name that the caller chose: never one that every object has. */
function named(all: Readonly<Record<string, Conditions>> | undefined, name: string): Conditions | undefined {
  return all !== undefined && Object.hasOwn(all, name) ? all[name] : undefined
}

/** Of a request for one, and of one for an agent that uses several. */
function skillsOf({ skill, skills: used = [] }: Request): readonly string[] {
  return skill === undefined ? used : [skill, ...used]
}

function absolute(path: string, { root }: Layer): string {
  return path.startsWith('/') || root === null ? path : path === '.' ? root : `${root === '/' ? '' : root}/${path}`
}

function isBelow(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

const MAX_SAID_CHARS = 160

function said(words: readonly string[]): string {
  return words.length === 0 ? 'none' : clip(words.join(', '))
}

function clip(text: string): string {
  return text.length > MAX_SAID_CHARS ? `${text.slice(0, MAX_SAID_CHARS)}…` : text
}
