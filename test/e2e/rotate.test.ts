/** A device under a new key: same name, same rights, one trail through both logs; the old key, wherever it lies, is nobody. */
import { cpSync, rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { RotateView } from '../../protocols/local/devices.ts'
import { jsonOf, until, world } from '../support/world.ts'

test('a device goes on under a new key, its grants follow, its log goes on, and a copy of the old key is refused', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const carol = await w.joiner(alice, 'carol', { invite: ['--ask', 'exec: echo; env *'] })
  await w.connected(bob.home, 'alice', 'carol')
  await w.errand(alice.home, 'grant', 'carol', '--on', 'bob', '--can', 'exec: echo; env *', '--for', '1h')
  await w.errand(alice.home, 'device', 'trust', 'bob', 'verified')
  const thief = w.at('thief')
  await bob.stop()
  cpSync(bob.home, thief, { recursive: true })
  const again = await w.up(bob.home)
  await w.connected(again.home, 'alice', 'carol')

  const ran = await w.errand(bob.home, 'device', 'rotate', '--json')
  const turned = jsonOf<RotateView>(ran)
  expect(turned).toMatchObject({ before: bob.did, unreachable: [] })
  await w.connected(alice.home, 'bob')
  const [seen] = (await w.devices(alice.home)).filter(({ name }) => name === 'bob')
  expect(seen).toMatchObject({ did: turned.did, trust: 'verified' })
  await until(
    'the owner’s rights and carol’s grant follow',
    async () => (await w.run(alice.home, 'bob', 'true')).code === 0 && (await w.run(carol.home, 'bob', 'echo')).code === 0,
  )
  expect((await w.run(carol.home, 'bob', 'ls')).code).toBe(126)

  const other = await w.up(thief)
  await until('the copy is refused', async () => {
    const { code, stderr } = await w.run(other.home, 'alice', 'true')
    return code === 125 && stderr.includes('was removed from this mesh')
  })
  await other.stop()
  rmSync(thief, { recursive: true })

  expect((await w.audit(alice.home, '--action', 'device.succeeded')).map(({ device, subject }) => [device, subject])).toEqual([[bob.did, turned.did]])
  expect((await w.audit(alice.home, '--action', 'device.succeeds')).map(({ device, n, subject }) => [device, n, subject])).toEqual([[turned.did, 0, bob.did]])
  expect((await w.verify(alice.home)).problems).toEqual([])
  expect((await w.errand(bob.home, 'down')).code).toBe(0)
})
