import { expect, test } from 'vitest'
import { DOMAIN } from '../../../protocols/wire.ts'
import { offeredIn } from '../../../src/runtime/offered.ts'
import { alice, bob, MeshWorld } from './mesh-world.ts'

const machine = { name: 'x', labels: {}, os: 'linux', arch: 'x64', cpus: 2, memoryBytes: 1, loadPercent: 0, version: '0.2.0', freeSlots: 1 }
const now = (saidAt: number): number => saidAt

test('agents and skills are those that devices announce, each under the name of its device', () => {
  const world = new MeshWorld()
  const directory = world.directory()
  directory.admitMember(world.founder)
  directory.admitMember(world.member(bob, 'bob'))
  directory.admitAnnouncement(world.announcement(alice, 1), now)
  const said = { agents: [{ id: 'coder', description: 'writes code' }], skills: [{ id: 'transcribe', description: 'speech to text' }] }
  expect(directory.admitAnnouncement(world.sign(bob, DOMAIN.announce, { v: 1, device: bob.did, seq: 1, ...machine, ...said }), now)).toBe('new')
  expect(offeredIn(directory, 'agents', () => true)).toEqual([{ id: 'coder', device: 'bob', online: true, description: 'writes code' }])
  expect(offeredIn(directory, 'skills', () => false)).toEqual([{ id: 'transcribe', device: 'bob', online: false, description: 'speech to text' }])
})

test('an announcement with more than it may offer is refused as a whole', () => {
  const world = new MeshWorld()
  const directory = world.directory()
  directory.admitMember(world.founder)
  const agents = Array.from({ length: 17 }, (_, i) => ({ id: `agent-${i}`, description: '' }))
  expect(directory.admitAnnouncement(world.sign(alice, DOMAIN.announce, { v: 1, device: alice.did, seq: 1, ...machine, agents }), now)).toBe('refused')
})
