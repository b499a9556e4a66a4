/** A device that an owner removed is out, everywhere and at once, whatever it still holds; only an owner brings it back. */
import { expect, test } from 'vitest'
import type { Status } from '../../protocols/local/messages.ts'
import type { OrderView } from '../../protocols/local/orders.ts'
import { jsonOf, until, world } from '../support/world.ts'

test('a removed device is refused by all, its work ends, it learns of it, and only an owner’s invite brings it back', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', { invite: ['--role', 'admin'] })
  const carol = await w.joiner(alice, 'carol')
  await w.connected(bob.home, 'alice', 'carol')
  const working = w.start(bob.home, ['run', 'carol', '--', 'sh', '-c', 'echo begun; sleep 600'])
  expect(await working.firstLine()).toBe('begun')

  const asked = await w.errand(alice.home, 'device', 'remove', 'bob')
  expect([asked.code, asked.stderr]).toEqual([125, expect.stringMatching(/nobody is here to agree.*\nhint: errand device remove bob --yes/)])
  const removed = jsonOf<OrderView>(await w.errand(alice.home, 'device', 'remove', 'bob', '--yes', '--reason', 'stolen', '--json'))
  expect(removed).toMatchObject({ kind: 'remove', subject: bob.did, unreachable: [], stopped: [expect.any(String)] })
  expect(removed.acknowledged.sort()).toEqual(['bob', 'carol'])
  await working.ended

  for (const { home } of [alice, carol]) {
    expect((await w.devices(home)).map(({ name }) => name)).not.toContain('bob')
    const refused = await w.run(home, 'bob', 'true')
    expect([refused.code, refused.stderr]).toEqual([125, expect.stringMatching(/"bob" was removed from this mesh\nhint: an owner can admit it again/)])
  }
  const knows = jsonOf<Status>(await w.errand(bob.home, 'status', '--json'))
  expect(knows).toMatchObject({ healthy: false, problems: [expect.stringContaining('removed from the mesh by an owner')] })
  const alone = await w.run(bob.home, 'carol', 'true')
  expect([alone.code, alone.stderr]).toEqual([125, expect.stringContaining('this device was removed from the mesh by an owner')])
  expect((await w.run(bob.home, 'bob', 'true')).code, 'it is still its own').toBe(0)
  expect((await w.audit(alice.home, '--action', 'device.remove')).map(({ reason, name }) => [name, reason])).toEqual([['bob', 'stolen']])
  expect((await w.verify(alice.home)).ok, 'its log stays readable').toBe(true)

  const { code } = await w.invite(alice.home, '--name', 'bob')
  const back = await w.errand(bob.home, 'join', code, '--yes', '--json')
  expect([back.code, back.stderr]).toEqual([0, ''])
  await w.connected(carol.home, 'bob')
  expect((await w.run(alice.home, 'bob', 'true')).code).toBe(0)
  const denied = await w.run(bob.home, 'carol', 'true')
  expect([denied.code, denied.stderr], 'what it was once given stays dead').toEqual([126, expect.stringContaining('denied')])
})

test('who was away hears of a removal before it serves, and a removed device that was away is told why nobody takes it', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', { invite: ['--role', 'admin'] })
  const carol = await w.joiner(alice, 'carol')
  await Promise.all([bob.stop(), carol.stop()])
  const removed = jsonOf<OrderView>(await w.errand(alice.home, 'device', 'remove', 'bob', '--yes', '--json'))
  expect(removed).toMatchObject({ acknowledged: [], unreachable: ['carol'] })
  const again = await w.up(bob.home)
  await until('bob was told', async () => jsonOf<Status>(await w.errand(again.home, 'status', '--json')).problems.length > 0)
  expect((await w.audit(alice.home, '--action', 'device.refused')).at(-1)).toMatchObject({
    actor: bob.did,
    result: 'denied',
    why: 'REMOVED',
    reason: expect.stringContaining('removed'),
  })
  const other = await w.up(carol.home)
  await w.connected(other.home, 'alice')
  await until('carol has heard of it', async () => !(await w.devices(other.home)).some(({ name }) => name === 'bob'))
  expect((await w.devices(alice.home)).map(({ name }) => name)).toEqual(['alice', 'carol'])
})

test('trust and lockdown bound what was granted, end what runs above them, and give it back', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', { invite: ['--role', 'admin'] })
  await w.connected(bob.home, 'alice')
  const working = async (): Promise<ReturnType<typeof w.start>> => {
    const started = w.start(bob.home, ['run', 'alice', '--', 'sh', '-c', 'echo begun; sleep 600'])
    expect(await started.firstLine()).toBe('begun')
    return started
  }
  const low = await working()
  const said = await w.errand(alice.home, 'device', 'trust', 'bob', 'untrusted')
  expect(said.stdout).toMatch(/bob is untrusted · 1 live task stopped · acknowledged by bob/)
  expect((await low.ended).code).toBe(126)
  expect((await w.devices(bob.home)).map(({ name, trust }) => [name, trust])).toEqual([
    ['alice', 'trusted'],
    ['bob', 'untrusted'],
  ])
  const bounded = await w.run(bob.home, 'alice', 'true')
  expect([bounded.code, bounded.stderr]).toEqual([
    126,
    expect.stringMatching(/the asking device is untrusted.*\nhint: an owner can raise it: errand device trust/),
  ])
  expect((await w.errand(bob.home, 'device', 'trust', 'bob', 'trusted')).stderr).toContain('only an owner decides this')
  await w.errand(alice.home, 'device', 'trust', 'bob', 'verified')
  expect((await w.run(bob.home, 'alice', 'true')).code).toBe(0)

  const locked = await working()
  expect((await w.errand(alice.home, 'lockdown', '--reason', 'odd')).stdout).toMatch(/lockdown of the whole mesh · 1 live task stopped/)
  expect((await locked.ended).code).toBe(126)
  const denied = await w.run(bob.home, 'alice', 'true')
  expect([denied.code, denied.stderr]).toEqual([126, expect.stringMatching(/the mesh is in lockdown: odd.*\nhint: an owner lifts it: errand lockdown off/)])
  expect((await w.run(alice.home, 'bob', 'true')).code, 'for everybody').toBe(126)
  for (const refused of [await w.errand(alice.home, 'invite'), await w.errand(alice.home, 'grant', 'bob', '--on', 'alice', '--can', 'exec: ls', '--for', '1h')])
    expect([refused.code, refused.stderr]).toEqual([125, expect.stringContaining('the mesh is in lockdown')])
  expect((await w.errand(bob.home, 'status')).stdout).toContain('the mesh is in lockdown: odd')
  await w.errand(alice.home, 'lockdown', 'off')
  expect((await w.run(bob.home, 'alice', 'true')).code).toBe(0)

  expect((await w.errand(bob.home, 'lockdown', '--here')).stdout).toContain('lockdown of this device alone')
  expect((await w.run(alice.home, 'bob', 'true')).code).toBe(126)
  await bob.stop()
  const again = await w.up(bob.home)
  await w.connected(again.home, 'alice')
  expect((await w.run(alice.home, 'bob', 'true')).stderr, 'also after a restart').toContain('in lockdown by its own word')
  await w.errand(again.home, 'lockdown', 'off', '--here')
  expect((await w.run(alice.home, 'bob', 'true')).code).toBe(0)
})
