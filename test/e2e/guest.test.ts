/** A guest's whole life, with the shipped program: it comes, does what its grants name where they name it, sees nothing else, and is gone. */
import { expect, test } from 'vitest'
import type { GrantView, JoinView, Status, TaskView } from '../../protocols/local/messages.ts'
import { failureOf, jsonOf, type Node, until, type World, world } from '../support/world.ts'

/** Three devices of an owner; a guest that may `echo` and `sleep` on one of them, which is not the one that invites it. */
async function home(w: World): Promise<Record<'alice' | 'bob' | 'carol', Node>> {
  const alice = await w.founder('alice')
  const [bob, carol] = [await w.joiner(alice, 'bob'), await w.joiner(alice, 'carol')]
  await w.connected(bob.home, 'alice', 'carol')
  return { alice, bob, carol }
}

const GIVES = ['--guest', '--give', 'exec: echo, sleep', '--on', 'bob', '--for', '10m']

test('a guest runs what its grants name on the device that they name, sees that one only, and is shown as a guest by the others', async () => {
  await using w = world()
  const { alice, carol } = await home(w)
  const made = await w.invite(alice.home, '--name', 'visitor', ...GIVES)
  expect(made).toMatchObject({ membership: 'guest', asks: [], gives: [{ words: expect.stringContaining('on bob') }] })
  const guest = await w.up(w.home('visitor'), '--await-join')
  const joined = jsonOf<JoinView>(await w.errand(guest.home, 'join', made.code, '--yes', '--json'))
  expect(joined).toMatchObject({ membership: 'guest', name: 'visitor', gave: [] })

  await w.connected(guest.home, 'bob')
  const ran = await w.run(guest.home, 'bob', 'echo', 'hello')
  expect([ran.code, ran.stdout, ran.stderr]).toEqual([0, 'hello\n', ''])
  const other = await w.run(guest.home, 'bob', 'id')
  expect([other.code, other.stderr]).toEqual([126, expect.stringMatching(/denied on bob: exe "id" is not in \{echo, sleep\}/)])
  expect((await w.devices(guest.home)).map(({ name }) => name)).toEqual(['bob', 'visitor'])
  for (const name of ['alice', 'carol']) {
    const no = await w.run(guest.home, name, 'echo', 'x')
    expect(no.code, `${name}: ${no.stderr}`).toBeGreaterThanOrEqual(125)
    expect(no.stderr).not.toContain('carol-')
  }
  const task = jsonOf<{ task: string }>(await w.errand(guest.home, 'run', 'bob', '--detach', '--json', '--', 'echo', 'later')).task
  await until('it is over', async () => jsonOf<TaskView>(await w.errand(guest.home, 'task', task, '--json')).state === 'COMPLETED')
  expect((await w.errand(guest.home, 'logs', task)).stdout).toBe('later\n')

  const shown = (await w.devices(alice.home)).find(({ name }) => name === 'visitor')
  expect(shown).toMatchObject({ membership: 'guest', until: expect.any(String), trust: 'verified' })
  expect((await w.errand(carol.home, 'devices')).stdout).toMatch(/visitor.*guest/)
  expect(jsonOf<Status>(await w.errand(guest.home, 'status', '--json'))).toMatchObject({
    healthy: true,
    notices: [expect.stringContaining('a guest here until')],
  })
  expect((await w.audit(alice.home, '--action', 'device.join', '--device', 'alice')).at(-1)).toMatchObject({ words: expect.stringContaining('as a guest') })
})

test('with a typed code too: a guest that lends a command of its own is used by the owner’s devices, and knows those that speak with it', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { shortCode } = await w.invite(alice.home, '--short', '--guest', '--ask', 'exec: uname', '--for', '5m')
  const guest = await w.up(w.home('lender'), '--await-join')
  const ran = await w.start(guest.home, ['join', '--yes', '--via', alice.ready.addresses[0] ?? ''], { stdin: `${shortCode}\n` }).ended
  expect([ran.code, ran.stderr]).toEqual([
    0,
    expect.stringMatching(/you become: {3}a guest: meets the devices named below.*\n {2}you give: .*uname.*\n {2}you get: {6}nothing/),
  ])
  const name = (await w.devices(alice.home)).find(({ membership }) => membership === 'guest')?.name ?? ''
  expect(name).toMatch(/^guest-[a-z0-9]{6}$/)
  expect((await w.run(alice.home, name, 'uname')).stdout).not.toBe('')
  expect((await w.run(alice.home, name, 'id')).code).toBe(126)
  expect((await w.devices(guest.home)).map((one) => one.name)).toEqual([name])
})

