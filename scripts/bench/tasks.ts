/**
 * `npm run bench:tasks [-- --json --rounds N --count N --tasks N --no-redis]`: what tasks cost. Short tasks on one real node, every change
 * synced, from their submission to their end, beside BullMQ on a real Redis that syncs every write, in turn, both starting the same process;
 * then the journal alone, with 100,000 tasks in it unless told otherwise. The figures and how to read them: docs/testing.md.
 */
import { parseArgs } from 'node:util'
import { type BullMq, type Round, startBullMq } from './redis.ts'
import { Cleanup, type Figures, figures, publish, type Report, type Row, round, say, shuffled, table } from './support.ts'
import { type JournalFigures, measureJournal } from './task-journal.ts'
import { ErrandTasks } from './task-rounds.ts'

/** How many tasks are in flight, and how many of them make a round. */
const DEPTHS = [1, 16, 64] as const

interface Options {
  readonly json: boolean
  readonly rounds: number
  readonly count: number
  readonly tasks: number
  readonly redis: boolean
}

interface Seen {
  readonly perSecond: Figures
  readonly latencyMs: Figures
}

interface Case {
  readonly name: string
  readonly what: string
  readonly inFlight: number
  run(): Promise<Round>
}

function casesOf(errand: ErrandTasks, bullmq: BullMq | undefined, count: number): Case[] {
  return DEPTHS.flatMap((inFlight) => {
    const of = { inFlight, count: inFlight === 1 ? Math.ceil(count / 5) : count }
    const ours: Case = { name: `errand${inFlight}`, what: `errand, ${inFlight} in flight`, inFlight, run: () => errand.round(of) }
    if (bullmq === undefined) return [ours]
    return [ours, { name: `bullmq${inFlight}`, what: `BullMQ, ${inFlight} in flight`, inFlight, run: () => bullmq.round(of) }]
  })
}

async function measure(all: readonly Case[], rounds: number): Promise<Record<string, Seen>> {
  const taken = new Map<string, { perSecond: number[]; latencies: number[] }>(all.map(({ name }) => [name, { perSecond: [], latencies: [] }]))
  for (const { run } of all) await run() // warm: the code is compiled, files exist
  for (const { round: at, item } of shuffled(all, rounds)) {
    const { perSecond, latencies } = await item.run()
    taken.get(item.name)?.perSecond.push(perSecond)
    taken.get(item.name)?.latencies.push(...latencies)
    say(`round ${at + 1} of ${rounds}: ${item.what} ${perSecond.toFixed(0)} tasks/s`)
  }
  return Object.fromEntries([...taken].map(([name, { perSecond, latencies }]) => [name, { perSecond: figures(perSecond), latencyMs: figures(latencies) }]))
}

/** Ours by theirs: throughput (larger is better) and latency (smaller is better), medians of the rounds and of all tasks. */
function ratiosOf(seen: Readonly<Record<string, Seen>>): Record<string, number | null> {
  const ratio = (of: (one: Seen) => number, inFlight: number): number | null => {
    const [ours, theirs] = [seen[`errand${inFlight}`], seen[`bullmq${inFlight}`]]
    return ours === undefined || theirs === undefined ? null : round(of(ours) / of(theirs))
  }
  return Object.fromEntries(
    DEPTHS.flatMap((inFlight) => [
      [`throughput${inFlight}VsBullMq`, ratio(({ perSecond }) => perSecond.p50, inFlight)],
      [`latency${inFlight}VsBullMq`, ratio(({ latencyMs }) => latencyMs.p50, inFlight)],
    ]),
  )
}

function journalText({ tasks, startMs, asked, filling, tasksPerSecond }: JournalFigures): string {
  const questions = Object.entries(asked).map(([what, { p50Ms, p99Ms }]) => `  ${what.padEnd(28)}${p50Ms.toFixed(2)} / ${p99Ms.toFixed(2)} ms`)
  return [
    `the journal alone, ${tasks} tasks: opened in ${startMs} ms; memory while it filled ${filling.memoryMiB.join(', ')} MiB`,
    ...questions,
    ...Object.entries(tasksPerSecond).map(([what, n]) => `  ${what.padEnd(28)}${n} tasks/s`),
    '',
  ].join('\n')
}

async function main(cleanup: Cleanup, o: Options): Promise<void> {
  const errand = await ErrandTasks.start(cleanup)
  const bullmq = o.redis ? await startBullMq(cleanup) : 'not asked for'
  if (typeof bullmq === 'string') say(`without BullMQ: ${bullmq}`)
  const all = casesOf(errand, typeof bullmq === 'string' ? undefined : bullmq, o.count)
  const seen = await measure(all, o.rounds)
  const journal = await measureJournal(cleanup.directory(), o.tasks)
  const ratios = ratiosOf(seen)
  const rows = (of: (one: Seen) => Figures): Row[] => all.map(({ name, what }) => ({ what, figures: seen[name] === undefined ? null : of(seen[name]) }))
  const text = [
    table(
      'tasks a second',
      'tasks/s',
      rows(({ perSecond }) => perSecond),
    ),
    table(
      'from submission to the end, as told',
      'ms',
      rows(({ latencyMs }) => latencyMs),
    ),
    'ratios of the medians (errand / BullMQ; throughput larger, latency smaller is better)',
    ...Object.entries(ratios).map(([name, value]) => `  ${name.padEnd(28)}${value === null ? '–' : `${value.toFixed(2)}×`}`),
    '',
    journalText(journal),
    '· each task starts the process `true` and is over when it has exited; each change is on the disk before it is told',
    `· ${typeof bullmq === 'string' ? `BullMQ was left out: ${bullmq}` : bullmq.version}`,
    '',
  ].join('\n')
  publish({ json: o.json }, text, { ratios, tasks: seen, journal, beside: typeof bullmq === 'string' ? null : bullmq.version } satisfies Report)
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      count: { type: 'string', default: '1000' },
      tasks: { type: 'string', default: '100000' },
      'no-redis': { type: 'boolean', default: false },
    },
  })
  return { json: values.json, rounds: Number(values.rounds), count: Number(values.count), tasks: Number(values.tasks), redis: !values['no-redis'] }
}

const cleanup = new Cleanup()
try {
  await main(cleanup, options())
} finally {
  await cleanup.run()
}
