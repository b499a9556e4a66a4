/**
 * What the benchmarks share: processes timed from start to end, samples, a table, one line of JSON, and a way to leave nothing behind.
 * NODE_EXTRA_CA_CERTS is unset for every process: Node 20 parses such a bundle for 70 ms at every start, which says nothing about either program.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

export const CLEAN_ENV: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(NODE_EXTRA_CA_CERTS|NODE_OPTIONS|ERRAND_HOME|SSH_AUTH_SOCK)$/.test(name)),
)

/** Undone in reverse order at the end, also after an error or a signal. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = []
  #running: Promise<void> | undefined

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void this.run().finally(() => process.exit(130)))
  }

  add(step: () => unknown): void {
    this.#steps.push(step)
  }

  /** A private directory that goes at the end. */
  directory(): string {
    const path = mkdtempSync(join(tmpdir(), 'errand-bench-'))
    this.add(() => rmSync(path, { recursive: true, force: true }))
    return path
  }

  run(): Promise<void> {
    this.#running ??= this.#undo()
    return this.#running
  }

  async #undo(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step()
      } catch (error) {
        process.stderr.write(`cleaning up: ${String(error)}\n`)
      }
    }
  }
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  /** Without it CLEAN_ENV. */
  readonly env?: NodeJS.ProcessEnv
}

export interface Finished {
  readonly ms: number
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number | null
}

/** From just before the start of the process to the end of its output. */
export function finish({ file, args, env = CLEAN_ENV }: Command): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const texts = { stdout: '', stderr: '' }
    const startedAt = performance.now()
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.on('data', (chunk: Buffer) => (texts.stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (texts.stderr += chunk.toString()))
    child.once('error', reject)
    child.once('close', (exitCode) => resolve({ ms: performance.now() - startedAt, ...texts, exitCode }))
  })
}

/** As `finish`, for a command that must succeed. @throws with what it said on stderr. */
export async function succeed(command: Command): Promise<Finished> {
  const done = await finish(command)
  if (done.exitCode === 0) return done
  throw new Error(`${[command.file, ...command.args].join(' ').slice(0, 400)}: exit code ${done.exitCode}\n${done.stderr || done.stdout}`)
}

/** Asks a process to end, then makes it; resolves when it has. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 8_000)
  await gone
  clearTimeout(timer)
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export interface Figures {
  readonly n: number
  readonly p50: number
  readonly p99: number
  readonly min: number
  readonly max: number
}

export function figures(values: readonly number[], digits = 2): Figures {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number => round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN, digits)
  return { n: sorted.length, p50: at(0.5), p99: at(0.99), min: at(0), max: at(1) }
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits))
}

/** The order of each round: every case once, shuffled by a fixed seed, so that no case always follows the same other. */
export function* shuffled<T>(cases: readonly T[], rounds: number): Generator<{ round: number; item: T }> {
  let seed = 0x2545f491
  const next = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  for (let round = 0; round < rounds; round++) {
    const order = [...cases]
    while (order.length > 0) for (const item of order.splice(next(order.length), 1)) yield { round, item }
  }
}

export interface Row {
  readonly what: string
  readonly figures: Figures | null
  readonly note?: string
}

export function table(title: string, unit: string, rows: readonly Row[], digits = 1): string {
  const width = Math.max(...rows.map(({ what }) => what.length))
  const cell = (value: number): string => value.toFixed(digits).padStart(8)
  const line = ({ what, figures: seen, note }: Row): string => {
    const cells = seen === null ? '       –       –       –       –' : [seen.p50, seen.p99, seen.min, seen.max].map(cell).join('')
    return `  ${what.padEnd(width)}${cells}${seen === null ? '' : `  n=${seen.n}`}${note === undefined ? '' : `  ${note}`}`
  }
  return [`${title} (${unit})`, `  ${''.padEnd(width)}     p50     p99     min     max`, ...rows.map(line), ''].join('\n')
}

export interface Options {
  readonly json: boolean
  readonly rounds: number
  readonly mib: number
  /** A Node 24 to measure the command line with; '' lets the benchmark look for one. */
  readonly node24: string
}

/** @throws for an unknown option. */
export function readOptions(defaults: { rounds: number; mib?: number }): Options {
  const { values } = parseArgs({
    options: { json: { type: 'boolean', default: false }, rounds: { type: 'string' }, mib: { type: 'string' }, node24: { type: 'string', default: '' } },
  })
  const count = (given: string | undefined, fallback: number): number => {
    const value = given === undefined ? fallback : Number(given)
    if (!Number.isInteger(value) || value < 1) throw new Error(`not a count: ${given}`)
    return value
  }
  return { json: values.json, rounds: count(values.rounds, defaults.rounds), mib: count(values.mib, defaults.mib ?? 1), node24: values.node24 }
}

export interface Report {
  readonly ratios: Readonly<Record<string, number | null>>
  readonly [more: string]: unknown
}

/** The table is talk when JSON is asked for; the last line of stdout is the report. */
export function publish(options: Pick<Options, 'json'>, text: string, report: Report): void {
  const machine = {
    node: process.version,
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? '',
    load: loadavg().map((value) => round(value)),
    platform: `${process.platform}-${process.arch}`,
  }
  if (!options.json) return void process.stdout.write(text)
  process.stderr.write(text)
  process.stdout.write(`${JSON.stringify({ ...report, machine })}\n`)
}

export function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
