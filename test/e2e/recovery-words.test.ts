import { expect, test } from 'vitest'
import type { Status } from '../../protocols/local/messages.ts'
import type { OwnersView } from '../../protocols/local/owners.ts'
import { socketPathOf } from '../../src/base/paths.ts'
import { LocalClient } from '../../src/local/client.ts'
import { newPhrase } from '../../src/runtime/recovery-words.ts'
import { filesHolding } from '../support/held.ts'
import { failureOf, jsonOf, until, type World, world } from '../support/world.ts'

const owners = async (w: World, home: string): Promise<OwnersView> => jsonOf<OwnersView>(await w.errand(home, 'owner', 'list', '--json'))

test('recovery words take the mesh back from a stolen owner’s key, once, and all devices say so', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const carol = await w.joiner(alice, 'carol')
  await w.connected(bob.home, 'alice', 'carol')
  for (const args of [[], ['--json']]) expect((await w.errand(alice.home, 'recovery', 'new', ...args)).code, 'words are for a terminal').not.toBe(0)

  const { mesh } = await owners(w, alice.home)
  const { words, did } = newPhrase(new Uint8Array(Buffer.from(mesh, 'hex')))
  await new LocalClient(socketPathOf(alice.home)).call('POST', '/api/runtime/owners/change', { recovery: did })
  await until('bob knows that there are words', async () => (await owners(w, bob.home)).recovery === did)
  await carol.stop() // away while it happens

  const say = async (home: string, phrase: readonly string[]) => await w.start(home, ['recovery', 'use', '--yes'], { stdin: `${phrase.join(' ')}\n` }).ended
  const wrong = await say(bob.home, newPhrase(new Uint8Array(Buffer.from(mesh, 'hex'))).words)
  expect([wrong.code, wrong.stderr]).toEqual([125, expect.stringContaining('not the recovery words of this mesh')])
  const used = await say(bob.home, words)
  expect([used.code, used.stderr]).toEqual([0, expect.stringContaining('the words are used up')])
  expect((await owners(w, bob.home)).owners).toMatchObject([{ here: true }])
  await until('alice has heard', async () => (await owners(w, alice.home)).by === 'recovery')

  expect(failureOf(await w.errand(alice.home, 'device', 'label', 'bob', 'a=1', '--json')).code).toBe('NOT_AN_OWNER')
  expect((await w.run(alice.home, 'bob', 'true')).code, 'what the stolen key held is gone').toBe(126)
  expect((await w.errand(bob.home, 'device', 'label', 'bob', 'a=1')).code).toBe(0)
  await until('alice gives to the new owner', async () => (await w.run(bob.home, 'alice', 'true')).code === 0)
  expect((await say(bob.home, words)).stderr, 'they are spent').toContain('has no recovery words, or they were used')

  const again = await w.up(carol.home)
  await w.connected(again.home, 'bob')
  await until('carol has heard', async () => (await owners(w, again.home)).by === 'recovery')
  for (const { home, name } of [alice, bob, again]) {
    const { notices = [] } = jsonOf<Status>(await w.errand(home, 'status', '--json'))
    expect(notices.join('\n')).toContain('THE RECOVERY WORDS WERE USED')
    await until(`${name} has it in its log`, async () => (await w.audit(home, '--action', 'recovery.used', '--device', name)).length === 1)
  }
  const three = words.slice(0, 3).join(' ')
  expect(await filesHolding(w.root, three), 'no file holds the words').toEqual([])
})
