/** Big output: every byte arrives, a reader that stops stops the writer, and nobody else notices. From the child process to the command line's stdout. */
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { finished } from 'node:stream/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Node, until, type World, world } from '../support/world.ts'
import { clientOf, ended, execHostOf, goneFromProc, healthy, processesWith, residentBytes, startRun } from './support-exec.ts'

const BYTES = 2 ** 30
const LINE = 'sixty-three characters make a line that no buffer size divides\n'
const GROWTH_BYTES = 64 << 20
/** Looks at a writer in a row, all alike, after which it stands still: a second of them. */
const LOOKS = 20

let w: World
let alice: Node
let bob: Node

beforeAll(async () => {
  w = world()
  alice = await w.founder('alice')
  bob = await w.joiner(alice, 'bob')
  expect(await w.run(alice.home, 'bob', 'true')).toMatchObject({ code: 0 }) // the exec-host is up from here on
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

/** What `printer` prints, hashed without being kept. */
function expectedHash(bytes: number): string {
  const hash = createHash('sha256')
  const block = Buffer.from(LINE.repeat(16_384))
  for (let left = bytes; left > 0; left -= block.length) hash.update(left < block.length ? block.subarray(0, left) : block)
  return hash.digest('hex')
}

function printer(bytes: number): string[] {
  return ['sh', '-c', `yes '${LINE.trimEnd()}' | head -c ${bytes}`]
}

/** Hashes a stream of a process without holding it. */
async function hashOf(child: ChildProcess): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    hash.update(chunk)
  })
  if (child.stdout !== null) await finished(child.stdout)
  return { bytes, sha256: hash.digest('hex') }
}

const memory = (): number[] => [alice.process.pid, bob.process.pid, execHostOf(bob.process.pid)].map(residentBytes)

test('a gibibyte arrives whole; meanwhile small commands are answered and nobody is shown offline', async () => {
  const big = startRun(w, alice.home, 'bob', '--', ...printer(BYTES))
  const over = new Promise<number | null>((resolve) => big.once('close', resolve))
  const hashed = hashOf(big)
  const said: Buffer[] = []
  big.stderr?.on('data', (chunk: Buffer) => said.push(chunk))
  const [here, there] = [clientOf(alice.home), clientOf(bob.home)]
  const times: number[] = []
  const offline: string[] = []
  let streaming = true
  void over.then(() => {
    streaming = false
  })
  while (streaming) {
    const began = performance.now()
    expect(await here.exec({ device: 'bob', command: ['true'] })).toMatchObject({ exitCode: 0 })
    times.push(performance.now() - began)
    for (const client of [here, there]) offline.push(...(await client.devices()).filter(({ online, path }) => !online || path === null).map(({ name }) => name))
  }
  here.close()
  there.close()
  const arrived = { ...(await hashed), code: await over, said: Buffer.concat(said).toString() }
  expect(arrived).toEqual({ bytes: BYTES, sha256: expectedHash(BYTES), code: 0, said: '' })
  expect(offline).toEqual([])
  expect(times.length, 'the small commands ran beside the stream').toBeGreaterThan(5)
  expect(times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]).toBeLessThan(2_000)
})

test('a reader that stops stops the writer: nothing grows while it waits, and every byte is there when it reads on', async () => {
  const bytes = 192 << 20
  const run = startRun(w, alice.home, 'bob', '--', ...printer(bytes))
  await until('output has begun', () => (run.stdout?.readableLength ?? 0) > 0)
  let looks: string[] = []
  await until('the writer stands still', () => {
    looks = [...looks, String(cpuTicks('yes sixty'))].slice(-LOOKS)
    return looks.length === LOOKS && looks[0] !== '' && new Set(looks).size === 1
  })
  const before = memory()
  await until('four seconds have passed, with other commands answered', async () => {
    const began = performance.now()
    while (performance.now() - began < 4_000) expect(await w.run(alice.home, 'bob', 'echo', 'beside')).toMatchObject({ code: 0, stdout: 'beside\n' })
    return true
  })
  for (const [i, resident] of memory().entries()) expect(resident - (before[i] ?? 0), `process ${i}`).toBeLessThan(GROWTH_BYTES)
  const over = new Promise<number | null>((resolve) => run.once('close', resolve))
  expect(await hashOf(run)).toEqual({ bytes, sha256: expectedHash(bytes) })
  expect(await over).toBe(0)
})

test('an endless writer whose reader stopped from the first byte costs no memory, and ends with its reader', async () => {
  const before = memory()
  const run = startRun(w, alice.home, 'bob', '--', 'yes', 'endless-86386')
  const over = ended(run)
  run.stdout?.pause()
  await until('it writes', () => processesWith('yes endless-86386').length > 1)
  await until('three seconds of looking on', async () => {
    const began = performance.now()
    while (performance.now() - began < 3_000) await healthy(bob.home)
    return true
  })
  for (const [i, resident] of memory().entries()) expect(resident - (before[i] ?? 0), `process ${i}`).toBeLessThan(GROWTH_BYTES)
  run.kill('SIGKILL')
  await over
  await goneFromProc('yes endless-86386')
})

/** Each process with this command line, and its processor time. */
function cpuTicks(mark: string): string[] {
  return processesWith(mark)
    .filter(({ command }) => command.startsWith('yes'))
    .map(({ pid, cpuTicks: ticks }) => `${pid}:${ticks}`)
}
