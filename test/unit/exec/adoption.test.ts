/** What becomes of running commands when their daemon, their exec-host or both are killed. Everything is a real process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HOST } from '../../../protocols/host/frames.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createExecutor, type DeviceExecutor } from '../../../src/exec/executor.ts'
import { HostClient } from '../../../src/exec/host-client.ts'
import { Identity } from '../../../src/identity/identity.ts'
import type { OutputSink, RunningCommand } from '../../../src/tasks/ports.ts'
import { processesOf } from '../../support/leftovers.ts'
import { until } from '../../support/until.ts'
import type { Said, Told } from './daemon.ts'
import { socketOf } from './wire.ts'
import { bundle, Collector, groupMembers, isRunning, processCount } from './world.ts'

const seed = randomBytes(32)
const device = new Identity(new Uint8Array(seed)).did
let root: string
let hostFile: string
let daemonFile: string
let made = 0

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'errand-adopt-'))
  hostFile = join(root, 'exec-host.mjs')
  daemonFile = join(root, 'daemon.mjs')
  await Promise.all([bundle('src/exec/host-main.ts', hostFile), bundle('test/unit/exec/daemon.ts', daemonFile)])
})
afterAll(async () => {
  for (const { pid } of processesOf(root)) process.kill(pid, 'SIGTERM') // hosts that a failed test left take their commands with them
  await until('nobody is left', () => processesOf(root).length === 0)
  rmSync(root, { recursive: true, force: true })
})

/** Nobody else's. */
const sleeper = (): string => `sleep ${10_000 + process.pid}.${made++}`

interface Killed {
  readonly directory: string
  readonly started: Said['started']
  readonly host: number
}

type Plan = Pick<Told, 'scripts' | 'waits'> & { readonly directory?: string }

/** A daemon that starts these commands. */
async function daemonWith({ directory = join(root, String(made++)), ...plan }: Plan): Promise<Killed & { readonly daemon: ChildProcess }> {
  mkdirSync(directory, { recursive: true })
  const told: Told = { seed: seed.toString('hex'), directory, hostFile, ...plan }
  const daemon = spawn(process.execPath, [daemonFile, JSON.stringify(told)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const line = await new Promise<Buffer>((resolve, reject) => daemon.once('exit', () => reject(new Error('the daemon ended'))).stdout.once('data', resolve))
  const { started } = JSON.parse(line.toString()) as Said
  return { directory, started, daemon, host: parentOf(started[0]?.pid ?? 0) }
}

async function kill(daemon: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => daemon.once('exit', resolve))
  daemon.kill('SIGKILL')
  await gone
}

async function killedWith(plan: Plan): Promise<Killed> {
  const { daemon, ...rest } = await daemonWith(plan)
  await kill(daemon)
  return rest
}

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

function executorOn(directory: string): DeviceExecutor {
  return createExecutor({ clock: systemClock, device, hostFile, runtimeDir: directory, jobsDir: join(directory, 'jobs') })
}

const detached = (...scripts: string[]): Plan => ({ scripts: scripts.map((script) => ({ script, attached: false })) })
const first = ({ started }: Pick<Killed, 'started'>): { task: string; pid: number } => started[0] ?? expect.unreachable('nothing was started')

test('a daemon is killed: the next one finds its commands, hears every byte from the first on and the right exit code, and nothing ran twice', async () => {
  const count = join(root, 'count')
  const gate = join(root, 'gate-of-adoption')
  const followed = `while ! test -e ${gate}; do sleep 0.05; done`
  const script = `echo run >> ${count}; seq 1 200000; ${followed}; seq 200001 200010; exit 7`
  const killed = await killedWith(detached(script, `${followed}; exit 3`))
  const executor = executorOn(killed.directory)
  const jobs = await executor.adopt()
  expect(jobs.map(({ task, pid, attached }) => ({ task, pid, attached }))).toEqual(
    expect.arrayContaining(killed.started.map((one) => ({ ...one, attached: false }))),
  )
  const out = new Collector()
  const [big, small] = await Promise.all(killed.started.map(({ task }, i) => executor.follow(task, 0, i === 0 ? out : undefined)))
  writeFileSync(gate, '')
  expect(await big?.ended).toMatchObject({ exitCode: 7, why: 'exit' })
  expect(await small?.ended).toMatchObject({ exitCode: 3, why: 'exit' })
  const expected = Array.from({ length: 200_010 }, (_, i) => `${i + 1}\n`).join('')
  expect(out.text(1)).toBe(expected)
  expect(readFileSync(count, 'utf8')).toBe('run\n')
  await executor[Symbol.asyncDispose]()
  await until('the old host is gone, and its socket', () => !isRunning(killed.host))
})

test('a reader far behind gets the rest from the files, from any offset, and a slow one costs the host no memory', async () => {
  const bytes = 48 << 20
  const killed = await killedWith(detached(`yes 'some line of text' | head -c ${bytes}; sleep 100`))
  await using executor = executorOn(killed.directory)
  await executor.adopt()
  const { task } = first(killed)
  await until('all is printed', () => readdirSync(join(killed.directory, 'jobs', task, 'spool')).length >= bytes / (4 << 20) - 1)
  const whole = Buffer.alloc(bytes, 'some line of text\n')
  const before = residentBytes(killed.host)
  const stuck: OutputSink = { output: () => new Promise(() => undefined) }
  const slow = await executor.follow(task, 0, stuck)
  for (const from of [0, 1, 4 << 20, bytes - 5]) {
    const hash = createHash('sha256')
    let got = 0
    let done: () => void = () => undefined
    const all = new Promise<void>((resolve) => {
      done = resolve
    })
    const reader = await executor.follow(task, from, {
      output: (_fd, chunk) => {
        hash.update(chunk.subarray())
        got += chunk.byteLength
        if (got >= bytes - from) done()
        return undefined
      },
    })
    await all
    expect(await reader.hold()).toBe(bytes)
    expect(hash.digest('hex')).toBe(createHash('sha256').update(whole.subarray(from)).digest('hex'))
  }
  expect(residentBytes(killed.host) - before).toBeLessThan(40 << 20)
  slow.stop('lost')
  expect((await slow.ended).why).toBe('lost')
})

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1_024
}

