/**
 * `npm run bench:stream [-- --json --rounds N --mib N]`: how fast one command's output arrives, errand beside OpenSSH, in turn.
 * `cat` of a random file on the other end, through both programs as they are used, to the stdout of the command line; what arrived is
 * compared by SHA-256 every time. Timed from the first byte to the last, so that nobody's connection set-up counts.
 */
import { spawn } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startSsh } from './ssh.ts'
import { CLEAN_ENV, Cleanup, type Command, type Figures, figures, publish, type Row, readOptions, round, say, shuffled, table } from './support.ts'
import { errandRun, type Pair, startPair } from './support-nodes.ts'

const MIB = 1 << 20
const CHACHA = 'chacha20-poly1305@openssh.com'
const AES = 'aes128-gcm@openssh.com'
/** Small commands counted while nothing else runs, and as many at least during streams. */
const QUIET_COMMANDS = 200

interface Payload {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
}

interface Case {
  readonly name: string
  readonly what: string
  readonly command: Command
}

/** Takes what arrives into one buffer that exists already, so that neither allocation nor hashing is timed. */
class Receiver {
  readonly #buffer: Buffer

  constructor(private readonly payload: Payload) {
    this.#buffer = Buffer.alloc(payload.bytes, 1) // touched, so that no page fault is timed either
  }

  /**
   * @param arrived what is waited for between the last byte and the comparison, which holds this process up.
   * @returns MiB a second. @throws when the bytes are not those of the file, or the command failed.
   */
  async receive({ file, args, env = CLEAN_ENV }: Command, arrived: () => Promise<void> = () => Promise.resolve()): Promise<number> {
    this.#buffer.fill(0)
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let at = 0
    let first: { readonly ms: number; readonly bytes: number } | undefined
    let lastMs = 0
    child.stdout.on('data', (chunk: Buffer) => {
      lastMs = performance.now()
      first ??= { ms: lastMs, bytes: chunk.length }
      chunk.copy(this.#buffer, at)
      at += chunk.length
    })
    const exitCode = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
    await arrived()
    const sha256 = createHash('sha256').update(this.#buffer).digest('hex')
    if (exitCode !== 0 || at !== this.payload.bytes || sha256 !== this.payload.sha256) {
      throw new Error(`${file}: exit code ${exitCode}, ${at} of ${this.payload.bytes} bytes, SHA-256 ${sha256 === this.payload.sha256 ? 'equal' : 'different'}`)
    }
    return first === undefined ? Number.NaN : (this.payload.bytes - first.bytes) / MIB / ((lastMs - first.ms) / 1_000)
  }
}

function makePayload(directory: string, mib: number): Payload {
  const file = join(directory, 'random')
  const bytes = randomFillSync(Buffer.alloc(mib * MIB))
  writeFileSync(file, bytes, { mode: 0o600 })
  return { file, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

async function measure(all: readonly Case[], receiver: Receiver, rounds: number): Promise<Record<string, Figures>> {
  const taken = new Map<string, number[]>(all.map(({ name }) => [name, []]))
  for (const { command } of all) await receiver.receive(command) // warm: the file is cached, the code compiled
  for (const { round: at, item } of shuffled(all, rounds)) {
    const rate = await receiver.receive(item.command)
    taken.get(item.name)?.push(rate)
    say(`round ${at + 1} of ${rounds}: ${item.name} ${rate.toFixed(0)} MiB/s`)
  }
  return Object.fromEntries([...taken].map(([name, rates]) => [name, figures(rates)]))
}

/** How long a small command takes on the same connection, alone and while a stream runs at full speed. */
async function besides(pair: Pair, receiver: Receiver, command: Command): Promise<{ quiet: Figures; during: Figures }> {
  const one = async (): Promise<number> => {
    const startedAt = performance.now()
    await pair.near.client.exec({ device: pair.far.name, command: ['true'] })
    return performance.now() - startedAt
  }
  const quiet: number[] = []
  while (quiet.length < QUIET_COMMANDS) quiet.push(await one())
  const during: number[] = []
  while (during.length < QUIET_COMMANDS) during.push(...(await whileStreaming(receiver, command, one)))
  return { quiet: figures(quiet), during: figures(during) }
}

/** What each of the calls took that began while a stream ran. */
async function whileStreaming(receiver: Receiver, command: Command, one: () => Promise<number>): Promise<number[]> {
  const taken: number[] = []
  let isStreaming = true
  const measure = async (): Promise<void> => {
    while (isStreaming) taken.push(await one())
  }
  let measuring: Promise<void> = Promise.resolve()
  const streaming = receiver.receive(command, async () => {
    isStreaming = false
    await measuring
  })
  measuring = measure()
  await Promise.all([streaming, measuring])
  return taken
}

async function main(cleanup: Cleanup): Promise<void> {
  const options = readOptions({ rounds: 7, mib: 512 })
  const pair = await startPair(cleanup)
  const ssh = await startSsh(cleanup)
  const payload = makePayload(cleanup.directory(), options.mib)
  const receiver = new Receiver(payload)
  const ours: Case = { name: 'errand', what: 'errand run', command: errandRun(pair, ['cat', payload.file]) }
  const all: Case[] = [
    ours,
    { name: 'sshChacha20', what: 'ssh, chacha20-poly1305 (its default)', command: ssh.cold(`cat ${payload.file}`, CHACHA) },
    { name: 'sshAes128Gcm', what: 'ssh, aes128-gcm', command: ssh.cold(`cat ${payload.file}`, AES) },
  ]
  say(`${options.rounds} rounds of ${options.mib} MiB`)
  const seen = await measure(all, receiver, options.rounds)
  const small = await besides(pair, receiver, ours.command)
  const ratio = (theirs: string): number => round((seen['errand']?.p50 ?? Number.NaN) / (seen[theirs]?.p50 ?? Number.NaN))
  const ratios = { streamVsSshChacha20: ratio('sshChacha20'), streamVsSshAes128Gcm: ratio('sshAes128Gcm') }
  const notes = [
    `one stream of ${options.mib} MiB random bytes; SHA-256 equal in every one of the ${all.length * (options.rounds + 1)} transfers`,
    'from the first to the last byte at the stdout of the command line; loopback; both ends and the reader share the same cores',
    `ssh is ${ssh.version}; NODE_EXTRA_CA_CERTS is unset for every process`,
  ]
  const text = [
    table(
      'one stream',
      'MiB/s',
      all.map(({ name, what }): Row => ({ what, figures: seen[name] ?? null })),
    ),
    'ratios of the medians (errand / ssh, larger is better)',
    ...Object.entries(ratios).map(([name, value]) => `  ${name.padEnd(24)}${value.toFixed(2)}×`),
    '',
    table('`true` through the local client meanwhile', 'ms', [
      { what: 'alone', figures: small.quiet },
      { what: 'during a stream', figures: small.during },
    ]),
    ...notes.map((note) => `· ${note}`),
    '',
  ].join('\n')
  publish(options, text, { ratios, mibPerSecond: seen, smallCommandMs: small, notes })
}

const cleanup = new Cleanup()
try {
  await main(cleanup)
} finally {
  await cleanup.run()
}
