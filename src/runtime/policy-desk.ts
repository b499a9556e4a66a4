/**
 * The policies of this device as checks: what is asked, in the words that policies know; and which of them have a say. The device's own file and
 * the mesh's count for everything, those of workspaces for commands that run in them.
 */
import type { Judged } from '../../protocols/host/messages.ts'
import type { Limits } from '../../protocols/task/limits.ts'
import { shapeOf } from '../../protocols/wire.ts'
import { ExecRunArgs } from '../authority/commands.ts'
import { isUnbounded } from '../authority/limits.ts'
import { NetForwardArgs } from '../authority/net-args.ts'
import { NET_COMMAND } from '../authority/net-rights.ts'
import type { Delegation } from '../authority/token.ts'
import type { Did } from '../identity/identity.ts'
import type { Ground } from '../policy/commands.ts'
import { type ExecRequest, heldTo, judgePolicy, judgeTrust, type Layer, type No, type Request, type Ruling, shortest } from '../policy/judge.ts'
import type { Standing } from '../policy/keeper.ts'
import type { RateLimit, Trust } from '../policy/schema.ts'
import type { BadWorkspace, Workspaces } from '../policy/workspace.ts'
import type { Asked, Check, Step, Verdict } from './checks.ts'

/** What others know of callers. */
export interface Standings {
  /** undefined: nobody has said anything. */
  trustOf(did: Did): Trust | undefined
  rolesOf(chain: readonly Delegation[], caller: Did): readonly string[]
  /** Whether these rights hold a permission, like `task:submit` or `/exec/run`. */
  may(chain: readonly Delegation[], permission: string): boolean
}

export interface PolicyDeskOn {
  readonly self: Did
  /** Of this device, then of the mesh. */
  readonly standings: readonly { standing(): Standing; readonly held: Standing }[]
  readonly workspaces: Workspaces
  readonly ground: Ground
  readonly of: Standings
}

/** One request and all that has a say in it. */
interface Case {
  readonly request: Request
  readonly layers: readonly Layer[]
  /** Where a command would run; undefined for what is no command. */
  readonly cwd: string | null | undefined
  readonly closed: string | undefined
  readonly spoilt: BadWorkspace | undefined
  readonly applied: string
}

/** Asked for a rate, a policy that says nothing leaves it to the configuration. */
export type Rates = { readonly [Name in keyof RateLimit]-?: number | undefined }

export class PolicyDesk {
  /** The checks of one pass see one state of the files. */
  readonly #cases = new WeakMap<Asked, Case>()

  constructor(private readonly on: PolicyDeskOn) {}

  /** In the order of their steps. */
  checks(): readonly Check[] {
    return [
      this.#check('trust', (one) => this.#trust(one)),
      this.#check('policy', (one) => this.#policy(one)),
      this.#check('approval', (one) => this.#approval(one)),
    ]
  }

  /** The narrowest of what the policies say of rates. @param when 'now' looks at the files first; 'held' is for questions that come by the dozen. */
  rates(when: 'now' | 'held'): Rates {
    const limits = this.on.standings.flatMap((one) => (when === 'now' ? one.standing() : one.held).layers).map(({ policy }) => policy.rateLimit ?? {})
    const least = (name: keyof RateLimit): number | undefined => {
      const said = limits.flatMap((limit) => limit[name] ?? [])
      return said.length === 0 ? undefined : Math.min(...said)
    }
    return {
      ...{ requestsPerMinute: least('requestsPerMinute'), concurrentLimit: least('concurrentLimit') },
      ...{ queueSize: least('queueSize'), queueTimeout: least('queueTimeout') },
    }
  }

  /** What the policies hold a command to, as they are in this pass. */
  limitsOf(asked: Asked): Limits {
    return heldTo(this.#caseOf(asked).layers)
  }

  #check(step: Step, judge: (one: Case) => Verdict): Check {
    return { step, judge: (asked) => judge(this.#caseOf(asked)) }
  }

  #trust({ request, layers, closed, applied }: Case): Verdict {
    if (closed !== undefined && !request.isSelf) {
      const hint = 'on that device: errand policy check'
      return { ok: false, code: 'POLICY_BROKEN', detail: `the policy of this device cannot be read (${closed})`, hint, applied: 'broken' }
    }
    return verdictOf(judgeTrust(layers, request), 'UNTRUSTED', applied)
  }

  #policy({ request, layers, cwd, spoilt, applied }: Case): Verdict {
    if (spoilt !== undefined) {
      const hint = 'mend it on that device, or run it elsewhere: errand policy check FILE says what is wrong'
      return { ok: false, code: 'WORKSPACE_POLICY_BROKEN', detail: `${spoilt.path}: ${spoilt.why}`, hint, applied: 'broken' }
    }
    const ruling = judgePolicy(layers, request, this.on.ground)
    if (ruling.t !== 'deny') return { ok: true, detail: sayLayers(layers), judged: judgedOf(ruling, { request, layers, cwd }), applied }
    return verdictOf(ruling, 'POLICY', applied)
  }

