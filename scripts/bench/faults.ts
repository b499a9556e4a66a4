/**
 * `npm run faults [-- --short --json --only WORD]`: what becomes of running commands when the network fails. Two devices in network
 * namespaces, joined by one cable; three commands print at once (a trickle that stays in the exec stream, a paced one, one as fast as can
 * be); then the cable is cut, loses packets, or a device gets another address. Every byte and the exit code must be right, and output must
 * flow again within 2 s of the link's return. Exits 1 at a fault; without root it says that it did nothing.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect } from '../../src/local/client.ts'
import { CLEAN_ENV, Cleanup, endProcess, publish, round, say, sleep, succeed } from './support.ts'
import { type End, Network, whyNoNetwork } from './support-netns.ts'
import { type Arrived, hashOf, type Printed, printer, StreamReader } from './support-streams.ts'

const PROGRAM = fileURLToPath(new URL('../errand.cjs', import.meta.url))
const MIB = 1 << 20
const RESUME_MS = 2_000
const CASE_MS = 180_000

interface Case {
  readonly name: string
  readonly isShort: boolean
  readonly streams: Readonly<Record<string, Printed>>
  /** Resolves when the link is whole again. */
  readonly fault: (network: Network) => Promise<void>
  /** False where the link is bad to the end. */
  readonly resumes: boolean
}

interface Row {
  readonly case: string
  readonly stream: string
  readonly ok: boolean
  /** From the return of the link to the next byte, or a later silence if that was longer; null: it was over by then, or never whole. */
  readonly resumeMs: number | null
  readonly why: string
}

const STREAMS: Case['streams'] = {
  trickle: { bytes: 600_000, bytesPerSecond: 80_000, exitCode: 3 },
  paced: { bytes: 48 * MIB, bytesPerSecond: 8 * MIB, exitCode: 4 },
  bulk: { bytes: 1_024 * MIB, bytesPerSecond: 0, exitCode: 5 },
}
/** A fifth of all packets lost leaves a megabit or so. */
const SLOW: Case['streams'] = {
  trickle: { bytes: 200_000, bytesPerSecond: 80_000, exitCode: 3 },
  bulk: { bytes: 3 * MIB, bytesPerSecond: 0, exitCode: 5 },
}
/** So much of the fastest stream has arrived when the fault comes: it is in the middle of it. */
const BEFORE_BYTES = 48 * MIB

function cases(): Case[] {
  const cut = (how: 'down' | 'silent', seconds: number): Case => ({
    name: `${how === 'down' ? 'interface down' : 'silent cut'} for ${seconds} s`,
    isShort: how === 'silent' && seconds === 10,
    streams: STREAMS,
    resumes: true,
    fault: async (network) => {
      const mend = network.cut(how)
      await sleep(seconds * 1_000)
      mend()
    },
  })
  const moved = (end: End, whose: string): Case => ({
    name: `${whose} address changes`,
    isShort: end === 'far',
    streams: STREAMS,
    resumes: true,
    fault: async (network) => network.readdress(end),
  })
  const lossy: Case = {
    name: '20 % of packets lost',
    isShort: true,
    streams: SLOW,
    resumes: false,
    fault: async () => undefined,
  }
  const cuts = ([1, 10, 60] as const).flatMap((seconds) => [cut('down', seconds), cut('silent', seconds)])
  return [...cuts, moved('far', 'the executor’s'), moved('near', 'the caller’s'), lossy]
}

interface Device {
  readonly home: string
  readonly end: End
}

class Rig {
  readonly network = new Network()

  constructor(private readonly cleanup: Cleanup) {
    cleanup.add(() => this.network.remove())
  }

  /** Two devices of one mesh, a line between them. mDNS is off: it would find a moved device for us. */
  async start(): Promise<void> {
    const directory = this.cleanup.directory()
    const near = await this.#up(directory, 'near')
    const far = await this.#up(directory, 'far')
    const client = connect({ home: near.home })
    this.cleanup.add(() => client.close())
    const { code } = await client.invite({ mine: true })
    await this.#errand(far, 'join', code, '--yes', '--json')
    while (!(await client.devices()).some(({ name, path }) => name === 'far' && path === 'direct')) await sleep(50)
    this.#near = near
  }

  #near: Device = { home: '', end: 'near' }

  run(command: readonly string[]): StreamReader {
    const { home, end } = this.#near
    const reader = new StreamReader([...this.network.entering(end), process.execPath, PROGRAM, 'run', 'far', '--home', home, '--', ...command])
    this.cleanup.add(() => reader.end())
    return reader
  }