test('what a guest may not do is refused with a next step: invite, hand on, be asked for more than its time, be invited for nothing', async () => {
  await using w = world()
  const { alice } = await home(w)
  const guest = await w.joiner(alice, 'visitor', { invite: GIVES })
  await w.connected(guest.home, 'bob')
  const invite = failureOf(await w.errand(guest.home, 'invite', '--json'))
  expect(invite).toMatchObject({ code: 'GUEST', message: 'a guest invites nobody into the mesh' })
  const handed = failureOf(await w.errand(guest.home, 'grant', 'bob', '--on', 'bob', '--can', 'exec: echo', '--for', '1m', '--json'))
  expect(handed).toMatchObject({ code: 'CANNOT_GRANT' })
  const outlives = failureOf(await w.errand(alice.home, 'grant', 'visitor', '--on', 'bob', '--can', 'exec: ls', '--for', '1h', '--json'))
  expect(outlives).toMatchObject({
    code: 'GUEST',
    message: expect.stringContaining('is a guest until'),
    hint: expect.stringContaining('errand invite --guest'),
  })
  for (const [words, code] of [
    [['--guest'], 'BAD_INVITE'],
    [['--guest', '--give', 'everything'], 'GUEST'],
    [['--give', 'exec: ls', '--on', 'bob'], 'BAD_INVITE'],
    [['--guest', '--give', 'exec: ls', '--on', 'visitor'], 'GUEST'],
    [['--guest', '--give', 'exec: ls', '--on', 'nobody'], 'UNKNOWN_DEVICE'],
  ] as const) {
    expect(failureOf(await w.errand(alice.home, 'invite', '--json', ...words)), words.join(' ')).toMatchObject({ code, hint: expect.any(String) })
  }
  const more = jsonOf<GrantView[]>(await w.errand(alice.home, 'grant', 'visitor', '--on', 'carol', '--can', 'exec: echo', '--for', '2m', '--json'))
  expect(more).toMatchObject([{ audience: 'visitor', device: 'carol', words: expect.stringContaining('not to be passed on') }])
  await w.connected(guest.home, 'carol')
  expect((await w.run(guest.home, 'carol', 'echo', 'also here')).stdout).toBe('also here\n')
})

test('revocation, removal and the end of its time end what a guest does, and then nobody speaks with it', async () => {
  await using w = world()
  const { alice, bob } = await home(w)
  const guest = await w.joiner(alice, 'visitor', { invite: GIVES })
  await w.connected(guest.home, 'bob')
  const working = w.start(guest.home, ['run', 'bob', '--', 'sleep', '600'])
  await until('it runs', async () => jsonOf<Status>(await w.errand(bob.home, 'status', '--json')).tasks.active === 1)
  const revoked = await w.errand(alice.home, 'revoke', '--on', 'bob', '--to', 'visitor', '--json')
  expect(revoked.code, revoked.stdout).toBe(0)
  expect((await working.ended).code).toBe(126)
  await until('the guest has no device left', async () => (await w.devices(guest.home)).every(({ name }) => name === 'visitor'))
  await until('bob has no line to it', async () => (await w.devices(bob.home)).find(({ name }) => name === 'visitor')?.path === null)

  await w.errand(alice.home, 'grant', 'visitor', '--on', 'bob', '--can', 'exec: sleep', '--for', '5m')
  await w.connected(guest.home, 'bob')
  const again = w.start(guest.home, ['run', 'bob', '--', 'sleep', '600'])
  await until('it runs again', async () => jsonOf<Status>(await w.errand(bob.home, 'status', '--json')).tasks.active === 1)
  const removed = await w.errand(alice.home, 'device', 'remove', 'visitor', '--yes')
  expect([removed.code, removed.stderr]).toEqual([0, ''])
  expect((await again.ended).code).toBeGreaterThanOrEqual(125)
  await until('the guest was told', async () =>
    jsonOf<Status>(await w.errand(guest.home, 'status', '--json'))
      .problems.join()
      .includes('removed'),
  )

  const brief = await w.joiner(alice, 'brief', { invite: ['--guest', '--give', 'exec: sleep', '--on', 'bob', '--for', '6s'] })
  const short = w.start(brief.home, ['run', 'bob', '--', 'sleep', '600'])
  expect((await short.ended).code).toBe(126)
  await until('its time is over', async () =>
    jsonOf<Status>(await w.errand(brief.home, 'status', '--json'))
      .problems.join()
      .includes('was a guest until'),
  )
  expect((await w.devices(alice.home)).map(({ name }) => name)).toEqual(['alice', 'bob', 'carol'])
  expect(failureOf(await w.errand(alice.home, 'run', 'brief', '--json', '--', 'true'))).toMatchObject({ code: 'GUEST_ENDED' })
})
