import { afterAll, expect, test } from 'vitest'
import { commandLine, ended, says } from './command-line.ts'
import { progress, startFake, stopped } from './fake-node.ts'

const errand = await commandLine()
const node = await startFake({ home: errand.home })
afterAll(() => node.close())

const run = (...command: string[]) => errand.run(['run', 'gpu1', '--', ...command])

test("stdout, stderr and arguments are the command's, also arguments that look like ours", async () => {
  const done = await run('echo', '--json', '-i', '--', 'a b', '')
  expect(done).toEqual({ code: 0, stdout: '--json|-i|--|a b|\n', stderr: 'to stderr\n' })
})

test('every byte arrives as it was', async () => {
  const { stdout } = await run('bytes')
  expect(Buffer.from(stdout, 'latin1')).toEqual(Buffer.from(Array.from({ length: 256 }, (_, n) => n)))
})

test.each([
  [['exit', '0'], 0],
  [['exit', '7'], 7],
  [['exit', '255'], 255],
  [['killed', 'SIGKILL'], 137],
  [['killed', 'SIGTERM'], 143],
  [['ends', 'timeout'], 124],
  [['ends', 'not-found'], 127],
  [['ends', 'not-executable'], 126],
  [['ends', 'revoked'], 126],
  [['ends', 'lost'], 125],
  [['refuse', 'DENIED'], 126],
  [['refuse', 'REFUSED_EXPIRED'], 126],
  [['refuse', 'NOT_EXECUTABLE'], 126],
  [['refuse', 'NO_ROUTE'], 125],
  [['no-such-command'], 127],
])('%j leaves with %d', async (command, code) => {
  expect((await run(...command)).code).toBe(code)
})

test('a refusal names the device, says why and what to do, without the control characters of the other side', async () => {
  expect(await run('refuse', 'DENIED')).toEqual({ code: 126, stdout: '', stderr: 'errand: denied on gpu1: exe "rm" is not in {git}[31m\nhint: ask for it\n' })
  const asJson = await errand.run(['run', '--json', 'gpu1', '--', 'refuse', 'DENIED'])
  expect(JSON.parse(asJson.stdout).error).toMatchObject({ code: 'DENIED', source: 'device', hint: 'ask for it' })
  expect(asJson.code).toBe(126)
})

test('options become the request', async () => {
  const id = '019aa3c1-0000-7000-8000-000000000001'
  const { stdout } = await errand.run([
    'run',
    'gpu1',
    '--cwd',
    '/w',
    '--env',
    'A=b=c',
    '--env',
    'D=',
    '--user',
    'bob',
    '--timeout',
    '1.5s',
    '--id',
    id,
    '--',
    'request',
  ])
  expect(JSON.parse(stdout)).toEqual({
    device: 'gpu1',
    command: ['request'],
    cwd: '/w',
    env: { A: 'b=c', D: '' },
    user: 'bob',
    timeoutMs: 1_500,
    id,
    stdin: false,
  })
})

test('stdin is forwarded with -i, whole and more than a window of it, and only then', async () => {
  const input = Buffer.alloc(1_000_003, 'xyz')
  const forwarded = await errand.run(['run', '-i', 'gpu1', '--', 'cat'], { input })
  expect(forwarded.code).toBe(0)
  expect(forwarded.stdout).toBe(input.toString('latin1'))
})

test('--json wraps output as lines, text as text and other bytes as base64, and ends with the outcome', async () => {
  const { stdout } = await errand.run(['--json', 'run', 'gpu1', '--', 'echo', 'hé'])
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(Buffer.from(line, 'latin1').toString()))
  expect(lines).toMatchObject([
    { t: 'stdout', text: 'hé\n' },
    { t: 'stderr', text: 'to stderr\n' },
    { t: 'ended', exitCode: 0, source: 'command' },
  ])
  const bytes = await errand.run(['--json', 'run', 'gpu1', '--', 'bytes'])
  expect(Buffer.from(JSON.parse(bytes.stdout.split('\n')[0] ?? '').base64, 'base64')).toHaveLength(256)
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s cancels the command, waits for its last words and leaves with %d', async (signal, code) => {
  const child = errand.start(['run', 'gpu1', '--', 'hang'])
  const done = ended(child)
  await says(child, 'ready')
  child.kill(signal)
  expect(await done).toMatchObject({ code, stdout: 'ready\nlast words\n' })
})

test('a second Ctrl-C leaves at once', async () => {
  const child = errand.start(['run', 'gpu1', '--', 'stubborn'])
  const done = ended(child)
  await says(child, 'ready')
  child.kill('SIGINT')
  const began = performance.now()
  // The second signal must not merge with the first, which the kernel does while the first is pending.
  const again = setInterval(() => child.kill('SIGINT'), 20)
  expect((await done).code).toBe(130)
  clearInterval(again)
  expect(performance.now() - began).toBeLessThan(5_000)
})

test('a reader that goes away ends the command, quietly', async () => {
  const child = errand.start(['run', 'gpu1', '--', 'flood'])
  let talk = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    talk += chunk.toString()
  })
  child.stdout?.once('data', () => child.stdout?.destroy())
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect([code, talk]).toEqual([141, ''])
  while (!stopped.has('flood')) await new Promise((resolve) => setImmediate(resolve))
})

test('a reader that does not read stops the writer at the far end; nothing is lost when it goes on', async () => {
  const child = errand.start(['run', 'gpu1', '--', 'much', '400'])
  const closed = new Promise((resolve) => child.once('close', resolve))
  await new Promise((resolve) => child.stdout?.once('readable', resolve))
  // A third of a second of standing still: the command line is another process and needs turns of its own.
  for (let last = -1, since = 0; last !== progress.much || performance.now() - since < 300; ) {
    if (last !== progress.much) [last, since] = [progress.much, performance.now()]
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(progress.much).toBeLessThan(40)
  let bytes = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  expect(await closed).toBe(0)
  expect(bytes).toBe(400 * (1 << 18))
})
