/** Commands on terminals of their own, by a real exec-host: what a person at a terminal relies on, and every byte to the last. */
import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Terminal } from '../../../protocols/task/messages.ts'
import { until } from '../../support/until.ts'
import { Collector, command, isRunning, openWorld, orderOf, run, sh, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const terminal: Terminal = { term: 'xterm-256color', columns: 100, rows: 30 }
const tty = (script: string) => sh(script, { terminal, stdin: true })
const typed = (text: string): Uint8Array => Buffer.from(text)

test('a command has a terminal: on all three descriptors, of this kind and size, which it controls', async () => {
  const seen = await run(world.executor, tty('test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM && ps -o tty= -p $$ && tty'))
  const [size, term, controlling, own] = seen.stdout.toString().split('\r\n')
  expect([seen.exitCode, size, term]).toEqual([0, '30 100', 'xterm-256color'])
  expect(`/dev/${controlling}`.trim()).toBe(own)
  expect(seen.stderr.length).toBe(0)
})

test('it ends with its own exit code, or by its own signal, and at once', async () => {
  const began = performance.now()
  for (const code of [0, 1, 42, 255]) expect(await run(world.executor, tty(`exit ${code}`))).toMatchObject({ exitCode: code, signal: null, why: 'exit' })
  expect(await run(world.executor, tty('kill -TERM $$'))).toMatchObject({ exitCode: null, signal: 'SIGTERM', why: 'exit' })
  expect((performance.now() - began) / 5, 'no clock decides when the output is whole').toBeLessThan(200)
})

test('what is typed is echoed and read; Ctrl-C interrupts, Ctrl-D ends the input', async () => {
  const seen = await run(world.executor, tty('trap "echo interrupted" INT; read line; echo "got $line"; read more || echo end; cat'), async (running, out) => {
    await running.stdin(typed('hello\r'))
    await until('it has read', () => out.text(1).includes('got hello'))
    await running.stdin(typed('\x03'))
    await until('it was interrupted', () => out.text(1).includes('interrupted'))
    running.endStdin()
    await until('its input ended', () => out.text(1).includes('end'))
    await running.stdin(typed('x\r\x04'))
  })
  expect(seen.exitCode).toBe(0)
  expect(seen.stdout.toString()).toMatch(/^hello\r\n/)
})

test('input that is over before a shell has begun ends it all the same', async () => {
  const seen = await run(world.executor, command('bash', ['--norc', '-i'], { terminal, stdin: true }), (running) => running.endStdin())
  expect(seen).toMatchObject({ exitCode: 0, why: 'exit' })
})

test('a new size reaches the command', async () => {
  const seen = await run(world.executor, tty('trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done'), async (running, out) => {
    await until('it waits', () => out.text(1).includes('ready'))
    running.resize({ columns: 132, rows: 43 })
  })
  expect([seen.exitCode, seen.stdout.toString()]).toEqual([0, 'ready\r\n43 132\r\n'])
})

test('forty times a MiB, then exit: every byte and every exit code', async () => {
  const expected = createHash('sha256')
    .update(Buffer.alloc(1 << 20, 'x'))
    .digest('hex')
  const runs = Array.from({ length: 40 }, (_, i) => i)
  const four = async (): Promise<void> => {
    for (let i = runs.pop(); i !== undefined; i = runs.pop()) {
      const seen = await run(world.executor, tty(`head -c 1048576 /dev/zero | tr '\\0' x; exit ${i}`))
      expect([seen.exitCode, createHash('sha256').update(seen.stdout).digest('hex')]).toEqual([i, expected])
    }
  }
  await Promise.all([four(), four(), four(), four()])
})

test('a slow reader holds the command up and misses nothing, its end included', async () => {
  let bytes = 0
  const slow = {
    output: (_fd: 1 | 2, chunk: { byteLength: number }) => {
      bytes += chunk.byteLength
      return new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
    },
  }
  const running = await world.executor.prepare(orderOf(world.identity, tty("head -c 4194304 /dev/zero | tr '\\0' y"))).start(slow)
  expect(await running.ended).toMatchObject({ exitCode: 0, stdoutBytes: 4 << 20 })
  expect(bytes).toBe(4 << 20)
})

test('an interactive shell that is told to stop hears that its terminal is gone, and so does what it runs', async () => {
  const out = new Collector()
  const running = await world.executor.start(command('bash', ['--norc', '-i'], { terminal, stdin: true }), out)
  await running.stdin(typed('sleep 1000 & echo "job $!"\r'))
  const job = Number(await until('the job runs', () => /job (\d+)\r/.exec(out.text(1))?.[1]))
  const began = performance.now()
  running.stop('cancelled')
  expect(await running.ended).toMatchObject({ why: 'cancelled' })
  expect(performance.now() - began, 'SIGTERM alone, which it ignores, would take it five seconds').toBeLessThan(4_000)
  expect([isRunning(job), isRunning(running.pid)]).toEqual([false, false])
})

test('a terminal that is stopped with Ctrl-S does not keep a command that is over', async () => {
  const seen = await run(world.executor, tty('echo begun; sleep 0.5; exit 3'), async (running, out) => {
    await until('it runs', () => out.text(1).includes('begun'))
    await running.stdin(typed('\x13'))
  })
  expect(seen.exitCode).toBe(3)
})

test('what was signed without a terminal gets none, and the other way round', async () => {
  const order = orderOf(world.identity, sh('tty'))
  for (const wrong of [
    { ...order, spec: { ...order.spec, terminal } },
    { ...orderOf(world.identity, tty('tty')), spec: sh('tty', { stdin: true }) },
  ])
    await expect(world.executor.prepare(wrong).start()).rejects.toMatchObject({ code: 'DENIED' })
})

test('the kind of a terminal is a name and nothing else', async () => {
  for (const term of ['', '../../etc/passwd', 'x\0y', 'a b', 'x'.repeat(65), '\u001b[2J'])
    await expect(world.executor.prepare(orderOf(world.identity, sh('true', { terminal: { ...terminal, term } }))).start()).rejects.toMatchObject({
      code: 'SPAWN_FAILED',
    })
})

test('a name that can make programs load something else is no part of its environment either', async () => {
  const secret = randomBytes(8).toString('hex')
  const refused = run(world.executor, { ...tty('env'), env: { LD_PRELOAD: secret } })
  await expect(refused).rejects.toMatchObject({ code: 'BAD_ENV' })
  const seen = await run(world.executor, tty('env'))
  expect(seen.stdout.toString()).not.toMatch(/^(LD_|NODE_|ERRAND_PROGRESS)/m)
})
