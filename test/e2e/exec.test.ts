/** `errand run` as a user knows it: streams, codes, input, environment, cancellation. Each node and each command line is a process of its own. */
import { randomBytes } from 'node:crypto'
import { existsSync, realpathSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ExecOutcome } from '../../protocols/local/messages.ts'
import { failureOf, jsonLinesOf, type Node, until, type World, world } from '../support/world.ts'
import { clientOf, ended, goneFromProc, healthy, processesWith, runBytes, sha256, startRun } from './support-exec.ts'

let w: World
let alice: Node
let bob: Node

beforeAll(async () => {
  w = world()
  alice = await w.founder('alice')
  bob = await w.joiner(alice, 'bob')
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

test('stdout and stderr arrive apart, and the exit code is the command’s own', async () => {
  const ran = await w.run(alice.home, 'bob', 'sh', '-c', 'echo out; echo err >&2; exit 7')
  expect(ran).toMatchObject({ code: 7, stdout: 'out\n', stderr: 'err\n' })
  expect(await w.run(alice.home, 'bob', 'true')).toMatchObject({ code: 0, stdout: '', stderr: '' })
  expect(await w.run(alice.home, 'bob', 'sh', '-c', 'exit 255')).toMatchObject({ code: 255 })
})

test('a command that a signal ended has 128 and the signal’s number as its code', async () => {
  expect(await w.run(alice.home, 'bob', 'sh', '-c', 'kill -TERM $$')).toMatchObject({ code: 143 })
  expect(await w.run(alice.home, 'bob', 'sh', '-c', 'kill -KILL $$')).toMatchObject({ code: 137 })
  expect(await w.run(alice.home, 'bob', 'sh', '-c', 'kill -USR1 $$')).toMatchObject({ code: 138 })
})

test('no such command is 127, not executable is 126, timed out is 124', async () => {
  const missing = await w.run(alice.home, 'bob', 'no-such-command-here')
  expect(missing).toMatchObject({ code: 127, stdout: '' })
  expect(missing.stderr).toContain('no-such-command-here')
  const plain = w.at('plain-file')
  writeFileSync(plain, '#!/bin/sh\necho no\n', { mode: 0o644 })
  expect(await w.run(alice.home, 'bob', plain)).toMatchObject({ code: 126, stdout: '' })
  const slow = await w.errand(alice.home, 'run', 'bob', '--timeout', '1s', '--', 'sleep', '86399')
  expect(slow).toMatchObject({ code: 124 })
  expect(slow.stderr).toMatch(/timed out|1000 ms/)
  await goneFromProc('sleep 86399')
})

test('a device that cannot be reached is 125, and the command runs nowhere', async () => {
  await using own = world()
  const here = await own.founder('here')
  const away = await own.joiner(here, 'away')
  const marker = own.at('ran')
  await away.kill()
  expect(await own.run(here.home, 'away', 'touch', marker)).toMatchObject({ code: 125, stdout: '' })
  const asked = failureOf(await own.errand(here.home, 'run', 'away', '--json', '--', 'touch', marker))
  expect(asked).toMatchObject({ code: 'NO_ROUTE', source: 'errand', fields: { device: 'away' } })
  expect(await own.run(here.home, 'nobody', 'touch', marker)).toMatchObject({ code: 125 })
  await here.stop()
  expect(await own.run(here.home, 'away', 'touch', marker)).toMatchObject({ code: 125 })
  expect(existsSync(marker)).toBe(false)
})

test('10 MB of stdin and back, byte for byte', async () => {
  const bytes = randomBytes(10_000_000)
  const echoed = await runBytes(w, alice.home, ['bob', '-i', '--', 'cat'], bytes)
  expect(echoed.stderr).toBe('')
  expect({ code: echoed.code, length: echoed.stdout.length, sha256: sha256(echoed.stdout) }).toEqual({ code: 0, length: bytes.length, sha256: sha256(bytes) })
  const summed = await runBytes(w, alice.home, ['bob', '-i', '--', 'sha256sum'], bytes)
  expect(summed.stdout.toString()).toContain(sha256(bytes))
})

test('a command that reads only a little of its stdin ends well, and without -i stdin is empty', async () => {
  const some = await runBytes(w, alice.home, ['bob', '-i', '--', 'head', '-c', '3'], Buffer.alloc(2_000_000, 'abc'))
  expect({ code: some.code, stdout: some.stdout.toString() }).toEqual({ code: 0, stdout: 'abc' })
  const none = await runBytes(w, alice.home, ['bob', '--', 'cat'], Buffer.from('not for you'))
  expect({ code: none.code, bytes: none.stdout.length }).toEqual({ code: 0, bytes: 0 })
})

test('all 256 bytes come through on stdout, whatever they mean to anybody', async () => {
  const bytes = Buffer.from(Array.from({ length: 4_096 }, (_, i) => i % 256))
  const file = w.at('all-bytes')
  writeFileSync(file, bytes)
  expect((await runBytes(w, alice.home, ['bob', '--', 'cat', file])).stdout.equals(bytes)).toBe(true)
})

test('arguments arrive as they are: there is no shell to read them', async () => {
  const words = ['; touch pwned', '$(id)', '`id`', '*', '', 'a b', 'line\nbreak', '"\'', '--help', '-i', 'ü€🙂', '\\x41']
  const ran = await runBytes(w, alice.home, ['bob', '--', 'printf', '%s\\0', ...words])
  expect(ran.stdout.toString().split('\0').slice(0, -1)).toEqual(words)
})

test('--cwd and --env count; nothing of the caller’s or the daemon’s environment leaks', async () => {
  const dir = realpathSync(w.at('tmp'))
  const args = ['run', 'bob', '--cwd', dir, '--env', 'GREETING=hello there', '--env', 'EMPTY=', '--', 'sh', '-c', 'pwd; env']
  const ran = await w.start(alice.home, args, { env: { CALLERS_SECRET: 's3cret', GREETING: 'not this' } }).ended
  const [cwd, ...env] = ran.stdout.trim().split('\n')
  expect(cwd).toBe(dir)
  expect(env).toContain('GREETING=hello there')
  expect(env).toContain('EMPTY=')
  const names = env.map((line) => line.split('=')[0] ?? '')
  expect(
    names.filter((name) => !/^(PATH|HOME|USER|LOGNAME|SHELL|LANG|TZ|LC_\w+|PWD|OLDPWD|SHLVL|_|GREETING|EMPTY|ERRAND_TASK|ERRAND_PROGRESS_FD)$/.test(name)),
  ).toEqual([])
  expect(ran.stdout).not.toContain('s3cret')
})

test('a directory or a variable that is refused says so, and nothing runs', async () => {
  const marker = w.at('must-not-be')
  for (const options of [
    ['--cwd', '/no/such/place'],
    ['--env', 'LD_PRELOAD=/tmp/evil.so'],
    ['--env', 'PATH=/tmp'],
    ['--env', 'BASH_ENV=/tmp/x'],
  ]) {
    const ran = await w.errand(alice.home, 'run', 'bob', ...options, '--', 'touch', marker)
    expect(ran.code, options.join(' ')).toBe(125)
    expect(ran.stderr).toContain(options[0] === '--cwd' ? '/no/such/place' : (options[1]?.split('=')[0] ?? ''))
  }
  expect(existsSync(marker)).toBe(false)
})

test('run --json ends with one line that holds the outcome', async () => {
  const ran = await w.errand(alice.home, 'run', 'bob', '--json', '--', 'sh', '-c', 'printf hi; printf "\\377" >&2; exit 3')
  const lines = jsonLinesOf<Record<string, unknown>>(ran)
  expect(lines).toContainEqual({ t: 'stdout', text: 'hi' })
  expect(lines).toContainEqual({ t: 'stderr', base64: '/w==' })
  expect(lines.at(-1)).toMatchObject({ t: 'ended', device: 'bob', exitCode: 3, signal: null, why: 'exit', source: 'command', stdoutBytes: 2, stderrBytes: 1 })
  expect(lines.at(-1)).toMatchObject({ task: expect.stringMatching(/^[0-9a-f-]{36}$/), durationMs: expect.any(Number), startTime: expect.stringMatching(/Z$/) })
  const refused = failureOf(await w.errand(alice.home, 'run', 'bob', '--json', '--', 'no-such-command-here'))
  expect(refused).toMatchObject({ code: 'COMMAND_NOT_FOUND', source: 'device' })
})

test('50 commands at once: each with its own output and its own code', async () => {
  const client = clientOf(alice.home)
  const runs = Array.from({ length: 50 }, async (_, n): Promise<{ outcome: ExecOutcome; said: string }> => {
    let said = ''
    const onStdout = (chunk: Uint8Array): void => {
      said += Buffer.from(chunk).toString()
    }
    const outcome = await client.exec({ device: 'bob', command: ['sh', '-c', `echo begin ${n}; sleep 0.2; echo end ${n}; exit ${n}`] }, { onStdout })
    return { outcome, said }
  })
  for (const [n, { outcome, said }] of (await Promise.all(runs)).entries()) {
    expect(said).toBe(`begin ${n}\nend ${n}\n`)
    expect(outcome).toMatchObject({ exitCode: n, why: 'exit' })
  }
  client.close()
  expect((await healthy(bob.home)).tasks.active).toBe(0)
})

test('Ctrl-C cancels, and ends everything that the command started', async () => {
  const mark = 'sleep 86398'
  const run = startRun(w, alice.home, 'bob', '--', 'sh', '-c', `${mark} & ${mark}; wait`)
  const over = ended(run)
  await until('both sleep', () => sleeping(mark) === 2)
  run.kill('SIGINT')
  expect(await over).toMatchObject({ code: 130 })
  await goneFromProc(mark)
  await until('the log says so', async () => (await endsOn(bob.home, mark)).some(({ why }) => why === 'cancelled'))
})

test('a second Ctrl-C leaves at once, and a command that shrugs off SIGTERM is killed', async () => {
  const mark = 'sleep 86397'
  const run = startRun(w, alice.home, 'bob', '--', 'sh', '-c', `trap : TERM; while :; do ${mark}; done`)
  const over = ended(run)
  const [first] = await until('it sleeps', () => sleepers(mark).length === 1 && sleepers(mark))
  run.kill('SIGINT')
  await until('SIGTERM has ended the sleep, and the shell sleeps again', () => sleepers(mark).some((pid) => pid !== first))
  const asked = performance.now()
  run.kill('SIGINT')
  expect(await over).toMatchObject({ code: 130 })
  expect(performance.now() - asked).toBeLessThan(4_000)
  await goneFromProc(mark, 15_000)
})

test('a command line that is killed takes its command with it', async () => {
  const mark = 'sleep 86396'
  const run = startRun(w, alice.home, 'bob', '--', 'sh', '-c', `${mark} & ${mark}; wait`)
  await until('both sleep', () => sleeping(mark) === 2)
  run.kill('SIGKILL')
  await goneFromProc(mark)
  await until('the log says so', async () => (await endsOn(bob.home, mark)).length > 0)
  expect((await healthy(bob.home)).tasks.active).toBe(0)
})

test('a daemon that is killed takes what it asked for with it, and the executor writes that down', async () => {
  await using own = world()
  const here = await own.founder('here')
  const there = await own.joiner(here, 'there')
  const mark = 'sleep 86395'
  const run = startRun(own, here.home, 'there', '--', 'sh', '-c', `${mark} & ${mark}; wait`)
  const over = ended(run)
  await until('both sleep', () => sleeping(mark) === 2)
  await here.kill()
  expect(await over).toMatchObject({ code: 125 })
  await goneFromProc(mark, 45_000) // nobody came back within the 30 s that an attached command waits for its reader
  await until('the log says so', async () => (await endsOn(there.home, mark)).some(({ why }) => why === 'lost'))
})

/** How many processes of this very command run: not the shell around it, nor the command line that asked. */
function sleeping(command: string): number {
  return sleepers(command).length
}

function sleepers(command: string): number[] {
  return processesWith(command)
    .filter((seen) => seen.command === command)
    .map(({ pid }) => pid)
}

async function endsOn(home: string, mark: string): Promise<{ why: unknown }[]> {
  const records = await w.audit(home, '--action', 'exec.end')
  return records.filter(({ command }) => String(command).includes(mark)).map(({ why }) => ({ why }))
}
