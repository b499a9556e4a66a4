/** Two real errand nodes of one mesh, each its own process from dist, on loopback, with homes that go when the benchmark ends. */
import { fork, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type LocalClient } from '../../src/local/client.ts'
import type { Asked, Told } from './inside.ts'
import { CLEAN_ENV, type Cleanup, type Command, endProcess, finish, say, sleep, succeed } from './support.ts'

/** This file runs as dist/bench/NAME.mjs. */
const PROGRAM = fileURLToPath(new URL('../errand.cjs', import.meta.url))
const INSIDE = fileURLToPath(new URL('./inside.mjs', import.meta.url))
const LAUNCHER = fileURLToPath(new URL('../../scripts/bin.cjs', import.meta.url))
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/errand-bench', import.meta.url))
const READY_MS = 120_000
/** Of a node whose limit is not what is measured. */
const NO_RATE = 'deployment: { requestsPerMinute: 1000000 }\n'

export interface BenchNode {
  readonly name: string
  readonly home: string
  readonly pid: number
  readonly client: LocalClient
}

/** A node inside a program, which measures from within. */
export interface InnerNode extends BenchNode {
  /** Runs a command on a device. @returns milliseconds from the call to the outcome, inside the node's own process. */
  run(device: string, command: readonly string[]): Promise<number>
}

export interface Pair {
  /** Asks. */
  readonly near: InnerNode
  /** Runs the commands. */
  readonly far: BenchNode
}

/** The command line as a user's PATH starts it: the launcher, which takes the first `node` there. */
export function errand(node: BenchNode, args: readonly string[], runtime = process.execPath): Command {
  return launched([...args, '--home', node.home], runtime)
}

/** `errand run`, which takes its options before the command. */
export function errandRun(pair: Pair, command: readonly string[], runtime = process.execPath): Command {
  return launched(['run', pair.far.name, '--home', pair.near.home, '--', ...command], runtime)
}

/** @param runtime a Node; its file has to be called `node`. */
function launched(args: readonly string[], runtime: string): Command {
  return { file: LAUNCHER, args, env: { ...CLEAN_ENV, PATH: [dirname(runtime), CLEAN_ENV['PATH']].join(delimiter) } }
}

/** Starts both, joins them by invite and code, and waits until each sees the other online. */
export async function startPair(cleanup: Cleanup, farSettings = NO_RATE): Promise<Pair> {
  const directory = cleanup.directory()
  const near = await startInner(cleanup, directory, 'near')
  const far = await startNode(cleanup, directory, 'far', farSettings)
  const { code } = JSON.parse((await succeed(errand(near, ['invite', '--mine', '--json']))).stdout)
  await succeed(errand(far, ['join', code, '--yes', '--json']))
  await seesOnline(near, far.name)
  await seesOnline(far, near.name)
  return { near, far }
}

/** @param settings its runtime.yaml. */
export async function startNode(cleanup: Cleanup, directory: string, name: string, settings = NO_RATE): Promise<BenchNode> {
  const home = join(directory, name)
  mkdirSync(home, { mode: 0o700 })
  writeFileSync(join(home, 'runtime.yaml'), settings, { mode: 0o600 })
  const args = [PROGRAM, 'up', '--home', home, '--name', name, '--json', '--listen', '/ip4/127.0.0.1/tcp/0']
  const child = spawn(process.execPath, args, { env: CLEAN_ENV, stdio: ['ignore', 'pipe', 'pipe'] })
  cleanup.add(() => endProcess(child))
  await new Promise<void>((resolve, reject) => {
    let seen = ''
    child.stderr.on('data', (chunk: Buffer) => (seen = `${seen}${chunk}`.slice(-4_096)))
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
      if (seen.includes('"event":"ready"')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`the node "${name}" ended with ${code}: ${seen}`)))
    setTimeout(() => reject(new Error(`the node "${name}" is not ready after ${READY_MS} ms`)), READY_MS).unref()
  })
  const client = connect({ home })
  cleanup.add(() => client.close())
  return { name, home, pid: child.pid ?? 0, client }
}