  #approval({ request, layers, applied }: Case): Verdict {
    const ruling = judgePolicy(layers, request, this.on.ground)
    if (ruling.t !== 'approval') return { ok: true, detail: 'nobody has to approve it' }
    return { ...refusal(ruling, 'APPROVAL_NEEDED', applied), waitsFor: 'approval' }
  }

  #caseOf(asked: Asked): Case {
    const known = this.#cases.get(asked)
    if (known !== undefined) return known
    const made = this.#look(asked)
    this.#cases.set(asked, made)
    return made
  }

  #look(asked: Asked): Case {
    const { standings, workspaces } = this.on
    const all = standings.map((one) => one.standing())
    const base = all.flatMap(({ layers }) => layers)
    const closed = all.find((one) => one.closed !== undefined)?.closed
    const args = asked.command === '/exec/run' ? shapeOf(ExecRunArgs, asked.args) : undefined
    const cwd = args === undefined ? undefined : this.on.ground.directory(args.cwd)
    const found = typeof cwd === 'string' ? workspaces.above(cwd) : ({ ok: true, layers: [] } as const)
    const layers = found.ok ? [...base, ...found.layers] : base
    const exec = args === undefined || cwd === undefined || layers.length === 0 ? undefined : this.#exec(args, cwd)
    const applied = layers.map(({ name, hash }) => `${name}@${hash}`).join(' ')
    return { request: this.#request(asked, exec), layers, cwd, closed, spoilt: found.ok ? undefined : found, applied }
  }

  #exec({ exe, argv, user, timeoutMs, tty, stdin, limits }: ExecRunArgs, cwd: string | null): ExecRequest {
    return { exe, argv, program: this.on.ground.program(exe), cwd, user, timeoutMs, tty, stdin, limits }
  }

  #request({ caller, command, args, admission: { chain } }: Asked, exec: ExecRequest | undefined): Request {
    const { self, of } = this.on
    const isSelf = caller === self
    const [agent, skill, skills] = [args['agent'], args['skill'], args['skills']]
    return {
      ...{ isSelf, trust: of.trustOf(caller), roles: of.rolesOf(chain, caller), may: (permission: string) => isSelf || of.may(chain, permission) },
      ...(exec === undefined ? {} : { exec }),
      ...(command === NET_COMMAND ? { net: shapeOf(NetForwardArgs, args).mode } : {}),
      ...(typeof agent === 'string' ? { agent } : {}),
      ...(typeof skill === 'string' ? { skill } : {}),
      ...(Array.isArray(skills) ? { skills: skills.filter((one) => typeof one === 'string') } : {}),
    }
  }
}

/** What the executor must find again: the directory always, since a policy may lie there the next moment; the program where one was looked at. */
function judgedOf(ruling: Ruling, { request, layers, cwd }: Pick<Case, 'request' | 'layers' | 'cwd'>): Judged {
  if (cwd === undefined) return {}
  const bound = ruling.t === 'allow' ? ruling.timeoutMs : shortest(layers)
  const limits = heldTo(layers)
  return {
    cwd,
    ...(request.exec === undefined ? {} : { file: request.exec.program.file }),
    ...(bound === null ? {} : { timeoutMs: bound }),
    ...(isUnbounded(limits) ? {} : { limits }),
  }
}

function verdictOf(ruling: Ruling, code: string, applied: string): Verdict {
  return ruling.t === 'deny' ? refusal(ruling, code, applied) : { ok: true, detail: 'no policy asks for more trust' }
}

function refusal({ rule, detail, layer, hint }: No, code: string, applied: string): Verdict & { ok: false } {
  const next = hint ?? `what that device allows is in its ${layer.name}: errand policy show, there`
  return { ok: false, code, detail, hint: next, fields: { rule, policy: `${layer.name}@${layer.hash}` }, applied }
}

function sayLayers(layers: readonly Layer[]): string {
  return layers.length === 0 ? 'no policy narrows it' : `as ${layers.map(({ name }) => name).join(' and ')} say`
}