  async #up(directory: string, end: End): Promise<Device> {
    const home = join(directory, end)
    mkdirSync(home, { mode: 0o700 })
    writeFileSync(join(home, 'runtime.yaml'), 'mdns: false\n', { mode: 0o600 })
    const args = [PROGRAM, 'up', '--home', home, '--name', end, '--json', '--listen', '/ip4/0.0.0.0/tcp/4701']
    const [file = '', ...enter] = this.network.entering(end)
    const child = spawn(file, [...enter, process.execPath, ...args], { env: CLEAN_ENV, stdio: ['ignore', 'pipe', 'pipe'] })
    this.cleanup.add(() => endProcess(child))
    await new Promise<void>((resolve, reject) => {
      let seen = ''
      child.stderr.on('data', (chunk: Buffer) => (seen = `${seen}${chunk}`.slice(-4_096)))
      child.stdout.on('data', (chunk: Buffer) => chunk.toString().includes('"event":"ready"') && resolve())
      child.once('exit', (code) => reject(new Error(`the node "${end}" ended with ${code}: ${seen}`)))
    })
    return { home, end }
  }

  async #errand({ home, end }: Device, ...args: string[]): Promise<void> {
    const [file = '', ...enter] = this.network.entering(end)
    await succeed({ file, args: [...enter, process.execPath, PROGRAM, ...args, '--home', home] })
  }
}

async function play(rig: Rig, { name, streams, fault, resumes }: Case): Promise<Row[]> {
  say(name)
  const mend = resumes ? undefined : rig.network.lose(20)
  const readers = Object.entries(streams).map(([stream, printed]) => ({ stream, printed, reader: rig.run(printer(printed)) }))
  const late = setTimeout(() => readers.map(({ reader }) => reader.end()), CASE_MS)
  if (resumes) await Promise.all(readers.map(({ printed, reader }) => reader.arrived(Math.min(printed.bytes / 8, BEFORE_BYTES))))
  await fault(rig.network)
  const mended = performance.now()
  const rows: Row[] = []
  for (const { stream, printed, reader } of readers) {
    const arrived = await reader.over
    const resumeMs = resumes ? reader.longestSilence(mended) : null
    rows.push(judged({ case: name, stream, resumeMs: resumeMs === null ? null : round(resumeMs, 0) }, printed, arrived))
  }
  clearTimeout(late)
  mend?.()
  return rows
}

function judged(row: Pick<Row, 'case' | 'stream' | 'resumeMs'>, printed: Printed, { exitCode, bytes, sha256, stderr }: Arrived): Row {
  const wrong: string[] = []
  if (bytes !== printed.bytes) wrong.push(`${bytes} of ${printed.bytes} bytes`)
  else if (sha256 !== hashOf(bytes)) wrong.push('other bytes')
  if (exitCode !== printed.exitCode) wrong.push(`exit code ${exitCode} and not ${printed.exitCode}`)
  if (row.resumeMs !== null && row.resumeMs > RESUME_MS) wrong.push(`silent for ${row.resumeMs} ms`)
  return { ...row, ok: wrong.length === 0, why: wrong.length === 0 ? '' : [...wrong, stderr].join('; ') }
}

function tableOf(rows: readonly Row[]): string {
  const width = Math.max(...rows.map((row) => row.case.length))
  const line = (row: Row): string =>
    `  ${row.case.padEnd(width)}  ${row.stream.padEnd(8)}${`${row.resumeMs ?? '–'}`.padStart(8)}  ${row.ok ? 'ok' : `FAULT: ${row.why}`}`
  return ['faults of the link (ms from its return to the next byte)', ...rows.map(line), ''].join('\n')
}

const cleanup = new Cleanup()
try {
  const { values } = parseArgs({
    options: { json: { type: 'boolean', default: false }, short: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
  })
  const skipped = whyNoNetwork()
  if (skipped !== undefined) publish(values, `nothing was tried: ${skipped}\n`, { ratios: {}, skipped })
  else {
    const rig = new Rig(cleanup)
    await rig.start()
    const chosen = cases().filter(({ name, isShort }) => (isShort || !values.short) && name.includes(values.only))
    const played = chosen.filter(({ resumes }) => resumes || rig.network.loser !== undefined)
    const notPlayed = chosen.filter((one) => !played.includes(one)).map(({ name }) => `${name}: needs nft or tc netem`)
    const rows: Row[] = []
    for (const one of played) rows.push(...(await play(rig, one)))
    publish(values, [tableOf(rows), ...notPlayed.map((line) => `  not tried: ${line}\n`)].join(''), { ratios: {}, rows, notPlayed })
    process.exitCode = rows.every(({ ok }) => ok) ? 0 : 1
  }
} finally {
  await cleanup.run()
}