test('an attached command whose daemon was killed waits for somebody to come back, and is ended when nobody does', async () => {
  const plan = { scripts: [{ script: 'echo ready; exec sleep 5151', attached: true }], waits: { graceMs: 4_000 } }
  const [left, kept] = await Promise.all([killedWith(plan), killedWith(plan)])
  await using executor = executorOn(kept.directory)
  expect((await executor.adopt()).map(({ attached }) => attached)).toEqual([true])
  const out = new Collector()
  const running = await executor.follow(first(kept).task, 0, out)
  await until('the one that nobody came for is ended', () => groupMembers(first(left).pid).length === 0)
  await until('and its host', () => !isRunning(left.host))
  expect(out.text(1)).toBe('ready\n')
  expect(isRunning(first(kept).pid)).toBe(true)
  const record = JSON.parse(readFileSync(join(left.directory, 'jobs', first(left).task, 'job.json'), 'utf8'))
  expect(record.ended).toMatchObject({ why: 'lost', exitCode: null })
  running.stop('cancelled')
  expect((await running.ended).why).toBe('cancelled')
})

test('the host is killed: its commands end as lost and nothing of them runs on, wherever it went', async () => {
  const mark = sleeper()
  const killed = await killedWith(detached(`setsid ${mark} & ${mark} & wait`))
  await using executor = executorOn(killed.directory)
  await executor.adopt()
  const running = await executor.follow(first(killed).task, 0)
  await until('all of it runs', () => processCount(mark) === 2)
  process.kill(killed.host, 'SIGKILL')
  expect(await running.ended).toMatchObject({ why: 'lost', exitCode: null })
  await until('nothing of it is left', () => processCount(mark) === 0)
  await expect(executor.follow(first(killed).task, 0)).rejects.toMatchObject({ code: 'NO_SUCH_TASK' })
})

test('daemon and host are killed at once: the next daemon ends what they left, and nothing of other nodes', async () => {
  const [theirs, mark] = [sleeper(), sleeper()]
  const [other, killed] = await Promise.all([daemonWith(detached(`exec ${theirs}`)), daemonWith(detached(`setsid ${mark} & exec ${mark}`))])
  await until('all of it runs', () => processCount(mark) === 2 && processCount(theirs) === 1)
  process.kill(killed.host, 'SIGKILL')
  await kill(killed.daemon)
  await using executor = executorOn(killed.directory)
  expect(await executor.adopt()).toEqual([])
  await until('nothing of it is left', () => processCount(mark) === 0)
  expect(processCount(theirs)).toBe(1)
  expect(readdirSync(join(killed.directory, 'exec'))).toEqual([])
  await kill(other.daemon)
  await using next = executorOn(other.directory)
  await next.adopt()
  const running = await next.follow(first(other).task, null)
  running.stop('cancelled')
  await running.ended
})

