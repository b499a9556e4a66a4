/** Terminals on devices, as people use them: `errand shell` and `errand run -t` on a terminal of ours, between real nodes. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Keyboard } from '../support/keyboard.ts'
import { couple } from '../support/mesh.ts'
import { failureOf, type Node, until, type World } from '../support/world.ts'
import { goneFromProc, processesWith, runBytes } from './support-exec.ts'

let w: World
let alice: Node
let bob: Node

beforeAll(async () => {
  ;({ w, alice, bob } = await couple({ bob: { invite: ['--ask', 'exec: *; tty', '--give', 'exec: bash'] } }))
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

const at = (node: Node, ...words: string[]): Keyboard => Keyboard.start(node.home, words, w.env)

test('a shell on another device: keys, colours, size, Ctrl-C, its exit code, and our terminal as it was', async () => {
  await using seen = at(alice, 'shell', 'bob')
  await seen.shows(/[#$] $/)
  seen.type("PS1='there> '; stty size; echo $TERM; tput colors\r")
  await seen.shows(/30 100\r\nxterm-256color\r\n256\r\n/)
  await seen.shows(/there> $/)
  seen.type('sleep 1000\r')
  await seen.shows(/sleep 1000\r\n/)
  seen.type('\x03')
  await seen.shows(/\^C.*there> $/s)
  seen.resize({ columns: 132, rows: 43 })
  seen.type('until [ "$(stty size)" = "43 132" ]; do sleep 0.05; done; echo re""sized\r')
  await seen.shows(/resized/)
  seen.type('exit 7\r')
  expect(await seen.ended).toEqual({ code: 7, signal: null })
})

test('a program that draws the whole screen draws ours', async () => {
  await using seen = at(alice, 'run', 'bob', '-t', '--', 'less', '-R', '/etc/services')
  await seen.shows(/\[\?1049h/)
  const lines = await seen.screen()
  expect(lines).toHaveLength(30)
  seen.type('G')
  await seen.shows(/\(END\)/)
  expect((await seen.screen()).at(-1)).toContain('(END)')
  seen.type('q')
  expect((await seen.ended).code).toBe(0)
  expect((await seen.screen()).join('').trim(), 'it gave the screen back').toBe('')
})

test('a line feed is a line feed: what a program draws is where it drew it', async () => {
  await using seen = at(alice, 'run', 'bob', '-t', '--', 'sh', '-c', "stty raw; printf '\\033[2J\\033[Hab\\ncd'; sleep 1000")
  await seen.shows(/cd/)
  expect((await seen.screen()).slice(0, 2)).toEqual(['ab', '  cd'])
})

test('~. hangs up, and what ran there hears it', async () => {
  await using seen = at(alice, 'shell', 'bob')
  seen.type('sleep 987654\r')
  await seen.shows(/sleep 987654\r\n/)
  seen.type('\r~?')
  await seen.shows(/hang up/)
  seen.type('\r~.')
  expect((await seen.ended).code).toBe(129)
  await goneFromProc('sleep 987654')
})

test('a window that is closed ends what ran there', async () => {
  const seen = at(alice, 'run', 'bob', '-t', '--', 'sleep', '876543')
  await until('it runs there', () => processesWith('sleep 876543').length > 0)
  await seen[Symbol.asyncDispose]()
  await goneFromProc('sleep 876543')
})

test('~d leaves a terminal to itself, and attach brings it back with its screen as it was; who else attaches only watches', async () => {
  const first = at(alice, 'run', 'bob', '-t', '--', 'sh', '-c', 'less -R /etc/services; exec sleep 765432')
  await first.shows(/\[\?1049h/)
  first.type('G')
  await first.shows(/\(END\)/)
  const left = await first.screen()
  first.type('\r~d')
  const [, id = ''] = await first.shows(/goes on by itself: errand attach (\S+)\r\n/)
  expect(await first.ended).toEqual({ code: 0, signal: null })
  expect(
    (await first.screen()).filter((line) => line !== ''),
    'what was drawn there is not left on our screen',
  ).toEqual([expect.stringContaining('goes on by itself')])
  for (const home of [alice.home, bob.home]) {
    const seen = JSON.parse((await w.errand(home, 'task', id, '--json')).stdout)
    expect(seen).toMatchObject({ state: 'RUNNING', detached: true, tty: true })
  }

  const watching = at(bob, 'attach', id)
  await watching.shows(/you watch/)
  watching.type('q')
  await using back = at(alice, 'attach', id)
  await back.shows(/\(END\)/)
  expect(await back.screen()).toEqual(left)
  back.type('1G')
  await back.shows(/tcpmux/)
  await watching.shows(/tcpmux/)
  back.type('q')
  await until('it went on behind less', () => processesWith('sleep 765432').length > 0)
  watching.type('\r~.')
  expect(await watching.ended).toEqual({ code: 0, signal: null })
  expect(processesWith('sleep 765432')).toHaveLength(1)
  back.type('\r~.')
  expect((await back.ended).code).toBe(129)
  await goneFromProc('sleep 765432')
  const { stdout } = await w.errand(bob.home, 'audit', '--action', 'task.detach', '--json')
  expect(stdout.trim().split('\n')).toHaveLength(1)
})

test('in a pipe: a terminal over there, the end of input is Ctrl-D, and output is bytes', async () => {
  const script = 'tty >/dev/null && read line && echo "$line" && cat'
  const ran = await runBytes(w, alice.home, ['-t', 'bob', '--', 'sh', '-c', script], Buffer.from('one\ntwo\n'))
  expect([ran.code, ran.stdout.toString()]).toEqual([0, expect.stringMatching(/one\r\n.*two\r\n/s)])
})

test('who may not have a terminal gets none, and why says so', async () => {
  const refused = await w.errand(bob.home, 'run', 'alice', '--json', '-t', '--', 'bash')
  expect(failureOf({ ...refused, stdout: refused.stdout.trim().split('\n').at(-1) ?? '' })).toMatchObject({
    code: 'DENIED',
    message: expect.stringContaining('tty'),
  })
  expect((await w.errand(bob.home, 'why', 'alice', '-t', '--', 'bash')).stdout).toContain('✗')
  expect(await w.errand(alice.home, 'run', 'bob', '-t', '--detach', '--', 'bash')).toMatchObject({ code: 2 })
})
