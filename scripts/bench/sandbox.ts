/**
 * `npm run bench:sandbox [-- --rounds N --many N]`: what holding a command costs, level by level, in turn in the same minutes; then many quick held
 * commands at once, beside which the device has to go on answering, and after which nothing may be left: no process, no group, no directory.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Limits } from '../../protocols/task/limits.ts'
import type { CommandSpec } from '../../protocols/task/messages.ts'
import { signInvocation } from '../../src/authority/token.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createExecutor, type DeviceExecutor } from '../../src/exec/executor.ts'
import type { Means } from '../../src/exec/means.ts'
import { probeMeans } from '../../src/exec/probe.ts'
import { Identity } from '../../src/identity/identity.ts'

interface Case {
  readonly name: string
  readonly limits: Limits
  readonly user?: string
}

const CASES: readonly Case[] = [
  { name: 'plain', limits: {} },
  { name: 'plain, as another user', limits: {}, user: 'nobody' },
  { name: 'privileges, as another user', limits: { sandbox: 'privileges' }, user: 'nobody' },
  { name: 'processes', limits: { sandbox: 'processes' } },
  { name: 'files', limits: { sandbox: 'files' } },
  { name: 'files, no-network', limits: { sandbox: 'files', network: false } },
  { name: 'memory, cpu, processes', limits: { memoryBytes: 256 << 20, cpuMillis: 1_000, processes: 64 } },
]
const AT_ONCE = 16

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '100' }, many: { type: 'string', default: '10000' } } })
const root = mkdtempSync(join(tmpdir(), 'errand-bench-sandbox-'))
const identity = new Identity(new Uint8Array(randomBytes(32)))
const tag = `bench${process.pid}`

/** Waiting for a host keeps no program alive. */
const alive = setInterval(() => undefined, 60_000)
const means = await probeMeans(tag)
const executor = createExecutor({
  ...{ clock: systemClock, device: identity.did, hostFile: new URL('../exec-host.mjs', import.meta.url).pathname },
  ...{ runtimeDir: root, jobsDir: join(root, 'jobs'), means: Promise.resolve(means), hidden: [root] },
})
try {
  await levels(executor, Number(values.rounds))
  await many(executor, Number(values.many))
} finally {
  await executor[Symbol.asyncDispose]()
}
process.exitCode = leftOf(means) === '' ? 0 : 1
console.log(leftOf(means) === '' ? 'nothing is left: no process, no group' : `left: ${leftOf(means)}`)
clearInterval(alive)
rmSync(root, { recursive: true, force: true })

/** @returns milliseconds from the order to the end. */
async function once(executor: DeviceExecutor, { limits, user = '' }: Omit<Case, 'name'>, script = 'exit 0'): Promise<number> {
  const startedAt = performance.now()
  const run = await executor.prepare(orderOf(script, limits, user)).start()
  const { exitCode, message } = await run.ended
  if (exitCode !== 0) throw new Error(`exit ${exitCode}: ${message ?? 'no message'}`)
  return performance.now() - startedAt
}

function orderOf(script: string, limits: Limits, user: string): Parameters<DeviceExecutor['prepare']>[0] {
  const [task, challenge, now] = [randomUUID(), randomBytes(16), Math.floor(Date.now() / 1_000)]
  const held = Object.keys(limits).length === 0 ? {} : { limits }
  const spec: CommandSpec = { exe: 'sh', argv: ['-c', script], cwd: '', env: {}, user, timeoutMs: 0, maxOutputBytes: 0, stdin: false, ...held }
  const { env, ...bounds } = spec
  const invocation = signInvocation(identity, {
    ...{ sub: identity.did, aud: identity.did, cmd: '/exec/run', prf: [], iat: now, exp: now + 60 },
    args: { ...bounds, env: Object.keys(env), tty: false, task },
    nonce: Buffer.concat([challenge, randomBytes(12)]),
  })
  const warrant = { caller: identity.did, challenge, invocation: invocation.bytes, proofs: [] }
  return { task, spec, warrant, attached: true, spool: { maxBytes: 1 << 20, policy: 'block' } }
}

async function levels(executor: DeviceExecutor, rounds: number): Promise<void> {
  const times = new Map<string, number[]>(CASES.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) for (const one of CASES) times.get(one.name)?.push(await once(executor, one))
  console.log(`from the order to the end of \`sh -c 'exit 0'\`, ${rounds} rounds in turn, ms`)
  for (const [name, all] of times) console.log(`${name.padEnd(30)} p50 ${at(all, 0.5)}  p99 ${at(all, 0.99)}`)
}

/** Held ones in crowds, a plain one again and again beside them. */
async function many(executor: DeviceExecutor, count: number): Promise<void> {
  const startedAt = performance.now()
  const [beside, held] = [[] as number[], [] as number[]]
  let left = count
  const crowd = Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0) held.push(await once(executor, { limits: { memoryBytes: 64 << 20, processes: 16 } }))
  })
  let isOver = false
  const watch = (async () => {
    while (!isOver) beside.push(await once(executor, { limits: {} }))
  })()
  await Promise.all(crowd)
  isOver = true
  await watch
  const seconds = (performance.now() - startedAt) / 1_000
  console.log(
    `${count} held commands, ${AT_ONCE} at a time: ${seconds.toFixed(0)} s, ${(count / seconds).toFixed(0)}/s; p50 ${at(held, 0.5)} ms, p99 ${at(held, 0.99)} ms`,
  )
  console.log(`a plain command beside them: p50 ${at(beside, 0.5)} ms, p99 ${at(beside, 0.99)} ms (${beside.length} times)`)
}

function at(all: readonly number[], part: number): string {
  const sorted = [...all].sort((a, b) => a - b)
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1)
}

/** In /proc and in cgroupfs. */
function leftOf({ group }: Means): string {
  const processes = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && commandOf(pid).includes(root))
  const places = group === null ? [] : [group.memory, group.cpu, group.processes, group.kill].filter((place) => place !== null && existsSync(place))
  return [...processes.map((pid) => `process ${pid} ${commandOf(pid)}`), ...places].join('; ')
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
