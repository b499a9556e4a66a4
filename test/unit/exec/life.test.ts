import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Collector, command, groupMembers, isRunning, openWorld, printed, processCount, run, sh, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

test('the exit code is the command’s own', async () => {
  for (const code of [0, 1, 42, 255]) expect(await run(world.executor, sh(`exit ${code}`))).toMatchObject({ exitCode: code, signal: null, why: 'exit' })
})

test('a command that a signal killed has no exit code but the signal’s name', async () => {
  expect(await run(world.executor, sh('kill -SEGV $$'))).toMatchObject({ exitCode: null, signal: 'SIGSEGV', why: 'exit' })
})

test('a timeout ends the whole process group', async () => {
  let pid = 0
  const ended = await run(world.executor, sh('sleep 100 & sleep 100', { timeoutMs: 200 }), (running) => {
    pid = running.pid
  })
  expect(ended).toMatchObject({ why: 'timeout', exitCode: null, signal: 'SIGTERM', message: 'stopped after 200 ms' })
  expect(groupMembers(pid)).toEqual([])
})

test('cancel ends the group and keeps what was printed before; the first reason counts', async () => {
  const ended = await run(world.executor, sh('echo ready; sleep 100 & wait'), async (running, out) => {
    await printed(out, 'ready')
    running.stop('cancelled')
    running.stop('revoked')
  })
  expect(ended).toMatchObject({ why: 'cancelled', signal: 'SIGTERM', stdoutBytes: 6 })
})

test('a command may end in its own way when it is asked to stop', async () => {
  const ended = await run(world.executor, sh('trap "echo bye; exit 7" TERM; echo ready; while :; do sleep 0.02; done'), async (running, out) => {
    await printed(out, 'ready')
    running.stop('cancelled')
  })
  expect(ended).toMatchObject({ why: 'cancelled', exitCode: 7 })
  expect(ended.stdout.toString()).toBe('ready\nbye\n')
})

test('one that ignores SIGTERM is killed 5 s later', async () => {
  let pid = 0
  const ended = await run(world.executor, sh('trap "" TERM; echo ready; while :; do sleep 0.05; done'), async (running, out) => {
    pid = running.pid
    await printed(out, 'ready')
    running.stop('revoked')
  })
  expect(groupMembers(pid)).toEqual([])
  expect(ended).toMatchObject({ why: 'revoked', exitCode: null, signal: 'SIGKILL' })
  expect(ended.endTime - ended.startTime).toBeGreaterThanOrEqual(4_900)
}, 15_000)

test('a child left behind that holds the pipes does not hang the run, and does not stay', async () => {
  let pid = 0
  const ended = await run(world.executor, sh('sleep 100 & echo done; exit 3'), (running) => {
    pid = running.pid
  })
  expect(ended).toMatchObject({ why: 'exit', exitCode: 3, stdoutBytes: 5 })
  expect(groupMembers(pid)).toEqual([])
})

test('a child left behind that still prints is heard to its end', async () => {
  const ended = await run(world.executor, sh('(for i in 1 2 3 4 5; do sleep 0.1; echo $i; done) & exit 0'))
  expect(ended.stdout.toString()).toBe('1\n2\n3\n4\n5\n')
})

test('a process that left the group cannot keep the run open, silent or loud, and does not outlive it for long', async () => {
  for (const script of ['setsid sleep 50 & echo $!', 'setsid yes >/dev/null & echo $!', 'setsid sh -c "trap : TERM; sleep 50 & wait; sleep 50" & echo $!']) {
    const ended = await run(world.executor, sh(script))
    expect(ended).toMatchObject({ why: 'exit', exitCode: 0 })
    await expect.poll(() => isRunning(Number(ended.stdout)), { timeout: 10_000 }).toBe(false)
  }
  expect(await run(world.executor, sh('setsid yes & exit 0'))).toMatchObject({ why: 'exit', exitCode: 0 })
}, 30_000)

test('a stop ends the whole tree before it says so, also who left the group, forked twice or cleaned its environment', async () => {
  const script = 'setsid sh -c "sleep 61 & wait" & (setsid setsid sleep 61 &) ; setsid env -i sleep 61 & echo ready; wait'
  const ended = await run(world.executor, sh(script), async (running, out) => {
    await printed(out, 'ready')
    await expect.poll(() => processCount('sleep 61')).toBe(3)
    running.stop('cancelled')
  })
  expect(ended.why).toBe('cancelled')
  expect(processCount('sleep 61')).toBe(0)
}, 15_000)

test('when nobody takes the output any more, the run ends without a taker', async () => {
  const never = new Promise<void>(() => undefined)
  const running = await world.executor.start(command('yes'), { output: () => never })
  running.stop('lost')
  expect((await running.ended).why).toBe('lost')
})

