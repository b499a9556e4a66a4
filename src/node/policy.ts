/** The policies of a node: its file and who keeps an eye on it, the checks that come of them, and how much each caller may ask for. */
import { rmSync } from 'node:fs'
import type { Limits } from '../../protocols/task/limits.ts'
import type { Fact } from '../audit/facts.ts'
import { systemClock as clock, every } from '../base/clock.ts'
import { lookAround } from '../exec/look.ts'
import type { Did } from '../identity/identity.ts'
import { LOOK_MS, POLICY_FILE, PolicyKeeper, type PolicyNews } from '../policy/keeper.ts'
import { MESH_NAME, MeshPolicy } from '../policy/mesh.ts'
import { holds } from '../policy/permissions.ts'
import { Workspaces } from '../policy/workspace.ts'
import type { Asked, Check } from '../runtime/checks.ts'
import { GrantRates } from '../runtime/grant-rates.ts'
import type { PlaceBounds } from '../runtime/places.ts'
import { PolicyDesk, type Standings } from '../runtime/policy-desk.ts'
import { RateGate } from '../runtime/rates.ts'
import { writeWhole } from './home.ts'
import type { NodeParts } from './parts.ts'

/** Beside the sockets: what held when the file was last good. */
export const LAST_FILE = 'policy.last.yaml'
/** What the mesh's policy says, for `errand policy show`. */
export const MESH_FILE = 'policy.mesh.yaml'

export interface Policies {
  readonly checks: readonly Check[]
  readonly rates: RateGate
  /** How often grants were used; one of the checks. */
  readonly uses: GrantRates
  /** What they hold a command to. */
  limitsOf(asked: Asked): Limits
  boundsOf(caller: string): Partial<PlaceBounds>
  /** Told of every change: it may let somebody in who waits, or end what was let in. */
  onChange(changed: () => void): void
  /** What a person should mend. */
  problem(): string | undefined
  stop(): void
}

export interface PoliciesOn {
  readonly audit: { append(fact: Fact): Promise<unknown> }
  /** What an owner gave the mesh. */
  readonly meshText: () => string | undefined
  readonly of?: Partial<Standings>
}

export function openPolicies(p: Pick<NodeParts, 'home' | 'config' | 'device' | 'log'>, on: PoliciesOn): Policies {
  const self = p.device.did
  const owner = { uid: process.getuid?.() ?? 0 }
  const changed: (() => void)[] = []
  const teller =
    (name: string) =>
    (news: PolicyNews): void => {
      p.log(`policy ${news.t}`, { name, ...news })
      void on.audit.append(factOf(news, { name, self })).catch(() => undefined) // the log is held back: it is in errand.log and in the status
      for (const tell of changed) tell()
    }
  const told = teller(POLICY_FILE)
  const keeper = new PolicyKeeper({ path: p.home.at(POLICY_FILE), lastPath: p.home.at('run', LAST_FILE), owner, clock, write: writeWhole, told })
  const mesh = new MeshPolicy({ text: on.meshText, told: teller(MESH_NAME), keep: (text) => keepMesh(p.home.at('run', MESH_FILE), text) })
  const of: Standings = {
    trustOf: () => undefined,
    may: holds,
    ...on.of,
    rolesOf: (chain, caller) => [...new Set([...adminOf(chain), ...(on.of?.rolesOf?.(chain, caller) ?? [])])],
  }
  const desk = new PolicyDesk({ self, standings: [keeper, mesh], workspaces: new Workspaces(owner), ground: lookAround({ path: p.config.exec.path }), of })
  const { requestsPerMinute } = p.config.deployment
  const uses = new GrantRates(clock)
  return {
    checks: [...desk.checks(), uses],
    uses,
    rates: new RateGate({ clock, self, perMinute: () => desk.rates('now').requestsPerMinute ?? requestsPerMinute }),
    boundsOf: () => boundsIn(desk),
    limitsOf: (asked) => desk.limitsOf(asked),
    onChange: (act) => void changed.push(act),
    problem: () => keeper.problem ?? mesh.problem,
    stop: every(clock, LOOK_MS, () => {
      keeper.look()
      mesh.look()
    }),
  }
}

function boundsIn(desk: PolicyDesk): Partial<PlaceBounds> {
  const { concurrentLimit, queueSize, queueTimeout } = desk.rates('held')
  return {
    ...(concurrentLimit === undefined ? {} : { atOnce: concurrentLimit }),
    ...(queueSize === undefined ? {} : { queueSize }),
    ...(queueTimeout === undefined ? {} : { queueTimeoutMs: queueTimeout }),
  }
}

function keepMesh(path: string, text: string): void {
  try {
    if (text === '') rmSync(path, { force: true })
    else writeWhole(path, Buffer.from(text))
  } catch {
    // A full disk: the policy holds all the same, only `errand policy show` does not know.
  }
}

/** Whoever holds everything comes as an admin, by whatever way. */
function adminOf(chain: readonly { readonly cmd: string; readonly pol: readonly unknown[] }[]): readonly string[] {
  return chain.length > 0 && chain.every(({ cmd, pol }) => cmd === '/' && pol.length === 0) ? ['admin'] : []
}

function factOf(news: PolicyNews, { name, self }: { name: string; self: Did }): Fact {
  const { t, hash } = news
  const details = { ...(hash === undefined ? {} : { policyApplied: `${name}@${hash}` }), ...(news.t === 'invalid' ? { reason: news.why } : {}) }
  return { actor: self, action: `policy.${t}`, result: t === 'invalid' ? 'failed' : 'ok', subject: self, details }
}