async function startInner(cleanup: Cleanup, directory: string, name: string): Promise<InnerNode> {
  const home = join(directory, name)
  const child = fork(INSIDE, [home, name], { env: CLEAN_ENV, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  cleanup.add(() => endProcess(child))
  const next = (): Promise<Told> =>
    new Promise((resolve, reject) => {
      const over = (code: number | null): void => reject(new Error(`the program around the node "${name}" ended with ${code}`))
      child.once('exit', over)
      child.once('message', (told: Told) => {
        child.off('exit', over)
        resolve(told)
      })
    })
  await next() // ready
  const client = connect({ home })
  cleanup.add(() => client.close())
  const run = async (device: string, command: readonly string[]): Promise<number> => {
    const told = next()
    child.send({ device, command: [...command] } satisfies Asked)
    const answer = await told
    if (answer.t !== 'took') throw new Error(answer.t === 'failed' ? answer.why : 'it is not ready')
    return answer.ms
  }
  return { name, home, pid: child.pid ?? 0, client, run }
}

export async function seesOnline(node: BenchNode, other: string): Promise<void> {
  const deadline = performance.now() + READY_MS
  while (!(await node.client.devices()).some(({ name, online }) => name === other && online)) {
    if (performance.now() > deadline) throw new Error(`"${node.name}" does not see "${other}" online after ${READY_MS} ms`)
    await sleep(50)
  }
}

/** Resident MiB of a process, by /proc; NaN elsewhere. */
export function residentMib(pid: number): number {
  const match = existsSync(`/proc/${pid}/status`) ? /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) : null
  return match === null ? Number.NaN : Number(match[1]) / 1_024
}

/**
 * Cuts every TCP connection between the two nodes without either's help, as a lost network would, and makes sure that none is left.
 * @returns false where that cannot be done: it takes Linux, root and `ss -K` (iproute2; CONFIG_INET_DIAG_DESTROY).
 */
export async function cutConnections(pair: Pair): Promise<boolean> {
  const filter = (await portsOf(pair)).flatMap((port, at) => [...(at === 0 ? [] : ['or']), 'sport', '=', `:${port}`, 'or', 'dport', '=', `:${port}`])
  const ss = (flags: string[]): Promise<string> =>
    finish({ file: 'ss', args: [...flags, '-tnH', 'state', 'established', ...filter] }).then(
      ({ stdout, exitCode }) => (exitCode === 0 ? stdout.trim() : 'failed'),
      () => 'failed',
    )
  for (let attempt = 0; attempt < 5; attempt++) {
    if ((await ss(['-K'])) === 'failed') return false
    await sleep(5)
    if ((await ss([])) === '') return true
  }
  return false
}

const ports = new WeakMap<Pair, readonly string[]>()

async function portsOf(pair: Pair): Promise<readonly string[]> {
  const known = ports.get(pair)
  if (known !== undefined) return known
  const addresses = (await Promise.all([pair.near, pair.far].map(({ client }) => client.status()))).flatMap((status) => status.addresses)
  const found = [...new Set(addresses.flatMap((address) => /\/tcp\/(\d+)/.exec(address)?.[1] ?? []))]
  ports.set(pair, found)
  return found
}

/** A Node 24 to run the command line on: the given one (a file called `node`), or npm's package with the binary, kept in node_modules/.cache. Undefined when neither works. */
export async function node24(given: string): Promise<string | undefined> {
  const works = async (file: string): Promise<boolean> =>
    await finish({ file, args: ['--version'] }).then(
      ({ stdout }) => stdout.startsWith('v24.'),
      () => false,
    )
  if (given !== '') return basename(given) === 'node' && (await works(given)) ? given : undefined
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const binary = join(CACHE, 'node_modules', name, 'bin', 'node')
  if (existsSync(binary)) return (await works(binary)) ? binary : undefined
  say(`installing ${name}@24 into node_modules/.cache (once)`)
  mkdirSync(CACHE, { recursive: true })
  const install = { file: 'npm', args: ['install', '--prefix', CACHE, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@24`] }
  await finish({ ...install, env: process.env }).catch(() => undefined) // behind a proxy npm needs the environment as it is
  return existsSync(CACHE) && readdirSync(CACHE).length > 0 && (await works(binary)) ? binary : undefined
}
