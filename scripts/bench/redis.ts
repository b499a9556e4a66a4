/**
 * BullMQ on a real Redis to compare with: redis-server by apt-get when it is missing, on a socket of its own and durable at every write;
 * BullMQ from npm in node_modules/.cache. Neither is a dependency of errand. The system's own Redis, when there is one, is not touched.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { CLEAN_ENV, type Cleanup, endProcess, finish, say, sleep, succeed } from './support.ts'

const SERVER = '/usr/bin/redis-server'
/** This file runs as dist/bench/NAME.mjs. */
const PROGRAMS = fileURLToPath(new URL('../../scripts/bench/bullmq.mjs', import.meta.url))
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/errand-bench/bullmq', import.meta.url))
const PACKAGES = ['bullmq@6.7.0', 'ioredis@5.8.2']
const READY_MS = 30_000

export interface Round {
  readonly perSecond: number
  readonly latencies: readonly number[]
}

export interface RoundOf {
  readonly count: number
  readonly inFlight: number
}

export interface BullMq {
  readonly version: string
  round(of: RoundOf): Promise<Round>
}

/** @returns why not, when this machine has no Redis and cannot get one. */
export async function startBullMq(cleanup: Cleanup): Promise<BullMq | string> {
  try {
    await installRedis()
    await installBullMq()
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown)
  }
  const socket = await startRedis(cleanup)
  await program(cleanup, 'worker', socket)
  const producer = await program(cleanup, 'producer', socket)
  return { version: await versions(), round: producer }
}

/** Debian's init script must not start a second one because somebody measures. */
async function installRedis(): Promise<void> {
  if (existsSync(SERVER)) return
  say('installing redis-server by apt-get')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const packages = ['install', '-y', '--no-install-recommends', 'redis-server']
  const first = await finish({ file: 'apt-get', args: packages, env }).catch(() => undefined)
  if (first?.exitCode === 0) return
  await finish({ file: 'apt-get', args: ['update'], env }).catch(() => undefined)
  const second = await finish({ file: 'apt-get', args: packages, env }).catch(() => undefined)
  if (second?.exitCode !== 0) throw new Error('redis-server is missing and apt-get could not install it')
}

async function installBullMq(): Promise<void> {
  if (existsSync(join(CACHE, 'node_modules', 'ioredis'))) return
  say(`installing ${PACKAGES.join(' and ')} into node_modules/.cache (once)`)
  mkdirSync(CACHE, { recursive: true })
  const args = ['install', '--prefix', CACHE, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', ...PACKAGES]
  await succeed({ file: 'npm', args, env: process.env }) // behind a proxy npm needs the environment as it is
}

async function startRedis(cleanup: Cleanup): Promise<string> {
  const directory = cleanup.directory()
  const socket = join(directory, 'redis.sock')
  const settings = { port: '0', unixsocket: socket, dir: directory, appendonly: 'yes', appendfsync: 'always', save: '', 'maxmemory-policy': 'noeviction' }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const server = spawn(SERVER, args, { env: CLEAN_ENV, stdio: 'ignore' })
  cleanup.add(() => endProcess(server))
  for (let tries = 0; !existsSync(socket); tries++) {
    if (tries > 200) throw new Error('redis-server opened no socket within 10 s')
    await sleep(50)
  }
  return socket
}

/** Starts one of the two programs. @returns a way to ask it for rounds, one at a time. */
async function program(cleanup: Cleanup, role: 'worker' | 'producer', socket: string): Promise<(of: RoundOf) => Promise<Round>> {
  const child: ChildProcess = spawn(process.execPath, [PROGRAMS, role, CACHE, socket], { env: CLEAN_ENV, stdio: ['pipe', 'pipe', 'inherit'] })
  cleanup.add(() => endProcess(child))
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new Error('no pipes to BullMQ')
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  const answer = async (): Promise<string> => {
    const { done, value } = await lines.next()
    if (done === true) throw new Error(`the ${role} of BullMQ ended; see its messages above`)
    return value
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS)
  if ((await answer()) !== 'ready') throw new Error(`the ${role} of BullMQ is not ready`)
  clearTimeout(timer)
  return async (of) => {
    stdin.write(`${JSON.stringify(of)}\n`)
    return JSON.parse(await answer())
  }
}

async function versions(): Promise<string> {
  const server = (await finish({ file: SERVER, args: ['--version'] })).stdout
  const { version } = JSON.parse(readFileSync(join(CACHE, 'node_modules', 'bullmq', 'package.json'), 'utf8'))
  return `BullMQ ${version} on Redis ${/v=(\S+)/.exec(server)?.[1] ?? ''} (appendonly yes, appendfsync always)`
}
