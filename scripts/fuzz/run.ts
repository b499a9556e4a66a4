/** Feeds a door and watches it: what it throws, how long it takes, what it keeps. */
import { type Door, isExpected, Wrong } from './door.ts'
import { inputOf } from './inputs.ts'

export const FUZZ_LIMITS = {
  /** No input may keep a door busy for longer. Time of the processor, not of the wall: machines are shared. */
  hangMs: 100,
  /** What the process may have grown by when a door has been fed. */
  growthBytes: 192 << 20,
  /** Findings of one door that are kept; more of them say nothing new. */
  findings: 5,
} as const

export interface Finding {
  readonly n: number
  readonly what: string
  readonly inputHex: string
}

export interface Fed {
  readonly door: string
  readonly count: number
  readonly taken: number
  /** Refusals by code. */
  readonly refused: Readonly<Record<string, number>>
  readonly slowestMs: number
  readonly grownMiB: number
  readonly seconds: number
  readonly findings: readonly Finding[]
}

export interface Plan {
  readonly seed: number
  readonly count: number
  /** The number of the first input. */
  readonly from?: number
}

export async function feed(door: Door, { seed, count, from = 0 }: Plan): Promise<Fed> {
  const refused: Record<string, number> = {}
  const findings: Finding[] = []
  let [taken, slowestMs] = [0, 0]
  const before = process.memoryUsage.rss()
  const startedAt = performance.now()
  let most = before
  for (let n = from; n < from + count && findings.length < FUZZ_LIMITS.findings; n++) {
    const input = inputOf(door.name, { seed, n, seeds: door.seeds })
    const said = await once(door, input)
    if (said.what !== undefined) findings.push({ n, what: said.what, inputHex: Buffer.from(input.subarray(0, 200)).toString('hex') })
    if (said.refused === undefined) taken++
    else refused[said.refused] = (refused[said.refused] ?? 0) + 1
    slowestMs = Math.max(slowestMs, said.ms)
    if (n % 100 !== 0) continue
    await new Promise((resolve) => setImmediate(resolve)) // as between two packets: what waits for a turn of the loop is no growth
    most = Math.max(most, process.memoryUsage.rss())
  }
  const grown = most - before
  if (grown > FUZZ_LIMITS.growthBytes) findings.push({ n: from + count, what: `the process grew by ${mebibytes(grown)} MiB`, inputHex: '' })
  const seconds = (performance.now() - startedAt) / 1_000
  return { door: door.name, count, taken, refused, slowestMs, grownMiB: mebibytes(grown), seconds, findings }
}

interface Once {
  readonly ms: number
  readonly refused?: string
  /** What is wrong with that. */
  readonly what?: string
}

async function once(door: Door, input: Uint8Array): Promise<Once> {
  const [first, wall] = await timed(door, input)
  if (wall < FUZZ_LIMITS.hangMs) return { ...first, ms: wall }
  // Slow, or only kept waiting by others on this machine: what counts is what the processor did, at its best of three.
  const tries = [await worked(door, input), await worked(door, input), await worked(door, input)]
  const ms = Math.min(...tries)
  return ms > FUZZ_LIMITS.hangMs ? { ...first, ms, what: `${Math.round(ms)} ms of work for ${input.length} bytes` } : { ...first, ms }
}

async function timed(door: Door, input: Uint8Array): Promise<[Omit<Once, 'ms'>, number]> {
  const began = performance.now()
  const said = await outcome(door, input)
  return [said, performance.now() - began]
}

async function worked(door: Door, input: Uint8Array): Promise<number> {
  const began = process.cpuUsage()
  await outcome(door, input)
  const { user, system } = process.cpuUsage(began)
  return (user + system) / 1_000
}

async function outcome(door: Door, input: Uint8Array): Promise<Omit<Once, 'ms'>> {
  try {
    const answer = door.feed(input)
    if (answer instanceof Promise) await answer
    return {}
  } catch (thrown) {
    const named = thrown instanceof Error ? thrown.name : String(thrown)
    if (isExpected(thrown)) return { refused: named }
    const words = thrown instanceof Error ? thrown.message : ''
    return { refused: named, what: thrown instanceof Wrong ? words : `it threw ${named}: ${words.slice(0, 200)}` }
  }
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / (1 << 20))
}
