/** `errand why` with real devices: what the one who asks learns, what the device that is asked writes down, and that nothing runs. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Status, WhyView } from '../../protocols/local/messages.ts'
import { socketPathOf } from '../../src/base/paths.ts'
import { connect } from '../../src/local/client.ts'
import { trio } from '../support/mesh.ts'
import { jsonOf, type Node, until, type World } from '../support/world.ts'

let w: World
let alice: Node
let bob: Node
let carol: Node

beforeAll(async () => {
  const gives = (right: string) => ({ invite: ['--ask', right] })
  ;({ w, alice, bob, carol } = await trio({ bob: gives('exec: touch, echo'), carol: gives('exec: true'), met: { carol: ['bob'] } }))
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

async function why(by: Node, ...words: string[]): Promise<WhyView> {
  const ran = await w.errand(by.home, 'why', '--json', ...words)
  if (ran.code !== 0) throw new Error(`no answer: ${ran.stdout}${ran.stderr}`)
  return jsonOf<WhyView>(ran)
}

const step = ({ steps }: WhyView, name: string): WhyView['steps'][number] | undefined => steps.find((one) => one.step === name)

test('a yes goes through every step, runs nothing, and is in the device’s log as a question', async () => {
  const marker = w.at('must-not-be')
  const seen = await why(alice, 'bob', '--', 'touch', marker)
  expect(seen).toMatchObject({ allowed: true, device: 'bob', next: `errand run bob -- touch ${marker}` })
  expect(seen.steps.map((one) => [one.step, one.ok])).toEqual(
    expect.arrayContaining([
      ['discovery', true],
      ['dial', true],
      ['authority', true],
      ['limits', true],
    ]),
  )
  expect(step(seen, 'dial')?.detail).toMatch(/^direct, /)
  expect(existsSync(marker)).toBe(false)
  const logged = await w.audit(bob.home, '--action', 'exec.asked', '--actor', alice.did)
  expect(logged).toMatchObject([{ result: 'allowed', command: ['touch', marker], words: 'a question; nothing was run', task: null }])
  expect(await w.audit(bob.home, '--action', 'exec.start', '--actor', alice.did)).toEqual([])
})

test('a no names the caveat that failed, in the words of a refused run, and the chain that was tried', async () => {
  const seen = await why(alice, 'bob', '--', 'rm', '-rf', '/')
  const refused = await w.run(alice.home, 'bob', 'rm', '-rf', '/')
  const authority = step(seen, 'authority')
  expect(seen.allowed).toBe(false)
  expect(authority).toMatchObject({ ok: false, detail: expect.stringMatching(/^exe "rm" is not in \{touch, echo\}/) })
  expect(refused.stderr).toContain(authority?.detail ?? 'nothing')
  expect(refused.stderr).toContain(seen.next)
  expect(authority?.paths).toMatchObject([{ ok: false, grants: [expect.stringMatching(/^bafy/)] }])
  expect(seen.steps.at(-1)?.step).toBe('authority')
})

test('a member without a right learns what a refused run tells, and no step beyond', async () => {
  const seen = await why(carol, 'bob', '--', 'echo', 'hi')
  expect(seen.allowed).toBe(false)
  expect(seen.steps.map((one) => one.step)).toEqual(['discovery', 'dial', 'authority'])
  expect(step(seen, 'authority')).toMatchObject({ ok: false, detail: 'no grant from bob reaches carol' })
  expect((await w.run(carol.home, 'bob', 'echo', 'hi')).stderr).toContain(`no grant from bob reaches carol\nhint: ${seen.next}`)
})

test('for people it is a line for the way, a line for the right, and what to do next', async () => {
  const ran = await w.errand(alice.home, 'why', 'bob', '--', 'rm', 'x')
  expect(ran.code).toBe(0)
  expect(ran.stdout).toMatch(
    /^discovery ✓ record .+ · dial ✓ direct, .+ ms\nauthority ✗ exe "rm" is not in \{touch, echo\} .*\n→ .*errand grant alice --on bob/,
  )
})

test('without a command it says what there is of the way and of rights; without -- it says how to write it', async () => {
  expect(step(await why(alice, 'bob'), 'authority')).toMatchObject({ ok: true, detail: expect.stringContaining('exec: touch …, echo …') })
  expect(step(await why(carol, 'bob'), 'authority')).toMatchObject({ ok: false, detail: 'this device holds no right to run anything on bob' })
  expect(await w.errand(alice.home, 'why', 'bob', 'rm')).toMatchObject({ code: 2, stderr: expect.stringContaining('put -- before the command') })
})

test('programs ask the same over HTTP', async () => {
  const client = connect({ socketPath: socketPathOf(alice.home) })
  const seen = await client.call<WhyView>('POST', '/api/runtime/why', { device: 'bob', command: ['echo', 'hi'], env: ['LD_PRELOAD'] })
  client.close()
  expect(step(seen, 'authority')).toMatchObject({ ok: false, detail: expect.stringContaining('env') })
})

test('of a device that is away only what is known here is said, and that the rest cannot be known', async () => {
  await bob.stop()
  await until('alice has lost bob', async () => (await w.devices(alice.home)).some(({ name, path }) => name === 'bob' && path === null))
  const seen = await why(alice, 'bob', '--', 'echo', 'hi')
  expect(seen.allowed).toBe(false)
  expect(step(seen, 'dial')).toMatchObject({ ok: false, detail: expect.stringMatching(/no answer on 1 address \(\/ip4\/127\.0\.0\.1/) })
  expect(step(seen, 'authority')).toMatchObject({ ok: true, detail: expect.stringContaining('as far as this device knows') })
  expect(step(seen, 'policy')).toMatchObject({ ok: false, unknown: true, detail: expect.stringContaining('cannot know') })
  expect(seen.next).toMatch(/^bob is offline/)
})

test('a device whose clock was set back while it was down says so, and runs nothing on rights that expire until two members agree with it', async () => {
  await carol.stop()
  writeFileSync(join(bob.home, 'clock.floor'), `errand clock floor v1 ${Date.now() + 86_400_000}\n`)
  await w.up(bob.home)
  await w.connected(alice.home, 'bob')
  const seen = await why(alice, 'bob', '--', 'echo', 'hi')
  expect(step(seen, 'clock')).toMatchObject({ ok: false, detail: expect.stringMatching(/^the clock is untrusted: it is (1d|23h59m) behind/) })
  expect(await w.run(alice.home, 'bob', 'echo', 'hi')).toMatchObject({ code: 126, stderr: expect.stringContaining('the clock is untrusted') })
  expect(await w.run(bob.home, 'bob', 'echo', 'hi')).toMatchObject({ code: 0, stdout: 'hi\n' })
  expect(jsonOf<Status>(await w.errand(bob.home, 'status', '--json'))).toMatchObject({ healthy: false, problems: [expect.stringContaining('clock.floor')] })
  await w.up(carol.home)
  await w.connected(carol.home, 'bob')
  expect(await w.run(alice.home, 'bob', 'echo', 'hi')).toMatchObject({ code: 0, stdout: 'hi\n' })
})
