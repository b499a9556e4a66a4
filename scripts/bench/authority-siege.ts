/**
 * One peer floods a device with requests that no device may run, another one works: small commands of the honest peer alone, under attack, and
 * beside a process that only takes as much of the machine as the attacker does, in turn; and what the device's log holds of it afterwards.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Did } from '../../src/identity/identity.ts'
import type { Attacked, FloodAsked, FloodTold, Target } from './authority-flood.ts'
import { CLEAN_ENV, type Cleanup, endProcess, type Figures, figures, type Row, round, say, sleep, succeed, table } from './support.ts'
import { type BenchNode, errand, type Pair, startPair } from './support-nodes.ts'

const FLOOD = fileURLToPath(new URL('./authority-flood.mjs', import.meta.url))
const PER_SECOND = 1_000
const ROUNDS = 2
/** The honest peer begins a command so often, or when the last one is over. */
const HONEST_EVERY_MS = 50
const WARM_UP = 60
const SETTLE_MS = 3_000
/** Linux, wherever Node runs on it. */
const TICKS_PER_SECOND = 100
/** DenialMeter: so many refusals of one caller are recorded one by one, then one in so many seconds. */
/** What a device writes of it: a request that was refused, and a peer that was refused too often; metered apart. */
const DENIALS = ['exec.denied', 'device.refused'] as const
const METER = { atOnce: 20, everySeconds: 3 } as const

const PHASES = ['alone', 'attacked', 'crowded'] as const
type Phase = (typeof PHASES)[number]
const WHAT: Readonly<Record<Phase, string>> = {
  alone: 'alone',
  attacked: 'while a member sends hostile requests',
  crowded: 'while a process takes as much of the machine, and sends nothing',
}

interface Honest {
  readonly ms: Readonly<Record<Phase, Figures>>
  /** Processor time of the device by time, in cores: what it does for the honest peer, and for the other one on top. NaN where there is no /proc. */
  readonly cores: Readonly<Record<Phase, number>>
  /** Commands that did not run, in any phase. */
  readonly failed: number
  readonly ratio: number
  readonly ratioP50: number
  readonly crowdedRatio: number
}

export interface Siege {
  readonly honest: Honest
  readonly attack: {
    readonly perSecond: number
    readonly wanted: number
    readonly seconds: number
    readonly lost: number
    readonly answers: Record<string, number>
  }
  readonly log: { readonly entries: number; readonly most: number; readonly refusals: number; readonly counted: number; readonly byCounts: boolean }
}

export async function besiege(cleanup: Cleanup, { seconds }: { readonly seconds: number }): Promise<Siege> {
  say('starting two nodes and a hostile member')
  const pair = await startPair(cleanup, '') // its limits are those that every device begins with
  const ask = startFlood(cleanup)
  const target = await targetOf(pair.far)
  const { code } = JSON.parse((await succeed(errand(pair.near, ['invite', '--name', 'mallory', '--json']))).stdout)
  const { did } = await ask({ t: 'join', code, target })
  if (did === null) throw new Error('the hostile member has not joined')
  for (let n = 0; n < WARM_UP; n++) await pair.near.run(pair.far.name, ['true'])
  await sleep(SETTLE_MS)
  const began = performance.now()
  const seen = await phases(pair, ask, seconds)
  const { attacks } = seen
  const since = (performance.now() - began) / 1_000
  const denied = await deniedOf(pair.far, target.did, did)
  return { honest: honestOf(seen), attack: attackOf(attacks, seconds), log: logOf(denied, attacks, since) }
}

interface Taken {
  readonly taken: ReadonlyMap<Phase, readonly number[]>
  readonly attacks: readonly Attacked[]
  readonly failed: number
  readonly cores: ReadonlyMap<Phase, readonly number[]>
}

async function phases(pair: Pair, ask: Ask, seconds: number): Promise<Taken> {
  const taken = new Map<Phase, number[]>(PHASES.map((phase) => [phase, []]))
  const attacks: Attacked[] = []
  let failed = 0
  const cores = new Map<Phase, number[]>(PHASES.map((phase) => [phase, []]))
  const during = async (phase: Phase, work: Promise<unknown>): Promise<void> => {
    const [cpu, began] = [cpuSeconds(pair.far.pid), performance.now()]
    const all = await honestly(pair, work)
    cores.get(phase)?.push((cpuSeconds(pair.far.pid) - cpu) / ((performance.now() - began) / 1_000))
    taken.get(phase)?.push(...all.filter((ms) => !Number.isNaN(ms)))
    failed += all.filter(Number.isNaN).length
    const { p50, p99 } = figures(taken.get(phase) ?? [])
    say(`${phase}: p50 ${p50} ms, p99 ${p99} ms so far`)
  }
  for (let at = 0; at < ROUNDS; at++) {
    await ask({ t: 'load', count: Math.ceil(seconds * PER_SECOND) })
    await sleep(SETTLE_MS)
    await during('alone', sleep(seconds * 1_000))
    const attack = ask({ t: 'attack', seconds, perSecond: PER_SECOND })
    await during('attacked', attack)
    const { attacked } = await attack
    if (attacked !== null) attacks.push(attacked)
    await sleep(SETTLE_MS)
    await during('crowded', ask({ t: 'burn', seconds, share: Math.min(1, attacked?.share ?? 0) }))
  }
  return { taken, attacks, failed, cores }
}

