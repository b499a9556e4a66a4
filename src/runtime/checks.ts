/**
 * What a request has to pass after the kernel has proven its right. Each check is one question with words of its own, and can only narrow:
 * none of them can make a no of the kernel a yes. They are asked in the order of STEPS when a request comes, and again when what has waited
 * is about to start. A check looks and changes nothing.
 */
import type { Judged } from '../../protocols/host/messages.ts'
import type { AnyRecord } from '../authority/token.ts'
import type { Admission } from '../authority/verify.ts'
import { ErrandError } from '../base/errors.ts'
import type { Did } from '../identity/identity.ts'

/** The order is part of the security argument: what concerns the whole device first, what a person has to be asked for last. */
export const STEPS = ['others', 'lockdown', 'clock', 'freshness', 'session', 'trust', 'policy', 'sandbox', 'rate', 'approval'] as const
export type Step = (typeof STEPS)[number]

/** A request whose right is proven. */
export interface Asked {
  /** Who asks, as the connection proved it. */
  readonly caller: Did
  /** Like `/exec/run`. */
  readonly command: string
  /** As declared, and within the closed schema of the command. */
  readonly args: AnyRecord
  /** '' where it is about none, or about all. */
  readonly task: string
  readonly admission: Pick<Admission, 'invocation' | 'chain' | 'expiresAt'>
}

export interface Refused {
  readonly ok: false
  /** Stable, for programs: becomes `fields.reason`. */
  readonly code: string
  /** In plain words, with the actual values. */
  readonly detail: string
  readonly hint?: string
  readonly fields?: Readonly<Record<string, unknown>>
  /** It is a no for now only. */
  readonly retryAfterMs?: number
  /** It is no refusal yet: a person may still say yes, and the task waits for that. */
  readonly waitsFor?: 'approval'
  /** With `waitsFor`: how many different people have to say yes. Default 1. */
  readonly approvals?: number
  /** What it went by, for the log. */
  readonly applied?: string
}

export interface Allowed {
  readonly ok: true
  readonly detail: string
  /** What the executor has to keep to. */
  readonly judged?: Judged
  /** What it went by, for the log; what is another one when it starts is no longer this yes. */
  readonly applied?: string
  /** How it will be held while it runs, for the log. */
  readonly held?: string
}

export type Verdict = Allowed | Refused

export interface Check {
  readonly step: Step
  judge(asked: Asked, when: 'admission' | 'start'): Verdict | Promise<Verdict>
}

/** What the checks of a request that passes all of them ask of its start. */
export interface Passed {
  readonly ok: true
  readonly judged: Judged
  /** '' where nothing was gone by. */
  readonly applied: string
  /** '' where nothing holds it. */
  readonly held: string
}

/** `judged`, where it only waits for a yes: what the executor has to keep to once there is one. */
export type Stopped = Refused & { readonly step: Step; readonly judged?: Judged; readonly held?: string }

/**
 * Asks all checks, up to the first that refuses. What only waits for a yes refuses nothing yet: the checks behind it are asked all the same,
 * and it is returned when none of them refuses, with the most people that any of them wants. A check that fails counts as a no: it throws.
 */
export async function passAll(checks: readonly Check[], asked: Asked, when: 'admission' | 'start'): Promise<Passed | Stopped> {
  let passed: Pick<Passed, 'judged' | 'held'> = { judged: {}, held: '' }
  let waits: Stopped | undefined
  const applied: string[] = []
  for (const check of inOrder(checks)) {
    const verdict = check.judge(asked, when)
    const seen = verdict instanceof Promise ? await verdict : verdict
    if (!seen.ok && seen.waitsFor === undefined) return { ...seen, step: check.step }
    if (seen.ok) passed = also(passed, seen)
    else waits = waits === undefined ? { ...seen, step: check.step } : both(waits, seen)
    if (seen.applied !== undefined && seen.applied !== '' && !applied.includes(seen.applied)) applied.push(seen.applied)
  }
  const said = { ...passed, applied: applied.join(' ') }
  return waits === undefined ? { ok: true, ...said } : { ...waits, ...said }
}

function also({ judged, held }: Pick<Passed, 'judged' | 'held'>, more: Allowed): Pick<Passed, 'judged' | 'held'> {
  return { judged: { ...judged, ...more.judged }, held: more.held ?? held }
}

function both(one: Stopped, other: Refused): Stopped {
  return { ...one, detail: `${one.detail}; and ${other.detail}`, approvals: Math.max(one.approvals ?? 1, other.approvals ?? 1) }
}

/** @returns the first check that does not let the request pass, or undefined. */
export async function firstRefusal(checks: readonly Check[], asked: Asked, when: 'admission' | 'start'): Promise<Stopped | undefined> {
  const seen = await passAll(checks, asked, when)
  return seen.ok ? undefined : seen
}

/** What each check says, in their order, up to and with the first no. */
export async function verdicts(checks: readonly Check[], asked: Asked, when: 'admission' | 'start'): Promise<(Verdict & { readonly step: Step })[]> {
  const said: (Verdict & { readonly step: Step })[] = []
  for (const check of inOrder(checks)) {
    const verdict = await check.judge(asked, when)
    said.push({ ...verdict, step: check.step })
    if (!verdict.ok) break
  }
  return said
}

/** The same refusal for whoever asked, and for the log. */
export function deniedBy({ code, detail, hint, fields, step, retryAfterMs }: Refused & { readonly step: Step }): ErrandError {
  const later = retryAfterMs === undefined ? {} : { retryAfterMs }
  return new ErrandError(retryAfterMs === undefined ? 'DENIED' : 'TOO_BUSY', detail, {
    ...{ retryable: retryAfterMs !== undefined, ...(hint === undefined ? {} : { hint }) },
    fields: { ...fields, ...later, reason: code, step },
  })
}

function inOrder(checks: readonly Check[]): readonly Check[] {
  return [...checks].sort((a, b) => STEPS.indexOf(a.step) - STEPS.indexOf(b.step))
}

/** Other devices may run something here, as far as their rights go; or this device alone. */
export class OthersCheck implements Check {
  readonly step = 'others'

  constructor(private readonly on: { readonly self: Did; readonly allowsOthers: boolean }) {}

  judge({ caller }: Asked): Verdict {
    if (this.on.allowsOthers || caller === this.on.self) return { ok: true, detail: 'this device runs things for other devices' }
    const hint = 'on that device: errand config set security.allowRemoteSessions true, and a restart'
    return { ok: false, code: 'REMOTE_OFF', detail: 'this device runs nothing for other devices', hint }
  }
}
