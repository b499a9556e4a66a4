/**
 * `npm run bench:authority [-- --json --rounds N --count N --seconds N --no-peers --no-siege]`: what a right costs. The kernel beside the
 * libraries of UCAN, in turn in one run, chains of one, three and five links, cold and warm; then two real nodes and a member that sends a
 * thousand hostile requests a second. Exit code 1 when the log grows by entries. The figures and how to read them: docs/decisions/0002.
 */
import { parseArgs } from 'node:util'
import { type Library, type Mode, startKernel, startPeers } from './authority-libraries.ts'
import { besiege, type Siege, siegeText } from './authority-siege.ts'
import { Cleanup, type Figures, figures, publish, type Report, round, say, shuffled, table } from './support.ts'

const DEPTHS = [1, 3, 5] as const
const MODES: readonly Mode[] = ['cold', 'warm']
/** What issue 4 asks for, p50 in milliseconds. */
const GOAL_MS = { warm5: 0.4, cold5: 2 } as const
const KERNEL_DIGITS = 3
/** Until the code is compiled, in every process. */
const WARM_UP_ROUNDS = 4

interface Options {
  readonly json: boolean
  readonly rounds: number
  readonly count: number
  readonly seconds: number
  readonly peers: boolean
  readonly siege: boolean
}

interface Case {
  readonly name: string
  readonly what: string
  readonly library: Library
  readonly mode: Mode
  readonly depth: number
}

type Seen = Readonly<Record<string, Figures>>

function casesOf(libraries: readonly Library[]): Case[] {
  return MODES.flatMap((mode) =>
    DEPTHS.flatMap((depth) =>
      libraries.map((library) => ({ name: `${library.name}-${mode}${depth}`, what: `${mode}, depth ${depth}: ${library.what}`, library, mode, depth })),
    ),
  )
}

async function measure(all: readonly Case[], { rounds, count }: Options): Promise<Seen> {
  const taken = new Map<string, number[]>(all.map(({ name }) => [name, []]))
  for (const { item } of shuffled(all, WARM_UP_ROUNDS)) await item.library.round({ mode: item.mode, depth: item.depth, count })
  for (const { round: at, item } of shuffled(all, rounds)) {
    const { library, mode, depth } = item
    taken.get(item.name)?.push(...(await library.round({ mode, depth, count })))
    if (item === all[0]) say(`round ${at + 1} of ${rounds}`)
  }
  return Object.fromEntries([...taken].map(([name, ms]) => [name, figures(ms, KERNEL_DIGITS)]))
}

/** Ours by theirs, medians: smaller is better. */
function ratiosOf(all: readonly Case[], seen: Seen): Record<string, number | null> {
  const others = all.filter(({ library }) => library.name !== 'errand')
  return Object.fromEntries(
    others.map(({ name, mode, depth }) => {
      const [ours, theirs] = [seen[`errand-${mode}${depth}`]?.p50, seen[name]?.p50]
      return [`errandVs-${name}`, ours === undefined || theirs === undefined ? null : round(ours / theirs)]
    }),
  )
}

interface Goal {
  readonly what: string
  readonly met: boolean
}

function goalsOf(seen: Seen, siege: Siege | undefined): Goal[] {
  const kernel = MODES.map((mode) => {
    const [p50, most] = [seen[`errand-${mode}5`]?.p50 ?? Number.NaN, GOAL_MS[`${mode}5`]]
    return { what: `${mode}, depth 5: p50 ${p50} ms; goal ${most} ms`, met: p50 <= most }
  })
  if (siege === undefined) return kernel
  const { honest, log } = siege
  return [
    ...kernel,
    { what: `under attack: ${honest.ratio}× of the honest peer's p99 alone; goal below 2×`, met: honest.ratio < 2 },
    { what: `the log grew by ${log.entries} entries for ${log.refusals} refusals; at most ${log.most} are counts`, met: log.byCounts },
  ]
}

function notes(peers: readonly Library[] | string, { rounds, count }: Options): string[] {
  return [
    `medians of ${rounds} rounds of ${count}, interleaved; each library in a process of its own; depth: delegations, the invocation comes on top`,
    'cold: keys and tokens never seen before; warm: the grant is known, the invocation is new',
    'errand: strict form, address, time, signature, replay, challenge, chain, revocations (200 are known), policies, closed arguments',
    '@ucans/core (UCAN 0.8, JWT): no policies, no invocations (the outermost token stands for one), no replay check; it keeps nothing, so warm saves it the keys alone',
    'iso-ucan (UCAN 1.0-rc): policies; no replay check; warm: its own cache of signatures, and delegations that were read once',
    ...(typeof peers === 'string' ? [`the libraries were left out: ${peers}`] : []),
  ]
}

async function main(cleanup: Cleanup, o: Options): Promise<void> {
  const kernel = await startKernel(cleanup)
  const peers = o.peers ? await startPeers(cleanup) : 'not asked for'
  if (typeof peers === 'string') say(`without the libraries: ${peers}`)
  const all = casesOf([kernel, ...(typeof peers === 'string' ? [] : peers)])
  const seen = await measure(all, o)
  const siege = o.siege ? await besiege(cleanup, o) : undefined
  const [ratios, goals] = [ratiosOf(all, seen), goalsOf(seen, siege)]
  const rows = all.map(({ name, what }) => ({ what, figures: seen[name] ?? null }))
  const text = [
    table('one authorization', 'ms', rows, KERNEL_DIGITS),
    'ratios of the medians (errand / library, smaller is better)',
    ...Object.entries(ratios).map(([name, value]) => `  ${name.padEnd(36)}${value === null ? '–' : `${value.toFixed(2)}×`}`),
    '',
    ...(siege === undefined ? [] : [siegeText(siege)]),
    ...goals.map(({ what, met }) => `${met ? 'met   ' : 'MISSED'}  ${what}`),
    '',
    ...notes(peers, o).map((note) => `· ${note}`),
    '',
  ].join('\n')
  publish(o, text, { ratios, milliseconds: seen, siege: siege ?? null, goals } satisfies Report)
  if (siege !== undefined && !siege.log.byCounts) process.exitCode = 1
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '7' },
      count: { type: 'string', default: '40' },
      seconds: { type: 'string', default: '15' },
      'no-peers': { type: 'boolean', default: false },
      'no-siege': { type: 'boolean', default: false },
    },
  })
  const { json, rounds, count, seconds } = values
  return { json, rounds: Number(rounds), count: Number(count), seconds: Number(seconds), peers: !values['no-peers'], siege: !values['no-siege'] }
}

const cleanup = new Cleanup()
try {
  await main(cleanup, options())
} finally {
  await cleanup.run()
}