test('a marker is a word in an environment and may say anything: no path in it is followed', async () => {
  const directory = join(root, String(made++))
  mkdirSync(join(directory, 'victim'), { recursive: true })
  const forged = spawn('sleep', ['8282'], { env: { ERRAND_TASK: '../victim' }, stdio: 'ignore' })
  await using executor = executorOn(directory)
  await executor.adopt()
  expect(forged.exitCode).toBeNull()
  expect(isRunning(forged.pid ?? 0)).toBe(true)
  forged.kill('SIGKILL')
})

test('an idle host goes with its daemon, its socket too; one with commands stays until the last has ended', async () => {
  const killed = await killedWith(detached('sleep 0.5', 'sleep 1'))
  expect(existsSync(socketOf(killed))).toBe(true)
  await until('it is gone', () => !isRunning(killed.host))
  expect(readdirSync(join(killed.directory, 'exec'))).toEqual([])
})

test('what left the group of the last command is ended before the host goes', async () => {
  const mark = sleeper()
  const killed = await killedWith(detached(`setsid ${mark} & sleep 0.5; exit 0`))
  await until('the host is gone', () => !isRunning(killed.host))
  expect(processCount(mark)).toBe(0)
})

test('a home with a long path: the socket lies elsewhere, is found again, and goes', async () => {
  const directory = join(root, 'x'.repeat(120))
  const killed = await killedWith({ directory, ...detached('sleep 0.7; exit 5') })
  const executor = executorOn(directory)
  expect((await executor.adopt()).length).toBe(1)
  const running: RunningCommand = await executor.follow(first(killed).task, 0)
  expect(await running.ended).toMatchObject({ exitCode: 5 })
  await executor[Symbol.asyncDispose]()
  await until('the host is gone', () => !isRunning(killed.host))
  expect(readdirSync(join(directory, 'exec'))).toEqual([])
})

test('a newer daemon speaks to an older host in that one’s version', async () => {
  const { directory, daemon } = await daemonWith(detached('exec sleep 3131'))
  const client = await HostClient.adopt(socketOf({ directory }), systemClock, HOST.version + 6)
  expect(client.version).toBe(HOST.version)
  expect(client.found.jobs.length).toBe(1)
  await client.close({ isIdle: false })
  await kill(daemon)
  await using executor = executorOn(directory)
  const [job] = await executor.adopt()
  const running = await executor.follow(job?.task ?? '', null)
  running.stop('cancelled')
  expect((await running.ended).why).toBe('cancelled')
})

test('a host that is stopped is left alone: its commands are neither ended nor forgotten', async () => {
  const mark = sleeper()
  const killed = await killedWith(detached(`exec ${mark}`))
  process.kill(killed.host, 'SIGSTOP')
  const blind = executorOn(killed.directory)
  expect(await blind.adopt()).toEqual([])
  expect(processCount(mark)).toBe(1)
  await blind[Symbol.asyncDispose]()
  process.kill(killed.host, 'SIGCONT')
  await using executor = executorOn(killed.directory)
  const [job] = await until('it answers again', async () => {
    const jobs = await executor.adopt()
    return jobs.length === 1 && jobs
  })
  const running = await executor.follow(job?.task ?? '', null)
  running.stop('cancelled')
  expect((await running.ended).why).toBe('cancelled')
}, 30_000)

test('rubbish in the directory of the sockets is cleared away', async () => {
  const directory = join(root, String(made++))
  mkdirSync(join(directory, 'exec'), { recursive: true })
  writeFileSync(join(directory, 'exec', '4711-1.sock'), '')
  writeFileSync(join(directory, 'exec', '4711-17'), '')
  await using executor = executorOn(directory)
  expect(await executor.adopt()).toEqual([])
  expect(readdirSync(join(directory, 'exec'))).toEqual([])
})
