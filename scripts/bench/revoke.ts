/**
 * `npm run bench:revoke [-- --json --rounds N --devices N]`: how soon every device of a mesh has a revocation on its disk and its revoker
 * knows it. Every device is a node of its own, on loopback; each round gives a right on one of them and takes it back on the founder.
 */
import { parseArgs } from 'node:util'
import { Cleanup, figures, finish, publish, round, say, sleep, succeed, table } from './support.ts'
import { type BenchNode, errand, startNode } from './support-nodes.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, rounds: { type: 'string', default: '20' }, devices: { type: 'string', default: '20' } },
})
const [rounds, count] = [Number(values.rounds), Number(values.devices)]
/** What issue 4 asks for. */
const BUDGET_MS = 2_000
const MEET_MS = 120_000

async function join(founder: BenchNode, cleanup: Cleanup, directory: string): Promise<BenchNode[]> {
  const devices: BenchNode[] = []
  for (let n = 1; n <= count; n++) {
    const node = await startNode(cleanup, directory, `d${n}`)
    await joined(founder, node)
    devices.push(node)
    if (n % 5 === 0) say(`${n} devices have joined`)
  }
  return devices
}

/** On a machine that is busy with twenty nodes a line may break in the middle: then once more, with a fresh code. */
async function joined(founder: BenchNode, node: BenchNode, tries = 5): Promise<void> {
  const { code } = JSON.parse((await succeed(errand(founder, ['invite', '--name', node.name, '--json']))).stdout)
  const { exitCode, stdout } = await finish(errand(node, ['join', code, '--yes', '--json']))
  if (exitCode === 0) return
  if (tries === 0) throw new Error(`"${node.name}" cannot join: ${stdout}`)
  say(`"${node.name}" tries again to join: ${stdout.trim()}`)
  await joined(founder, node, tries - 1)
}

async function allLines({ client }: BenchNode): Promise<void> {
  const deadline = performance.now() + MEET_MS
  for (;;) {
    const lines = (await client.devices()).filter(({ path }) => path === 'direct').length
    if (lines >= count) return
    if (performance.now() > deadline) throw new Error(`the founder has ${lines} lines of ${count}`)
    await sleep(200)
  }
}

/** @returns milliseconds to each device's acknowledgement. */
async function once({ client }: BenchNode, on: BenchNode, to: BenchNode): Promise<number[]> {
  const [given] = await client.grant({ who: to.name, on: on.name, can: ['exec: true'], forMs: 3_600_000 })
  const done = await client.revoke({ grant: given?.cid ?? '' })
  if (done.acks.length !== count) throw new Error(`${done.acks.length} of ${count} devices have acknowledged: ${JSON.stringify(done.unreachable)}`)
  return done.acks.map(({ ms }) => ms)
}

async function main(): Promise<void> {
  const cleanup = new Cleanup()
  try {
    const directory = cleanup.directory()
    const founder = await startNode(cleanup, directory, 'founder')
    const devices = await join(founder, cleanup, directory)
    await allLines(founder)
    const [each, last]: [number[], number[]] = [[], []]
    for (let n = 0; n < rounds; n++) {
      const [on, to] = [devices[n % count], devices[(n + 1) % count]]
      if (on === undefined || to === undefined) break
      const took = await once(founder, on, to)
      each.push(...took)
      last.push(Math.max(...took))
    }
    const [one, all] = [figures(each), figures(last)]
    const rows = [
      { what: 'one device', figures: one },
      { what: `the last of ${count}`, figures: all },
    ]
    const report = { ratios: {}, devices: count, rounds, budgetMs: BUDGET_MS, one, all, ok: all.p99 <= BUDGET_MS }
    publish(values, table('revoked → acknowledged, on the disk', 'ms', rows), report)
    if (!report.ok) process.exitCode = 1
    say(`p99 of the last of ${count}: ${round(report.all.p99, 0)} ms; at most ${BUDGET_MS} ms are allowed`)
  } finally {
    await cleanup.run()
  }
}

await main()
