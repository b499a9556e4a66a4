/** What errand asks a person: on a terminal, with keys, between real nodes. In a pipe it asks nothing, and other tests say so. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GrantView } from '../../protocols/local/messages.ts'
import { couple } from '../support/mesh.ts'
import { Terminal } from '../support/terminal.ts'
import { failureOf, jsonOf, type Node, type World } from '../support/world.ts'
import { addressOf } from './support-exec.ts'

let w: World
let alice: Node
let bob: Node

beforeAll(async () => {
  ;({ w, alice, bob } = await couple({ bob: { invite: ['--ask', 'exec: echo'] } }))
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

const at = (node: Node, ...words: string[]): Terminal => Terminal.start(node.home, words, w.env)
const grants = async (): Promise<GrantView[]> => jsonOf<GrantView[]>(await w.errand(alice.home, 'grants', '--json'))
const toBob = async (): Promise<string[]> => (await grants()).filter(({ audience }) => audience === 'bob').map(({ words }) => words)

test('a grant is shown in words and signed on a yes; anything else signs nothing', async () => {
  const words = ['grant', 'bob', '--on', 'alice', '--can', 'exec: echo; rate 2/h', '--for', '1h'] as const
  for (const answer of ['n', '', 'yes please']) {
    await using asked = at(alice, ...words)
    await asked.shows(/You give:\n\s+bob may exec: echo …; rate 2\/h on alice, for .*\n/)
    await asked.shows(/Sign this\? \[y\/N\]/)
    asked.type(answer)
    const { code, screen } = await asked.ended
    expect([code === 0, screen.includes('nothing was signed')]).toEqual([false, true])
  }
  expect(await toBob()).toEqual([])
  await using asked = at(alice, ...words)
  await asked.shows(/Sign this\?/)
  asked.type('y')
  expect((await asked.ended).code).toBe(0)
  expect(await toBob()).toEqual([expect.stringMatching(/^bob may exec: echo …; rate 2\/h on alice/)])
  for (const word of ['one', 'two']) expect(await w.run(bob.home, 'alice', 'echo', word)).toMatchObject({ code: 0, stdout: `${word}\n` })
  const third = await w.errand(bob.home, 'run', 'alice', '--json', '--', 'echo', 'three')
  expect(failureOf({ ...third, stdout: third.stdout.trim().split('\n').at(-1) ?? '' })).toMatchObject({
    ...{ code: 'TOO_BUSY', hint: expect.stringMatching(/try again in (29|30)m/), source: 'device' },
    fields: { reason: 'RATE', rate: '2/h', retryAfterMs: expect.any(Number) },
  })
})

test('what is handed on is no wider: neither more often, nor without the bound', async () => {
  for (const rate of ['', '; rate 3/h', '; rate 2/m']) {
    const refused = await w.errand(bob.home, 'grant', bob.did, '--on', 'alice', '--can', `exec: echo${rate}`, '--for', '10m', '--json')
    expect(failureOf(refused)).toMatchObject({ code: 'CANNOT_GRANT', message: expect.stringMatching(/and it has 2\/h/) })
  }
})

test('--yes and a role: nobody is asked, or all that the role may is shown', async () => {
  await using plain = at(alice, 'grant', 'bob', '--on', 'alice', '--can', 'device: info', '--for', '1h', '--yes')
  expect((await plain.ended).code).toBe(0)
  await using asked = at(alice, 'grant', 'bob', '--role', 'viewer', '--for', '1h')
  await asked.shows(/bob becomes viewer on every device of the owner, for 1h, and may\n\s+task: ?read/)
  await asked.shows(/Sign this\?/)
  asked.type('y')
  expect((await asked.ended).screen).toMatch(/✓ bob is readonly on every device of the owner/)
  const both = await w.errand(alice.home, 'grant', 'bob', '--role', 'viewer', '--can', 'exec: *', '--for', '1h')
  expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('not both')])
})

test('rights on a group of devices are taken back at once', async () => {
  await w.errand(alice.home, 'group', 'add', 'lab', 'alice')
  await w.errand(alice.home, 'grant', 'bob', '--on', 'lab', '--can', 'exec: ls', '--for', '1h')
  expect(await w.run(bob.home, 'alice', 'ls', '/')).toMatchObject({ code: 0 })
  const taken = jsonOf<{ grants: string[] }>(await w.errand(alice.home, 'revoke', '--on', 'lab', '--can', 'exec', '--to', 'bob', '--json'))
  expect(taken.grants).toHaveLength(2)
  expect(await w.run(bob.home, 'alice', 'ls', '/')).toMatchObject({ code: 126 })
})

test('a code of words is shown on one terminal and typed on the other; both show the same three, and each is asked', async () => {
  const carol = await w.up(w.home('carol'), '--await-join')
  await using inviter = at(alice, 'invite', '--name', 'carol', '--ask', 'exec: echo', '--approve')
  const code = await codeOn(inviter)
  await using joiner = at(carol, 'join', '--via', await addressOf(alice.home))
  await joiner.shows(/code: /)
  joiner.type('7-abcdef-ghijkl-mnopqr-stuvwx')
  await joiner.shows(/\n.*\n {2}code: /)
  joiner.type(code)
  const [, words = ''] = await joiner.shows(/Both screens must say +([a-z]+ · [a-z]+ · \d\d)/)
  await joiner.shows(/Allow\? \[y\/N\]/)
  joiner.type('y')
  const [, same] = await inviter.shows(/([a-z]+ · [a-z]+ · \d\d)/)
  expect(same).toBe(words)
  await inviter.shows(/\[y\/N\]/)
  inviter.type('y')
  expect((await joiner.ended).code).toBe(0)
  expect((await inviter.ended).code).toBe(0)
  expect((await w.run(alice.home, 'carol', 'echo', 'hello')).stdout).toBe('hello\n')
})

/** Where the machine has a network, it is offered first. */
async function codeOn(inviter: Terminal): Promise<string> {
  const [, code] = await inviter.shows(/to your local network.*\[Y\/n\]|type this code: +(\d+-[a-z-]+)/)
  if (code !== undefined) return code
  inviter.type('n')
  return await codeOn(inviter)
}