function cpuSeconds(pid: number): number {
  try {
    const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11, 13).map(Number) ?? []
    return ((user ?? Number.NaN) + (system ?? Number.NaN)) / TICKS_PER_SECOND
  } catch {
    return Number.NaN
  }
}

/** Small commands until the work is over. @returns what each took, milliseconds; NaN: it did not run. */
async function honestly({ near, far }: Pair, work: Promise<unknown>): Promise<number[]> {
  const taken: number[] = []
  let isOver = false
  const over = work.finally(() => (isOver = true))
  while (!isOver) {
    const ms = await near.run(far.name, ['true']).catch((thrown: unknown) => {
      say(`an honest command did not run: ${String(thrown)}`)
      return Number.NaN
    })
    taken.push(ms)
    await sleep(Math.max(0, HONEST_EVERY_MS - (Number.isNaN(ms) ? 0 : ms)))
  }
  await over
  return taken
}

type Ask = (asked: FloodAsked) => Promise<Extract<FloodTold, { t: 'done' }>>

function startFlood(cleanup: Cleanup): Ask {
  const child: ChildProcess = fork(FLOOD, [], { env: CLEAN_ENV, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  cleanup.add(() => endProcess(child))
  return (asked) =>
    new Promise((resolve, reject) => {
      const over = (code: number | null): void => reject(new Error(`the hostile member ended with ${code}`))
      child.once('exit', over)
      child.once('message', (told: FloodTold) => {
        child.off('exit', over)
        if (told.t === 'done') resolve(told)
        else reject(new Error(told.why))
      })
      child.send(asked)
    })
}

async function targetOf({ client }: BenchNode): Promise<Target> {
  const { did, addresses } = await client.status()
  const address = addresses.find((one) => one.includes('/tcp/'))
  if (address === undefined) throw new Error('the device listens nowhere')
  return { did: did as Did, address }
}

/** What the device's own log holds of that caller's refusals: how many earlier ones each entry counts. */
async function deniedOf({ client }: BenchNode, device: string, actor: Did): Promise<number[]> {
  const counted: number[] = []
  for (const action of DENIALS) {
    for await (const entry of client.audit({ actor, action, limit: 100_000 })) {
      if (entry.device === device) counted.push(Number(/\(and (\d+) more refusals before\)/.exec(JSON.stringify(entry))?.[1] ?? 0))
    }
  }
  return counted
}

function honestOf({ taken, failed, cores: shares }: Taken): Honest {
  const mean = (phase: Phase): number => round((shares.get(phase) ?? []).reduce((sum, one) => sum + one, 0) / Math.max(1, shares.get(phase)?.length ?? 0))
  const cores = { alone: mean('alone'), attacked: mean('attacked'), crowded: mean('crowded') }
  const seen = (phase: Phase): Figures => figures(taken.get(phase) ?? [])
  const ms = { alone: seen('alone'), attacked: seen('attacked'), crowded: seen('crowded') }
  const { alone, attacked, crowded } = ms
  return { ms, cores, failed, ratio: round(attacked.p99 / alone.p99), ratioP50: round(attacked.p50 / alone.p50), crowdedRatio: round(crowded.p99 / alone.p99) }
}

function attackOf(attacks: readonly Attacked[], seconds: number): Siege['attack'] {
  const answers: Record<string, number> = {}
  for (const attack of attacks) for (const [answer, n] of Object.entries(attack.answers)) answers[answer] = (answers[answer] ?? 0) + n
  const sum = (of: (attack: Attacked) => number): number => attacks.reduce((all, attack) => all + of(attack), 0)
  return { perSecond: round(sum(({ sent }) => sent) / (seconds * attacks.length), 0), wanted: PER_SECOND, seconds, lost: sum(({ lost }) => lost), answers }
}

function logOf(denied: readonly number[], attacks: readonly Attacked[], seconds: number): Siege['log'] {
  const refusals = attacks.flatMap(({ answers }) => Object.entries(answers)).reduce((all, [answer, n]) => (answer === 'cut' ? all : all + n), 0)
  const most = DENIALS.length * (METER.atOnce + Math.ceil(seconds / METER.everySeconds) + 1)
  const counted = denied.reduce((all, n) => all + n, 0)
  return { entries: denied.length, most, refusals, counted, byCounts: denied.length <= most && denied.length > 0 }
}

export function siegeText({ honest, attack, log }: Siege): string {
  const rows = PHASES.map((phase): Row => ({ what: WHAT[phase], figures: honest.ms[phase] }))
  const { alone, attacked, crowded } = honest.cores
  const answers = Object.entries(attack.answers).sort(([, a], [, b]) => b - a)
  return [
    table('one small command of an honest peer', 'ms', rows),
    `  ${honest.ratio}× in its p99 and ${honest.ratioP50}× in its p50 under attack; ${honest.crowdedRatio}× in its p99 from sharing the machine alone; ${honest.failed} commands did not run`,
    `  the device used ${alone} cores alone, ${attacked} under attack, ${crowded} on the shared machine`,
    `  ${attack.perSecond} hostile requests a second reached the device (${attack.wanted} were to be sent), ${attack.lost} connections lost: ${answers.map(([answer, n]) => `${answer} ${n}`).join(', ')}`,
    `  the log of the device grew by ${log.entries} entries for ${log.refusals} refusals; they count ${log.counted} more between them`,
    '',
  ].join('\n')
}
