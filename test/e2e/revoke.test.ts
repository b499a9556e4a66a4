/** Revocation with reach: what it would end and does end, who has heard how soon, who is cut off in the middle, and a device that was away. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GrantView, RevokeView, TaskView } from '../../protocols/local/messages.ts'
import { trio } from '../support/mesh.ts'
import { jsonOf, type Node, type Running, until, type World } from '../support/world.ts'

let w: World
let alice: Node
let bob: Node
let carol: Node

beforeAll(async () => {
  ;({ w, alice, bob, carol } = await trio({ carol: { invite: ['--ask', 'exec: true'] }, met: { carol: ['bob'] } }))
})

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

async function grantTo(who: string, can: string): Promise<string> {
  const [given] = jsonOf<GrantView[]>(await w.errand(alice.home, 'grant', who, '--on', 'bob', '--can', can, '--for', '1h', '--json'))
  if (given === undefined) throw new Error('no grant')
  await until(`${who} knows`, async () => jsonOf<GrantView[]>(await w.errand(carol.home, 'grants', '--json')).some(({ cid }) => cid === given.cid))
  return given.cid
}

async function detached(by: Node, ...command: string[]): Promise<string> {
  return jsonOf<{ task: string }>(await w.errand(by.home, 'run', 'bob', '--detach', '--json', '--', ...command)).task
}

const stateOf = async (by: Node, task: string): Promise<string> => jsonOf<TaskView>(await w.errand(by.home, 'task', task, '--json')).state
const revoked = async (...words: string[]): Promise<RevokeView> => jsonOf<RevokeView>(await w.errand(alice.home, 'revoke', '--json', ...words))

/** Resolves when a program has printed so much. */
async function hasPrinted({ child }: Running, bytes: number): Promise<void> {
  let seen = 0
  await new Promise<void>((resolve) =>
    child.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.length
      if (seen >= bytes) resolve()
    }),
  )
}

test('--what-if names the grants and the tasks on every device and changes nothing; the revocation then ends just those, and says who heard how soon', async () => {
  const grant = await grantTo('carol', 'exec: sleep')
  const task = await detached(carol, 'sleep', '300')
  await until('it runs', async () => (await stateOf(carol, task)) === 'RUNNING')
  const supposed = await revoked(grant, '--what-if')
  expect(supposed).toMatchObject({ whatIf: true, grants: [grant], stopped: [task], unreachable: [] })
  expect([...supposed.acknowledged].sort()).toEqual(['bob', 'carol'])
  expect((await w.errand(alice.home, 'revoke', grant, '--what-if')).stdout).toMatch(/^nothing was revoked · 1 grant would die: bafy.* · 1 task would stop: /)
  expect(await stateOf(carol, task)).toBe('RUNNING')
  expect(jsonOf<GrantView[]>(await w.errand(alice.home, 'grants', '--json')).find(({ cid }) => cid === grant)).toMatchObject({ revoked: false })
  const done = await revoked(grant)
  expect(done).toMatchObject({ grants: [grant], stopped: [task], unreachable: [] })
  expect(done.acks.map(({ device }) => device).sort()).toEqual(['bob', 'carol'])
  expect(Math.max(...done.acks.map(({ ms }) => ms))).toBeLessThanOrEqual(2_000)
  await until('it is over', async () => (await stateOf(carol, task)) === 'FAILED')
})

test('who follows output, also at the exec-host’s own door, is cut off by the revocation; the command goes on', async () => {
  const task = jsonOf<{ task: string }>(
    await w.errand(
      alice.home,
      'run',
      'bob',
      '--detach',
      '--json',
      '--',
      'sh',
      '-c',
      'head -c 3000000 /dev/zero; while :; do head -c 65536 /dev/zero; sleep 0.2; done',
    ),
  ).task
  const right = await grantTo('carol', '/task') // to find it, and to read what it prints
  const follower = w.start(carol.home, ['attach', task, '--from', '0'])
  await hasPrinted(follower, 3_000_000) // far more than comes on the stream: by now it reads at the other door
  expect(await revoked(right)).toMatchObject({ grants: [right], stopped: [] })
  const { code, stderr } = await follower.ended
  expect(stderr).toMatch(/revoked/)
  expect(code).toBe(126)
  expect(await stateOf(alice, task)).toBe('RUNNING')
  await w.errand(alice.home, 'cancel', task)
})

test('a device that was away hears of it before it runs anything, also when only the one whose right it was is there', async () => {
  const grant = await grantTo('carol', 'exec: echo')
  expect((await w.run(carol.home, 'bob', 'echo', 'hi')).code).toBe(0)
  await bob.stop()
  const done = await revoked(grant)
  expect(done.acknowledged).toEqual(['carol'])
  expect(done.unreachable).toEqual([{ device: 'bob', expiresAt: expect.stringMatching(/Z$/) }])
  await alice.stop()
  bob = { ...(await w.up(bob.home)), home: bob.home }
  const late = await w.run(carol.home, 'bob', 'echo', 'hi')
  expect(late).toMatchObject({ code: 126, stdout: '' })
  expect(late.stderr).toMatch(/revoked/)
})
