/**
 * `npm run big [-- --gib N --json]`: `yes | head -c N` (100 GiB unless said otherwise) on another device, three times: with a reader that
 * is slow and then stops for a while, with one that stops from the first byte on, and with none, detached. Every byte that is not counted
 * as dropped must arrive, and no process may grow by 64 MiB: both daemons, the exec-host, the command line. Exits 1 otherwise.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Cleanup, publish, round, say, sleep, succeed } from './support.ts'
import { type BenchNode, errandRun, type Pair, residentMib, startPair } from './support-nodes.ts'

const GIB = 2 ** 30
const MIB = 2 ** 20
const GROWTH_MIB = 64
const LOOK_MS = 100
const BLOCK = Buffer.from('y\n'.repeat(1 << 20))

/** The most that each process has had, above what it had at rest. */
class Growth {
  readonly #rest = new Map<string, number>()
  readonly #most = new Map<string, number>()
  readonly #timer: NodeJS.Timeout

  constructor(private readonly processes: Map<string, number>) {
    for (const [name, pid] of processes) this.#rest.set(name, residentMib(pid))
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
  }

  /** What it has when it first prints counts as rest. */
  add(name: string, pid: number): void {
    this.#rest.set(name, residentMib(pid))
    this.processes.set(name, pid)
  }

