import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OutputSink } from '../../../src/tasks/ports.ts'
import { command, openWorld, run, sh, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

test('every byte value arrives as it was written, on the stream it was written to', async () => {
  const script = 'const b=Buffer.from(Array.from({length:256},(_,i)=>i));process.stdout.write(b);process.stderr.write(b.reverse())'
  const ended = await run(world.executor, command('node', ['-e', script]))
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  expect(ended.stdout.equals(all)).toBe(true)
  expect(ended.stderr.equals(Buffer.from(all).reverse())).toBe(true)
  expect(ended).toMatchObject({ exitCode: 0, signal: null, why: 'exit', stdoutBytes: 256, stderrBytes: 256 })
})

test('a command that prints 1 MiB and exits at once is heard to the end, fifty times', async () => {
  const lengths: number[] = []
  for (let i = 0; i < 50; i++) lengths.push((await run(world.executor, command('head', ['-c', '1048576', '/dev/zero']))).stdout.length)
  expect(lengths).toEqual(Array.from({ length: 50 }, () => 1_048_576))
}, 30_000)

test('fifty commands at once each get their own output', async () => {
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => run(world.executor, sh(`head -c 100000 /dev/zero; echo ${i}; echo ${i} >&2`))))
  expect(all.map((each) => each.stdout.subarray(100_000).toString().trim())).toEqual(Array.from({ length: 50 }, (_, i) => String(i)))
  expect(all.map((each) => each.stderr.toString().trim())).toEqual(Array.from({ length: 50 }, (_, i) => String(i)))
  expect(world.executor.running()).toBe(0)
}, 30_000)

test('a taker that takes its time gets 64 MiB whole', async () => {
  const hash = createHash('sha256')
  const slow: OutputSink = {
    output(_fd, chunk) {
      hash.update(chunk.subarray())
      return new Promise((resolve) => setImmediate(resolve))
    },
  }
  const running = await world.executor.start(command('head', ['-c', String(64 << 20), '/dev/zero']), slow)
  expect((await running.ended).stdoutBytes).toBe(64 << 20)
  expect(hash.digest('hex')).toBe(
    createHash('sha256')
      .update(Buffer.alloc(64 << 20))
      .digest('hex'),
  )
})

test('a taker that stops taking stops the writer, and costs no memory', async () => {
  let taken = 0
  let open: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const stuck: OutputSink = {
    output(_fd, chunk) {
      taken += chunk.byteLength
      return gate
    },
  }
  const before = process.memoryUsage().rss
  const running = await world.executor.start(command('head', ['-c', '200000000', '/dev/zero']), stuck)
  await untilAsleep(running.pid)
  expect(process.memoryUsage().rss - before).toBeLessThan(32 << 20)
  expect(taken).toBeLessThan(1 << 20)
  open()
  expect((await running.ended).stdoutBytes).toBe(200_000_000)
})

test('an output limit delivers exactly that many bytes and says so', async () => {
  const ended = await run(world.executor, command('yes', [], { maxOutputBytes: 100_001 }))
  expect(ended.stdout.length).toBe(100_001)
  expect(ended).toMatchObject({ why: 'limit', stdoutBytes: 100_001, message: 'stopped after 100001 bytes of output' })
})

test('an output limit counts both streams together, and one that is just reached is not exceeded', async () => {
  const over = await run(world.executor, sh('printf 12345; printf 67890 >&2', { maxOutputBytes: 7 }))
  expect(over.stdout.length + over.stderr.length).toBe(7)
  expect(over.why).toBe('limit')
  const exact = await run(world.executor, sh('printf 12345; printf 67890 >&2', { maxOutputBytes: 10 }))
  expect(exact).toMatchObject({ why: 'exit', exitCode: 0, stdoutBytes: 5, stderrBytes: 5 })
})

test('stdout and stderr are real blocking pipes: scripts may open /dev/stdout and /dev/stderr', async () => {
  const ended = await run(world.executor, sh('echo out > /dev/stdout; echo err > /dev/stderr; grep flags /proc/self/fdinfo/1; readlink /proc/self/fd/0'))
  expect(ended.stderr.toString()).toBe('err\n')
  expect(ended.stdout.toString()).toMatch(/^out\nflags:\t0?\d*1\n\/dev\/null\n$/) // O_WRONLY without O_NONBLOCK (04000)
  expect(ended.stdout.toString()).not.toMatch(/flags:\t\d*4\d{3}\n/)
})

test('what the taker throws ends the command and harms nobody else', async () => {
  const broken: OutputSink = {
    output() {
      throw new Error('the link is gone')
    },
  }
  const running = await world.executor.start(command('yes'), broken)
  expect((await running.ended).why).toBe('lost')
  expect((await run(world.executor, sh('echo fine'))).stdout.toString()).toBe('fine\n')
})

/** Resolves once the process sleeps (state S) with nothing to do: here, blocked in write(2). */
async function untilAsleep(pid: number): Promise<void> {
  for (let seen = 0; seen < 5; ) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    seen = stat.slice(stat.lastIndexOf(')') + 2).startsWith('S') ? seen + 1 : 0
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}
