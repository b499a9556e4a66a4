/**
 * How fast the audit log records: `node scripts/run.mjs bench/audit [--json]`. Rounds of serial appends, of 64 writers and of 64 writers
 * whose command lines are long are interleaved in one database; then everything is verified and questions are asked. Medians are printed.
 * Each append is encoded, hashed, chained, signed by group and synced to LevelDB in a temporary directory before it counts.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AuditLog } from '../../src/audit/log.ts'
import { query } from '../../src/audit/query.ts'
import { verifyLogs } from '../../src/audit/verify.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Identity } from '../../src/identity/identity.ts'
import { Store } from '../../src/store/level.ts'

const ROUNDS = 7
const ROUND_MS = 1_000
const CASES = [
  { name: 'serial', writers: 1, argv: ['make', 'test'] },
  { name: '64 writers', writers: 64, argv: ['make', 'test'] },
  { name: '64 writers, 2 KiB commands', writers: 64, argv: ['sh', '-c', 'x'.repeat(2_000)] },
] as const

interface Round {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

async function measure(log: AuditLog, writers: number, command: string[]): Promise<Round> {
  const started = performance.now()
  const tookMs: number[] = []
  const write = async (): Promise<void> => {
    while (performance.now() - started < ROUND_MS) {
      const before = performance.now()
      await log.append({
        actor: log.device,
        action: 'exec.start',
        result: 'allowed',
        subject: command[0] ?? null,
        task: '019aa3c1-0000-7000-8000-000000000001',
        details: { command },
      })
      tookMs.push(performance.now() - before)
    }
  }
  await Promise.all(Array.from({ length: writers }, write))
  tookMs.sort((a, b) => a - b)
  const at = (share: number): number => tookMs[Math.floor(share * (tookMs.length - 1))] ?? 0
  return { perSecond: (tookMs.length * 1_000) / (performance.now() - started), p50Ms: at(0.5), p99Ms: at(0.99) }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const before = performance.now()
  await act()
  return performance.now() - before
}

async function run(dir: string): Promise<Readonly<Record<string, unknown>>> {
  await using store = await Store.open(dir)
  const mesh = systemRandom(32)
  const log = await AuditLog.open({ store: store.logs, identity: new Identity(systemRandom(32)), mesh, clock: systemClock })
  await measure(log, 64, ['warm', 'up'])
  const rounds = new Map<string, Round[]>(CASES.map(({ name }) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, writers, argv } of CASES) rounds.get(name)?.push(await measure(log, writers, [...argv]))
  }
  const reader = { store: store.logs, mesh }
  const verifyMs = await timed(() => verifyLogs(reader, { own: log.device }))
  const last50Ms = await timed(async () => {
    for await (const found of query(reader, { limit: 50 })) if (found.t === 'problem') throw new Error(found.problem.words)
  })
  const appends = [...rounds].map(([name, all]) => [
    name,
    {
      perSecond: Math.round(median(all.map((one) => one.perSecond))),
      p50Ms: round2(median(all.map((one) => one.p50Ms))),
      p99Ms: round2(median(all.map((one) => one.p99Ms))),
    },
  ])
  return { appends: Object.fromEntries(appends), entries: log.head()?.n, verifyMs: Math.round(verifyMs), last50Ms: round2(last50Ms), node: process.version }
}

function round2(value: number): number {
  return Math.round(value * 100) / 100
}

const dir = await mkdtemp(join(tmpdir(), 'errand-bench-audit-'))
try {
  const report = await run(dir)
  console.log(process.argv.includes('--json') ? JSON.stringify(report) : JSON.stringify(report, null, 2))
} finally {
  await rm(dir, { recursive: true, force: true })
}