test('ten megabytes go through cat and come back the same', async () => {
  const sent = Buffer.alloc(10_000_000, 'errand ')
  const ended = await run(world.executor, command('cat', [], { stdin: true }), async (running) => {
    for (let at = 0; at < sent.length; at += 65_536) await running.stdin(sent.subarray(at, at + 65_536))
    running.endStdin()
  })
  expect(ended.stdout.equals(sent)).toBe(true)
  expect(ended.exitCode).toBe(0)
})

test('a command that reads no stdin takes and drops it, also when it ends meanwhile', async () => {
  const ended = await run(world.executor, sh('exec 0<&-; echo closed; sleep 0.2', { stdin: true }), async (running, out) => {
    await printed(out, 'closed')
    for (let i = 0; i < 100; i++) await running.stdin(Buffer.alloc(65_536))
    running.endStdin()
  })
  expect(ended).toMatchObject({ why: 'exit', exitCode: 0 })
})

test('without stdin the command reads end of file at once', async () => {
  expect((await run(world.executor, command('cat'))).exitCode).toBe(0)
})

test('stdin that nobody reads holds the writer back, and a stop lets it go', async () => {
  const running = await world.executor.start(sh('sleep 100', { stdin: true }), new Collector())
  let sent = 0
  const feeding = (async () => {
    for (let i = 0; i < 100; i++) {
      await running.stdin(Buffer.alloc(65_536))
      sent += 1
    }
  })()
  running.stop('cancelled')
  await running.ended
  await feeding
  expect(sent).toBe(100)
})

test('stopping all leaves nothing running', async () => {
  const started = await Promise.all(Array.from({ length: 8 }, () => world.executor.start(sh('sleep 100 & sleep 100'), new Collector())))
  const late = world.executor.start(sh('sleep 100'), new Collector())
  expect(world.executor.running()).toBe(9)
  await world.executor.stopAll('cancelled')
  expect(await Promise.all(started.map(async (each) => (await each.ended).why))).toEqual(Array.from({ length: 8 }, () => 'cancelled'))
  expect((await (await late).ended).why).toBe('cancelled')
  expect(world.executor.running()).toBe(0)
  expect(started.flatMap((each) => groupMembers(each.pid))).toEqual([])
})

test('a host that is killed loses its commands, says so, and is replaced', async () => {
  const running = await world.executor.start(sh('sleep 100 & sleep 100'), new Collector())
  const host = Number((await run(world.executor, sh('echo $PPID'))).stdout.toString())
  process.kill(host, 'SIGKILL')
  expect(await running.ended).toMatchObject({ why: 'lost', exitCode: null, signal: null })
  await expect.poll(() => groupMembers(running.pid)).toEqual([])
  expect((await run(world.executor, sh('echo again'))).stdout.toString()).toBe('again\n')
})

test('closing the executor ends an idle host and leaves no socket; a start afterwards is refused', async () => {
  const other = await openWorld()
  const running = await other.executor.start(sh('sleep 100'), new Collector())
  await other.executor.stopAll('cancelled')
  await other.executor[Symbol.asyncDispose]()
  expect(groupMembers(running.pid)).toEqual([])
  expect(readdirSync(join(other.directory, 'exec'))).toEqual([])
  await expect(other.executor.start(sh('true'), new Collector())).rejects.toMatchObject({ code: 'SPAWN_FAILED', retryable: true })
  await other.close()
})

test('a used pipe leaves no name and no descriptor in the host', async () => {
  const other = await openWorld()
  const host = Number((await run(other.executor, sh('echo $PPID'))).stdout)
  const open = (): number => readdirSync(`/proc/${host}/fd`).length
  const [before, commands] = [open(), 40] // what is kept open ahead of the next command may come on top, one for each command may not
  for (let i = 0; i < commands; i++) await run(other.executor, sh('true'))
  await expect.poll(open).toBeLessThan(before + commands / 2)
  await expect.poll(() => readdirSync(join(other.directory, 'exec')).filter((name) => !name.endsWith('.sock'))).toEqual([])
  await other.close()
})

test('no command leaves a descriptor open in the daemon', async () => {
  await run(world.executor, sh('true', { stdin: true }), (running) => running.endStdin())
  const before = readdirSync('/proc/self/fd').length
  for (let i = 0; i < 20; i++) await run(world.executor, sh('cat >/dev/null', { stdin: true }), (running) => running.endStdin())
  await world.executor.start(command('no-such-command'), new Collector()).catch(() => undefined)
  await expect.poll(() => readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
})
