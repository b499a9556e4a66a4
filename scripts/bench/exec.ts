/**
 * `npm run bench:exec [-- --json --rounds N --node24 PATH]`: how long one small command takes, errand beside OpenSSH.
 * Everything runs in turn in the same minutes on the same machine, since machines drift; only the ratios of one run mean something.
 * Both sides run the user's shell with `-c true` on the other end: that is what sshd does with a command.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { startSsh } from './ssh.ts'
import { Cleanup, type Command, figures, finish, type Options, publish, type Row, readOptions, round, say, shuffled, sleep, succeed, table } from './support.ts'
import { cutConnections, errand, errandRun, node24, type Pair, residentMib, startPair } from './support-nodes.ts'

const SHELL = userInfo().shell ?? '/bin/sh'
const COMMAND = [SHELL, '-c', 'true'] as const
const WARM_UP_ROUNDS = 10
/** Cold cases cost a quarter of a second each; every fifth round is enough for a median. */
const COLD_EVERY = 5
const SETTLE_MS = 5_000

interface Case {
  readonly name: string
  readonly what: string
  readonly cold: boolean
  /** @returns milliseconds; undefined when this time it could not be measured. */
  run(): Promise<number | undefined>
}

async function cases(pair: Pair, cleanup: Cleanup, options: Options): Promise<{ all: Case[]; ssh: string; node24: string | null }> {
  const ssh = await startSsh(cleanup)
  const other = process.version.startsWith('v24.') ? undefined : await node24(options.node24)
  const timed = (command: Parameters<typeof succeed>[0]) => async () => (await succeed(command)).ms
  const warm = (name: string, what: string, run: Case['run']): Case => ({ name, what, cold: false, run })
  const on24 =
    other === undefined
      ? []
      : [
          warm('warmCliNode24', 'errand run, Node 24: its process from start to exit', timed(errandRun(pair, COMMAND, other))),
          warm('statusNode24', 'errand status, Node 24', timed(errand(pair.near, ['status', '--json'], other))),
          warm('bareNode24', 'node -e 0, Node 24: what no program for it can undercut', timed(bare(other))),
        ]
  const all: Case[] = [
    warm('warmDaemon', 'errand, inside the daemon (a program around its node)', () => pair.near.run(pair.far.name, COMMAND)),
    warm('warmClient', 'errand, from another program through the local client', () => throughClient(pair)),
    warm('controlMaster', 'ssh over a ControlMaster: its process from start to exit', timed(ssh.warm('true'))),
    warm('warmCli', `errand run, Node ${process.versions.node.split('.')[0]}: its process from start to exit`, timed(errandRun(pair, COMMAND))),
    warm('status', 'errand status', timed(errand(pair.near, ['status', '--json']))),
    warm('bareNode', 'node -e 0', timed(bare(process.execPath))),
    ...on24,
    { name: 'cold', what: 'errand, connection cut before: dial, Noise, hello, command', cold: true, run: () => afterCut(pair) },
    { name: 'coldSsh', what: 'ssh with a connection of its own', cold: true, run: timed(ssh.cold('true')) },
  ]
  return { all, ssh: ssh.version, node24: other === undefined ? null : (await finish({ file: other, args: ['--version'] })).stdout.trim() }
}

function bare(runtime: string): Command {
  return { file: runtime, args: ['-e', '0'] }
}

