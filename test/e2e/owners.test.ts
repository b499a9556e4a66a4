import { expect, test } from 'vitest'
import type { Status } from '../../protocols/local/messages.ts'
import type { OwnerCardView, OwnerChangeView, OwnersView } from '../../protocols/local/owners.ts'
import { filesHolding } from '../support/held.ts'
import { jsonOf, until, type World, world } from '../support/world.ts'

async function owners(w: World, home: string): Promise<OwnersView> {
  return jsonOf<OwnersView>(await w.errand(home, 'owner', 'list', '--json'))
}

test('a mesh is handed on: a second owner, the first one taken out by both, and what was given before goes on', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const carol = await w.joiner(alice, 'carol', { invite: ['--ask', 'exec: echo; env *'] })
  await w.connected(bob.home, 'alice', 'carol')
  const early = await w.errand(bob.home, 'device', 'label', 'bob', 'a=1')
  expect([early.code, early.stderr]).toEqual([125, expect.stringContaining('only an owner decides this')])

  const { card } = jsonOf<OwnerCardView>(await w.errand(bob.home, 'owner', 'new', '--json'))
  const forged = await w.errand(alice.home, 'owner', 'add', `${card.slice(0, -4)}AAAA`)
  expect([forged.code, forged.stderr]).toEqual([125, expect.stringContaining('no card of an owner-to-be')])
  const added = jsonOf<OwnerChangeView>(await w.errand(alice.home, 'owner', 'add', card, '--json'))
  expect(added).toMatchObject({ done: true, unreachable: [] })
  expect((await w.errand(bob.home, 'device', 'label', 'bob', 'a=1')).code).toBe(0)
  await until(
    'bob’s owner reaches all devices',
    async () => (await w.run(bob.home, 'alice', 'true')).code === 0 && (await w.run(bob.home, 'carol', 'echo')).code === 0,
  )
  expect((await w.run(bob.home, 'carol', 'ls')).code, 'no more than carol gave').toBe(126)

  await w.errand(alice.home, 'grant', 'carol', '--on', 'bob', '--can', 'exec: echo; env *', '--for', '1h')
  const [first] = (await owners(w, bob.home)).owners
  const proposed = jsonOf<OwnerChangeView>(await w.errand(bob.home, 'owner', 'remove', first?.words ?? '', '--json'))
  expect(proposed).toMatchObject({ done: false, needed: 2, signedBy: [expect.any(String)] })
  await until('alice sees it', async () => (await owners(w, alice.home)).pending.length === 1)
  expect((await owners(w, alice.home)).pending).toMatchObject([{ id: proposed.id, unknown: 0, signedHere: false }])
  const signed = jsonOf<OwnerChangeView>(await w.errand(alice.home, 'owner', 'sign', '--json'))
  expect(signed).toMatchObject({ done: true, unreachable: [] })

  for (const { home } of [alice, bob, carol]) expect((await owners(w, home)).owners).toHaveLength(1)
  expect((await w.run(carol.home, 'bob', 'echo')).code, 'what was given before goes on').toBe(0)
  expect((await w.run(alice.home, 'bob', 'true')).code).toBe(126)
  const late = await w.errand(alice.home, 'device', 'trust', 'carol', 'untrusted')
  expect([late.code, late.stderr]).toEqual([125, expect.stringContaining('only an owner decides this')])
  expect(jsonOf<Status>(await w.errand(carol.home, 'status', '--json')).notices).toHaveLength(2)
  expect((await w.audit(carol.home, '--action', 'owners.change', '--device', 'carol')).length).toBe(2)

  await carol.stop()
  const again = await w.up(carol.home)
  await w.connected(again.home, 'bob')
  expect((await owners(w, again.home)).owners).toHaveLength(1)
  expect((await w.run(again.home, 'bob', 'echo')).code).toBe(0)
  expect(jsonOf<Status>(await w.errand(again.home, 'status', '--json')).problems).toEqual([])
  const dave = await w.joiner(bob, 'dave') // by an owner who is not in the genesis document
  await w.connected(dave.home, 'bob')
  expect((await w.run(bob.home, 'dave', 'true')).code).toBe(0)
})

test('a key under a passphrase does nothing until it is unlocked, and the passphrase lies nowhere', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  await w.joiner(alice, 'bob')
  const say = async (stdin: string, ...args: string[]) => await w.start(alice.home, ['owner', ...args], { stdin: `${stdin}\n` }).ended
  expect((await say('short', 'protect')).code).not.toBe(0)
  expect((await say('correct horse', 'protect')).code).toBe(0)
  const locked = async (...args: string[]): Promise<void> => {
    const ran = await w.errand(alice.home, ...args)
    expect([ran.code, ran.stderr]).toEqual([125, expect.stringMatching(/owner’s key of this device is locked\nhint: errand owner unlock/)])
  }
  await locked('device', 'label', 'bob', 'x=1')
  await locked('run', 'bob', '--', 'true')
  await locked('owner', 'threshold', '1')
  expect((await w.run(alice.home, 'alice', 'true')).code, 'it is still its own').toBe(0)
  const wrong = await say('battery staple', 'unlock')
  expect([wrong.code, wrong.stderr]).toEqual([125, expect.stringContaining('does not open the owner’s key')])
  expect((await say('correct horse', 'unlock', '--for', '1h')).code).toBe(0)
  expect((await w.run(alice.home, 'bob', 'true')).code).toBe(0)
  expect((await w.errand(alice.home, 'owner', 'lock')).code).toBe(0)
  await locked('device', 'label', 'bob', 'x=1')
  expect((await w.audit(alice.home, '--action', 'owner.unlock')).map(({ result }) => result).sort()).toEqual(['denied', 'ok'])
  await alice.stop()
  const again = await w.up(alice.home)
  expect((await owners(w, again.home)).key).toBe('locked')
  expect(await filesHolding(w.root, 'correct horse'), 'no file holds the passphrase').toEqual([])
})
