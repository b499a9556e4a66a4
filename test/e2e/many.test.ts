/** One command on many devices: real nodes from dist, each its own process. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FanEnd, FanOutcome, FanView } from '../../src/local/client.ts'
import { failureOf, jsonLinesOf, jsonOf, type Node, type Ran, until, type World, world } from '../support/world.ts'

type Line = { readonly t: string; readonly device: string; readonly text?: string } & Partial<FanEnd> & Partial<FanView> & Partial<FanOutcome>

let w: World
let alice: Node
let bob: Node
let dave: Node

beforeAll(async () => {
  w = world()
  alice = await w.founder('alice', { labels: ['room=attic'] })
  bob = await w.joiner(alice, 'bob', { invite: ['--mine'] })
  await w.joiner(alice, 'carol', { invite: ['--mine'] })
  dave = await w.joiner(alice, 'dave', { invite: ['--ask', 'exec: true, echo'] })
  await w.connected(alice.home, 'bob', 'carol', 'dave')
  await until('all have said what they are', async () => (await w.devices(alice.home)).every(({ capabilities }) => capabilities !== null))
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

const run = async (...args: string[]): Promise<Ran> => await w.errand(alice.home, 'run', ...args)
const linesOf = (ran: Ran): Line[] => jsonLinesOf<Line>(ran)
const sumOf = (ran: Ran): Line => linesOf(ran).at(-1) ?? { t: 'nothing', device: '' }

test('on all devices: each has its output under its name, and the exit code is 0 when all are', async () => {
  const ran = await run('--all', '--', 'echo', 'hello')
  expect([ran.code, ran.stderr]).toEqual([0, ''])
  expect(ran.stdout.split('── ').slice(1).sort()).toEqual(['alice ──\nhello\n', 'bob ──\nhello\n', 'carol ──\nhello\n', 'dave ──\nhello\n'])
  const prefixed = await run('--all', '--prefix', '--', 'echo', 'hello')
  expect(prefixed.stdout.split('\n').sort()).toEqual(['', 'alice | hello', 'bob | hello', 'carol | hello', 'dave | hello'])
})

test('the exit code is the highest of theirs, and the table says which; devices where it may not run are left out and named', async () => {
  const ran = await run('--all', '--json', '--', 'sh', '-c', `case "$HOME" in *) echo out; echo err >&2; exit 3;; esac`)
  expect(ran.code).toBe(3)
  expect(sumOf(ran)).toMatchObject({ t: 'summary', exitCode: 3, counts: { failed: 3 }, leftOut: [{ device: 'dave', code: 'DENIED' }] })
  const told = linesOf(ran).filter(({ t }) => t === 'stdout' || t === 'stderr')
  expect(told.map(({ t, device, text }) => `${device} ${t} ${text}`).sort()).toEqual(
    ['alice', 'bob', 'carol'].flatMap((device) => [`${device} stderr err\n`, `${device} stdout out\n`]),
  )
  const words = await run('--on', 'device=bob | device=dave', '--all', '--', 'false')
  expect(words.code).toBe(1)
  expect(words.stderr).toMatch(/left out, since this device may not run that there: dave/)
  expect(words.stderr).toMatch(/DEVICE +RESULT +EXIT[^\n]*\nbob +failed +1/)
})

test('an expression chooses by what devices say of themselves and owners say of them; one alone runs on one', async () => {
  expect((await run('--on', 'device=bob & os=linux & memory>=1M', '--', 'echo', 'there')).stdout).toBe('there\n')
  const [home] = await w.devices(alice.home)
  expect(home?.capabilities).toMatchObject({ gpus: expect.any(Number), tools: expect.arrayContaining(['bash', 'tar']) })
  expect((await run('--on', 'device=carol & tool.tar & !tool.zig & gpu>=0', '--', 'echo', 'too')).stdout).toBe('too\n')
  const two = sumOf(await run('--on', 'os=linux', '--count', '2', '--json', '--', 'true'))
  expect(two.counts).toEqual({ ok: 2 })
  expect(failureOf(await run('--on', 'os=plan9', '--json', '--', 'true'))).toMatchObject({ code: 'NO_DEVICE_FITS' })
  expect(await run('--on', 'device=dave', '--', 'rm', 'x')).toMatchObject({ code: 126 })
  const typo = await run('--on', 'os=linux & memroy>8G', '--all', '--', 'true')
  expect([typo.code, typo.stdout]).toEqual([2, ''])
  expect(typo.stderr).toContain('column 12: no "memroy" is known of devices\nhint: did you mean memory?\n  os=linux & memroy>8G\n             ^\n')
})

test('what cannot be reached is told apart from what failed and what was denied', async () => {
  const erin = await w.joiner(alice, 'erin', { invite: ['--mine'] })
  await w.connected(alice.home, 'erin')
  await erin.kill()
  await until('erin is seen to be away', async () => !(await w.devices(alice.home)).find(({ name }) => name === 'erin')?.online)
  const ran = await run('--on', 'device=bob | device=erin', '--all', '--json', '--', 'false')
  expect(ran.code).toBe(125)
  expect(sumOf(ran)).toMatchObject({ counts: { failed: 1, unreachable: 1 }, exitCode: 125 })
  expect(failureOf(await run('--on', 'device=bob | device=erin', '--count', '2', '--json', '--', 'true'))).toMatchObject({ code: 'TOO_FEW_DEVICES' })
}, 60_000)

test('fail-fast: the first that does not end well ends what runs, and nothing more begins', async () => {
  const mark = w.at('fail-fast')
  const script = `if mkdir ${mark}; then exit 7; fi; sleep 600`
  const ran = await run('--on', 'device=alice | device=bob | device=carol', '--all', '--max-parallel', '2', '--fail-fast', '--json', '--', 'sh', '-c', script)
  expect(ran.code).toBe(7)
  const { counts, stopped } = sumOf(ran)
  expect([stopped, counts?.failed, (counts?.cancelled ?? 0) + (counts?.['not-started'] ?? 0)]).toEqual(['fail-fast', 1, 2])
}, 60_000)

test('Ctrl-C ends all of them', async () => {
  const going = w.start(alice.home, ['run', '--on', 'device=alice | device=bob', '--all', '--json', '--', 'sh', '-c', `echo $$ >> ${w.at('pids')}; sleep 600`])
  const pids = await until('both run', () => {
    const seen = linesIn(w.at('pids'))
    return seen.length === 2 && seen
  })
  const ran = await going.end('SIGINT')
  expect(ran.code).toBe(130)
  expect(sumOf(ran)).toMatchObject({ stopped: 'cancelled', counts: { cancelled: 2 } })
  await until('their processes are gone', () => pids.every((pid) => !isThere(Number(pid))))
}, 60_000)

function linesIn(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean)
  } catch {
    return []
  }
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('handed over, the whole is one task: shown with its children, and cancelled with them', async () => {
  const { parent, tasks } = jsonOf<FanView>(await run('--on', 'device=alice | device=bob', '--all', '--detach', '--json', '--', 'sleep', '600'))
  expect(tasks).toHaveLength(2)
  const shown = await until('both run', async () => {
    const seen = jsonOf<{ state: string; why: string; children: { state: string; task: string }[] }>(await w.errand(alice.home, 'task', parent, '--json'))
    return seen.children.every(({ state }) => state === 'RUNNING') && seen
  })
  expect([shown.state, shown.why, shown.children.map(({ task }) => task)]).toEqual(['WAITING', 'children', tasks])
  const [, onBob = ''] = tasks
  expect(jsonOf(await w.errand(alice.home, 'task', onBob, '--json'))).toMatchObject({ parent, device: 'bob' })
  expect((await w.errand(alice.home, 'cancel', parent)).code).toBe(0)
  const stands = await until('the children have ended', async () => {
    const seen = jsonOf<{ state: string; children: { state: string }[] }>(await w.errand(alice.home, 'task', parent, '--json'))
    return seen.children.every(({ state }) => state === 'CANCELLED') && seen
  })
  expect(stands.state).toBe('CANCELLED')
  expect(bob.name).toBe('bob')
}, 60_000)

test('in a session it goes to that session’s devices only, and its tasks are that session’s', async () => {
  const { token, session } = jsonOf<{ token: string; session: string }>(
    await w.errand(alice.home, 'session', 'open', '--on', 'bob', '--can', 'exec: echo', '--for', '10m', '--json'),
  )
  const ran = await w.errand(alice.home, 'run', '--all', '--json', '--session', token, '--', 'echo', 'inside')
  expect(linesOf(ran).filter(({ t }) => t === 'stdout')).toMatchObject([{ device: 'bob', text: 'inside\n' }])
  const parent = sumOf(ran).parent ?? ''
  expect(jsonOf(await w.errand(alice.home, 'task', parent, '--json', '--session', token))).toMatchObject({ session, state: 'COMPLETED' })
  expect((await w.errand(alice.home, 'run', '--on', 'device=carol', '--session', token, '--', 'echo', 'x')).code).toBe(125)
})

test('a device that is left out is not asked at all: nothing stands in its log', async () => {
  const denied = await w.audit(dave.home, '--action', 'exec.denied')
  expect(denied).toEqual([])
})

interface Result {
  readonly id: string | number
  readonly exitCode: number
  readonly stdout?: string
  readonly stdoutEncoding?: string
  readonly device?: string
  readonly error?: { readonly code: string }
}

const batch = async (args: readonly string[], stdin: string): Promise<Ran> => await w.start(alice.home, ['batch', ...args], { stdin }).ended

test('batch: a line is a command, and one that is wrong, refused or failed is only that', async () => {
  const lines = [
    { id: 'a', device: 'bob', command: ['echo', 'x'] },
    { id: 'b', device: 'carol', command: ['cat'], stdin: 'from here' },
    { id: 'c', device: 'bob', command: ['printf', '\\377'] },
    { id: 'd', device: 'bob', command: ['sleep', '600'], timeout: '200ms' },
    { id: 'e', device: 'dave', command: ['rm', 'x'] },
    { id: 'f', device: 'bob', comand: [] },
    { id: 'g', device: 'nobody', command: ['true'] },
    { id: 'h', device: 'bob', command: ['sh', '-c', 'exit 9'] },
  ].map((line) => JSON.stringify(line))
  const ran = await batch(['--json', '--max-parallel', '4'], `${lines.join('\n')}\nnot a line\nbob -- echo last`)
  const results = new Map(jsonLinesOf<Result>(ran).map((one) => [one.id, one]))
  expect(ran.code).toBe(126)
  expect([results.get('a')?.stdout, results.get('b')?.stdout, results.get(10)?.stdout]).toEqual(['x\n', 'from here', 'last\n'])
  expect(results.get('c')).toMatchObject({ stdout: '/w==', stdoutEncoding: 'base64' })
  const codes = ['a', 'd', 'e', 'f', 'g', 'h', 9].map((id) => [id, results.get(id)?.exitCode, results.get(id)?.error?.code])
  expect(codes).toEqual([
    ['a', 0, undefined],
    ['d', 124, undefined],
    ['e', 126, 'DENIED'],
    ['f', 2, 'BAD_LINE'],
    ['g', 125, 'UNKNOWN_DEVICE'],
    ['h', 9, undefined],
    [9, 2, 'BAD_LINE'],
  ])
})

test('batch: 120 commands over one connection come all back; in words their output is what they printed', async () => {
  const many = await batch(['bob', '--json', '--max-parallel', '8'], '{"command":["echo","x"]}\n'.repeat(120))
  expect(many.code).toBe(0)
  expect(
    jsonLinesOf<Result>(many)
      .map(({ id }) => Number(id))
      .sort((a, b) => a - b),
  ).toEqual(Array.from({ length: 120 }, (_, n) => n + 1))
  const words = await batch(['bob'], "echo 'one  two'\n\n# not this\nsh -c 'echo no >&2; exit 3'\n")
  expect([words.code, words.stdout]).toEqual([3, 'one  two\n'])
  expect(words.stderr).toMatch(/^no\nerrand: line 4: bob: exit 3\n$/)
}, 60_000)

test('batch: Ctrl-C ends what runs and reads no further', async () => {
  const going = w.start(alice.home, ['batch', 'alice', '--json'], {
    stdin: `sh -c 'echo $$ > ${w.at('batch-pid')}; sleep 600'\ntouch ${w.at('must-not-be')}\n`,
  })
  const [pid] = await until('it runs', () => {
    const seen = linesIn(w.at('batch-pid'))
    return seen.length === 1 && seen
  })
  const ran = await going.end('SIGINT')
  expect([ran.code, linesIn(w.at('must-not-be'))]).toEqual([130, []])
  await until('its process is gone', () => !isThere(Number(pid)))
}, 60_000)