async function throughClient({ near, far }: Pair): Promise<number> {
  const startedAt = performance.now()
  const { exitCode } = await near.client.exec({ device: far.name, command: [...COMMAND] })
  if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`)
  return performance.now() - startedAt
}

/** The same way in as warm; the two nodes had no TCP connection left when the clock started, and both still run. */
async function afterCut(pair: Pair): Promise<number | undefined> {
  if (!(await cutConnections(pair))) return undefined
  try {
    return await throughClient(pair)
  } catch {
    return undefined // the far node dialled at the same moment and one of the two connections was dropped: not what is measured here
  } finally {
    await sleep(200) // both sides settle on one connection
  }
}

async function measure(all: readonly Case[], rounds: number): Promise<Map<string, number[]>> {
  const taken = new Map<string, number[]>(all.map(({ name }) => [name, []]))
  for (const { item } of shuffled(
    all.filter(({ cold }) => !cold),
    WARM_UP_ROUNDS,
  ))
    await item.run()
  for (const { round: at, item } of shuffled(all, rounds)) {
    if (item.cold && at % COLD_EVERY !== 0) continue
    const ms = await item.run()
    if (ms !== undefined) taken.get(item.name)?.push(ms)
    if (at > 0 && at % 50 === 0 && item === all[0]) say(`${at} of ${rounds} rounds`)
  }
  return taken
}

function hostOf(daemon: number): number | undefined {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        return (
          Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) === daemon &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('exec-host')
        )
      } catch {
        return false
      }
    })
}

async function main(cleanup: Cleanup): Promise<void> {
  const options = readOptions({ rounds: 150 })
  say('starting two nodes')
  const pair = await startPair(cleanup)
  await sleep(SETTLE_MS)
  const idle = [pair.near, pair.far].map(({ pid }) => round(residentMib(pid), 1))
  const { all, ssh, node24: version24 } = await cases(pair, cleanup, options)
  say(`measuring ${options.rounds} rounds`)
  const taken = await measure(all, options.rounds)
  const host = hostOf(pair.far.pid)
  const memory = {
    idleNodes: idle,
    afterwards: [pair.near, pair.far].map(({ pid }) => round(residentMib(pid), 1)),
    execHost: host === undefined ? null : round(residentMib(host), 1),
  }
  const seen = Object.fromEntries(all.map(({ name }) => [name, (taken.get(name)?.length ?? 0) === 0 ? null : figures(taken.get(name) ?? [])]))
  const ratio = (ours: string, theirs: string): number | null => {
    const [a, b] = [seen[ours]?.p50, seen[theirs]?.p50]
    return a === undefined || b === undefined ? null : round(a / b)
  }
  const ratios = {
    warmDaemonVsControlMaster: ratio('warmDaemon', 'controlMaster'),
    warmClientVsControlMaster: ratio('warmClient', 'controlMaster'),
    warmCliVsControlMaster: ratio('warmCli', 'controlMaster'),
    coldVsColdSsh: ratio('cold', 'coldSsh'),
    warmCliNode24VsControlMaster: ratio('warmCliNode24', 'controlMaster'),
  }
  const notes = notesOf(ssh, version24, seen['cold'] === null)
  const rows = all.map(({ name, what }): Row => ({ what, figures: seen[name] ?? null }))
  publish(options, describe(rows, { ratios, memory, notes }), { ratios, milliseconds: seen, residentMib: memory, notes })
}

function notesOf(ssh: string, version24: string | null, coldMissing: boolean): string[] {
  return [
    `the command is ${COMMAND.join(' ')} on both sides; ssh is ${ssh}, its server without PAM and with an empty home (no ~/.bashrc) on loopback`,
    'errand: submit, proof, audit entries synced on both devices, spawn, output, outcome: everything switched on',
    'NODE_EXTRA_CA_CERTS is unset for every process; errand is started by its launcher, scripts/bin.cjs, as from the PATH',
    version24 === null ? 'no other Node 24 was measured' : `Node 24 is ${version24}; the nodes run on ${process.version}`,
    coldMissing
      ? 'cold: not measured; it takes root and `ss -K` to cut a connection'
      : 'cold: the TCP connections of the two nodes are cut by `ss -K`, and none is left when the clock starts; asked through the local client',
  ]
}

function describe(rows: readonly Row[], o: { ratios: Record<string, number | null>; memory: object; notes: readonly string[] }): string {
  const ratios = Object.entries(o.ratios).map(([name, value]) => `  ${name.padEnd(32)}${value === null ? 'not measured' : `${value.toFixed(2)}×`}`)
  const parts = [table('one small command', 'ms', rows), 'ratios of the medians (errand / ssh, smaller is better)', ...ratios, '']
  return `${[...parts, `resident MiB ${JSON.stringify(o.memory)}`, '', ...o.notes.map((note) => `· ${note}`)].join('\n')}\n`
}

const cleanup = new Cleanup()
try {
  await main(cleanup)
} finally {
  await cleanup.run()
}