  end(): Record<string, number> {
    clearInterval(this.#timer)
    return Object.fromEntries([...this.#most].map(([name, most]) => [name, round(most - (this.#rest.get(name) ?? Number.NaN), 1)]))
  }

  #look(): void {
    for (const [name, pid] of this.processes) {
      const now = residentMib(pid)
      if (!Number.isNaN(now)) this.#most.set(name, Math.max(now, this.#most.get(name) ?? 0))
    }
  }
}

interface Result {
  readonly reader: string
  readonly seconds: number
  readonly received: number
  readonly dropped: number
  readonly growthMib: Readonly<Record<string, number>>
  readonly wrong: readonly string[]
}

interface Reading {
  readonly child: ChildProcess
  readonly bytes: () => number
  readonly isTrue: () => boolean
  readonly exitCode: Promise<number | null>
}

/** Compares what arrives with what `yes` prints, without keeping it. */
function reading(child: ChildProcess): Reading {
  let bytes = 0
  let isTrue = true
  child.stdout?.on('data', (chunk: Buffer) => {
    const odd = bytes % 2
    if (chunk.length <= BLOCK.length - 1 && !chunk.equals(BLOCK.subarray(odd, odd + chunk.length))) isTrue = false
    bytes += chunk.length
  })
  const exitCode = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { child, bytes: () => bytes, isTrue: () => isTrue, exitCode }
}

function writer(bytes: number): string[] {
  return ['sh', '-c', `yes | head -c ${bytes}`]
}

/** @param pace what the reader does before it reads on as fast as it can. */
async function attached(
  pair: Pair,
  growth: Growth,
  o: { bytes: number; pace: (stdout: NonNullable<ChildProcess['stdout']>) => Promise<void> },
): Promise<Reading> {
  const { file, args, env } = errandRun(pair, writer(o.bytes))
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const read = reading(child)
  if (child.stdout === null) throw new Error('no stdout')
  await new Promise((resolve) => child.stdout?.once('data', resolve))
  growth.add('command line', child.pid ?? 0)
  await o.pace(child.stdout)
  return read
}

async function stops(stdout: NonNullable<ChildProcess['stdout']>, ms: number): Promise<void> {
  stdout.pause()
  await sleep(ms)
  stdout.resume()
}

/** About 20 MiB a second for a while: a pause behind every other chunk. */
async function crawls(stdout: NonNullable<ChildProcess['stdout']>, ms: number): Promise<void> {
  const until = performance.now() + ms
  while (performance.now() < until) {
    await new Promise((resolve) => stdout.once('data', resolve))
    await stops(stdout, 6)
  }
}

async function withReader(
  pair: Pair,
  o: { reader: string; bytes: number; pace: (stdout: NonNullable<ChildProcess['stdout']>) => Promise<void> },
): Promise<Result> {
  const growth = new Growth(processesOf(pair))
  const began = performance.now()
  const read = await attached(pair, growth, o)
  const exitCode = await read.exitCode
  const growthMib = growth.end()
  const wrong = [...tooMuch(growthMib)]
  if (read.bytes() !== o.bytes) wrong.push(`${read.bytes()} of ${o.bytes} bytes`)
  if (!read.isTrue()) wrong.push('other bytes')
  if (exitCode !== 0) wrong.push(`exit code ${exitCode}`)
  return { reader: o.reader, seconds: round((performance.now() - began) / 1_000, 1), received: read.bytes(), dropped: 0, growthMib, wrong }
}

/** Nobody reads while it runs; then what was kept is read, and held against what is said to be dropped. */
async function withoutReader(pair: Pair, bytes: number): Promise<Result> {
  const growth = new Growth(processesOf(pair))
  const began = performance.now()
  const { task } = await pair.near.client.submit({ device: pair.far.name, command: writer(bytes) })
  let seen = await pair.near.client.task(task)
  for (; seen.endedAt === null; seen = await pair.near.client.task(task)) await sleep(LOOK_MS)
  const seconds = round((performance.now() - began) / 1_000, 1)
  let [received, dropped] = [0, 0]
  const onStdout = (chunk: Uint8Array): void => {
    received += chunk.length
  }
  const onSkipped = (bytesMissing: number): void => {
    dropped += bytesMissing
  }
  await pair.near.client.attach({ task, from: 0, follow: true }, { onStdout, onSkipped })
  const growthMib = growth.end()
  const wrong = [...tooMuch(growthMib)]
  if (seen.exitCode !== 0) wrong.push(`exit code ${seen.exitCode ?? seen.why}`)
  if (seen.stdoutBytes !== bytes) wrong.push(`said to have printed ${seen.stdoutBytes}`)
  if (received + dropped !== bytes) wrong.push(`${received} kept and ${dropped} said to be dropped are not ${bytes}`)
  return { reader: 'none', seconds, received, dropped, growthMib, wrong }
}

function tooMuch(growth: Readonly<Record<string, number>>): string[] {
  return Object.entries(growth).flatMap(([name, mib]) => (mib < GROWTH_MIB ? [] : [`the ${name} grew by ${mib} MiB`]))
}

function processesOf({ near, far }: Pair): Map<string, number> {
  return new Map([
    ['near daemon', near.pid],
    ['far daemon', far.pid],
    ['exec-host', execHostOf(far)],
  ])
}

function execHostOf({ pid }: BenchNode): number {
  const found = readdirSync('/proc').find((name) => /^\d+$/.test(name) && isHostOf(name, pid))
  if (found === undefined) throw new Error('no exec-host is seen in /proc')
  return Number(found)
}

function isHostOf(name: string, parent: number): boolean {
  try {
    return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('exec-host') && readFileSync(`/proc/${name}/status`, 'utf8').includes(`PPid:\t${parent}\n`)
  } catch {
    return false
  }
}

function textOf({ reader, seconds, received, dropped, growthMib, wrong }: Result): string {
  const grown = Object.entries(growthMib).map(([name, mib]) => `${name} ${mib}`)
  const rate = round((received + dropped) / MIB / seconds, 0)
  return `  ${reader.padEnd(8)} ${`${seconds} s`.padStart(9)} ${`${rate} MiB/s`.padStart(12)}  dropped ${dropped}  grown by MiB: ${grown.join(', ')}  ${wrong.length === 0 ? 'ok' : `FAULT: ${wrong.join('; ')}`}\n`
}

const cleanup = new Cleanup()
try {
  const { values } = parseArgs({ options: { json: { type: 'boolean', default: false }, gib: { type: 'string', default: '100' } } })
  const bytes = Math.round(Number(values.gib) * GIB)
  const waitMs = Math.min(60_000, 3_000 + Number(values.gib) * 1_000)
  const pair = await startPair(cleanup)
  await succeed(errandRun(pair, ['sh', '-c', `yes | head -c ${4 * MIB}`])) // every way has been gone once
  say(`${values.gib} GiB with a slow reader, a stopped one and none`)
  const slow = await withReader(pair, { reader: 'slow', bytes, pace: (stdout) => crawls(stdout, waitMs) })
  const stopped = await withReader(pair, { reader: 'stopped', bytes, pace: (stdout) => stops(stdout, waitMs) })
  const results = [slow, stopped, await withoutReader(pair, bytes)]
  publish(values, `yes | head -c ${bytes}\n${results.map(textOf).join('')}`, { ratios: {}, bytes, results })
  process.exitCode = results.every(({ wrong }) => wrong.length === 0) ? 0 : 1
} finally {
  await cleanup.run()
}
