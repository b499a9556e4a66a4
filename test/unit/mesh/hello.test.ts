/** Who gets past hello, over real libp2p on loopback: a device with Links, and peers that say what they like. */

import type { Connection } from '@libp2p/interface'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HELLO, Hello } from '../../../protocols/hello/messages.ts'
import { JOIN } from '../../../protocols/join/messages.ts'
import { SYNC } from '../../../protocols/sync/messages.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { type Host, startHost } from '../../../src/mesh/host.ts'
import { Links, type Peer } from '../../../src/mesh/links.ts'
import { MessageLink } from '../../../src/mesh/streams.ts'
import { recordId } from '../../../src/registry/records.ts'
import { companyOf } from '../../../src/runtime/guest-view.ts'
import { Attacker, probe } from '../../e2e/support-attack.ts'
import { until } from '../../support/until.ts'
import { HandClock } from '../base/hand-clock.ts'
import { alice, bob, carol, MeshWorld, mallory, owner, type Rooms } from '../runtime/mesh-world.ts'

/** Sooner than libp2p finds out by its own pings that a connection is of no use. */
const CUT_MS = 4_000

let world: MeshWorld
let rooms: Rooms
let clock: HandClock
let host: Host
let links: Links
let up: Peer[]
let served: number
let refused: string[]
/** What a device waits for before it takes a membership down. */
let admitting: Promise<void>
const attackers: Attacker[] = []

beforeEach(async () => {
  world = new MeshWorld()
  rooms = world.device()
  clock = new HandClock()
  ;[up, refused, served, admitting] = [[], [], 0, Promise.resolve()]
  await rooms.records.admit('members', world.founder)
  links = linksOf()
  host = await startHost(
    { identity: alice, meshId: world.mesh.id, listen: ['/ip4/127.0.0.1/tcp/0'], version: '0.1.0', mdns: false, dht: false },
    async (made) => {
      await links.attach(made)
      await made.handle([...SYNC.ids], () => {
        served++
      })
    },
  )
})

afterEach(async () => {
  for (const attacker of attackers.splice(0)) await attacker[Symbol.asyncDispose]()
  await host.stop()
})

function linksOf(membership = world.founder): Links {
  return new Links({
    self: alice.did,
    removals: { of: (did) => rooms.records.removalOf(did), learn: (order) => rooms.records.admit('orders', order) },
    meshId: world.mesh.id,
    directory: rooms.directory,
    company: companyOf(alice.did, rooms.directory, rooms.records.guests),
    refused: (seen) => refused.push(seen.code),
    admitMember: async (bytes) => {
      const { verdict } = await rooms.records.admit('members', bytes)
      await admitting
      return verdict
    },
    clock,
    random: systemRandom,
    log: () => undefined,
    ownHello: () => ({ version: '0.1.0', membership, protocols: [], digests: rooms.records.digests() }),
    onUp: (peer) => up.push(peer),
    reached: () => undefined,
    onDown: () => undefined,
  })
}

async function dialled(identity: Identity): Promise<{ attacker: Attacker; connection: Connection }> {
  const attacker = await Attacker.start(world.mesh.id, identity)
  attackers.push(attacker)
  return { attacker, connection: await attacker.dial(addressOf()) }
}

function addressOf(): string {
  return host.getMultiaddrs()[0]?.toString() ?? ''
}

async function said(identity: Identity, words: Parameters<Attacker['hello']>[1]): Promise<string> {
  const { attacker, connection } = await dialled(identity)
  const answer = await attacker.hello(connection, words)
  return answer.t === 'refused' ? answer.fault.code : answer.t
}

test('a member is let in with its own record, and its line is known', async () => {
  expect(await said(bob, { membership: world.member(bob, 'bob') })).toBe('hello')
  await until('bob is up', () => links.of(bob.did))
  expect(up.map(({ did }) => did)).toEqual([bob.did])
})

test('who says another mesh, a record that no owner signed, or the record of somebody else is refused, and stays outside', async () => {
  expect(await said(bob, { membership: world.member(bob, 'bob'), mesh: new Uint8Array(32) })).toBe('OTHER_MESH')
  expect(await said(mallory, { membership: world.member(mallory, 'mallory', { by: mallory }) })).toBe('NOT_A_MEMBER')
  expect(await said(carol, { membership: world.member(bob, 'bob') })).toBe('NOT_A_MEMBER')
  expect(await said(mallory, { membership: world.founder })).toBe('NOT_A_MEMBER')
  expect([up, links.all()]).toEqual([[], []])
  // Also one who is known: what counts is what is shown now.
  await rooms.records.admit('members', world.member(bob, 'bob'))
  expect(await said(bob, { membership: world.member(bob, 'bob', { by: mallory }) })).toBe('NOT_A_MEMBER')
})

test('a removed device is refused with the owner’s order, also with a membership that an owner signed before, and may still knock to join', async () => {
  await rooms.records.admit('members', world.member(bob, 'bob', { at: 1 }))
  const order = world.order('remove', bob.did, { at: 5 })
  await rooms.records.admit('orders', order)
  const { attacker, connection } = await dialled(bob)
  const answer = await attacker.hello(connection, { membership: world.member(bob, 'bob', { at: 4 }) })
  expect(answer).toMatchObject({ t: 'refused', fault: { code: 'REMOVED', hint: expect.stringContaining('errand invite') } })
  expect(answer.t === 'refused' && answer.proof?.map((bytes) => recordId(bytes))).toEqual([recordId(order)])
  expect(up).toEqual([])
  expect(await said(bob, { membership: world.member(bob, 'bob', { at: 6 }) }), 'an owner’s later word').toBe('hello')
})

test('a removed device gets nothing more on a line that it has, and loses the line a second later', async () => {
  const { attacker, connection } = await dialled(bob)
  await attacker.hello(connection, { membership: world.member(bob, 'bob', { at: 1 }) })
  await until('bob is up', () => links.of(bob.did))
  await rooms.records.admit('orders', world.order('remove', bob.did, { at: 5 }))
  links.expel()
  expect(await probe(connection, SYNC.ids[0])).toMatchObject({ bytes: 0, reset: true })
  expect(served).toBe(0)
  expect(connection.status).toBe('open')
  clock.advance(1_000)
  await until('it is cut', () => (connection.status === 'open' ? undefined : true), CUT_MS)
})

test('a device that was removed itself lets nobody in and keeps no line', async () => {
  const { attacker, connection } = await dialled(bob)
  await attacker.hello(connection, { membership: world.member(bob, 'bob', { at: 1 }) })
  await until('bob is up', () => links.of(bob.did))
  await rooms.records.admit('orders', world.order('remove', alice.did, { at: world.clock.now() * 2 }))
  links.expel()
  expect(await said(carol, { membership: world.member(carol, 'carol') })).toBe('REMOVED')
  clock.advance(1_000)
  await until('it is cut', () => (connection.status === 'open' ? undefined : true), CUT_MS)
})

test('before hello nothing else is served, whoever opens it; after it everything is', async () => {
  const { attacker, connection } = await dialled(bob)
  for (const protocol of [...SYNC.ids, '/errand/none/1']) {
    expect(await probe(connection, protocol)).toMatchObject({ bytes: 0, reset: true })
  }
  expect(served).toBe(0)
  await attacker.hello(connection, { membership: world.member(bob, 'bob') })
  await until('served', async () => {
    await attacker.messages(connection, SYNC.ids[0], 1_024).catch(() => undefined)
    return served > 0 ? true : undefined
  })
})

test('a second hello on one connection is not answered', async () => {
  const { attacker, connection } = await dialled(bob)
  const words = { membership: world.member(bob, 'bob') }
  expect((await attacker.hello(connection, words)).t).toBe('hello')
  await until('bob is up', () => links.of(bob.did))
  await expect(attacker.hello(connection, words)).rejects.toThrow()
  expect(up).toHaveLength(1)
})

test('whose connection closes while its membership is written down is not let in: no line that is dead is taken for one', async () => {
  let written = (): void => {}
  admitting = new Promise<void>((resolve) => (written = resolve))
  const { attacker, connection } = await dialled(bob)
  const answer = attacker.hello(connection, { membership: world.member(bob, 'bob') }).catch(() => undefined)
  await until('its membership is known', () => rooms.directory.isMember(bob.did))
  connection.abort(new Error('gone'))
  await until('the line is closed', () => host.getConnections().length === 0)
  written()
  await answer
  await until('its hello is judged', () => up.length + refused.length > 0)
  expect([up, refused, links.all()]).toEqual([[], ['LINK_CLOSED'], []])
})

test('who says nothing is cut after its time; one that joins gets longer, and not for ever', async () => {
  const silent = await dialled(bob)
  await until('it is seen', () => (host.getConnections().length > 0 ? true : undefined))
  clock.advance(HELLO.deadlineMs - 1)
  expect(silent.connection.status).toBe('open')
  clock.advance(1)
  await until('it is cut', () => (silent.connection.status === 'open' ? undefined : true), CUT_MS)
  const joining = await dialled(carol)
  await host.handle([...JOIN.ids], () => undefined)
  await joining.connection.newStream([...JOIN.ids])
  await until('it joins', () => (host.getConnections().some(({ streams }) => streams.length > 0) ? true : undefined))
  clock.advance(HELLO.deadlineMs)
  expect(joining.connection.status).toBe('open')
  clock.advance(JOIN.deadlineMs)
  await until('it is cut', () => (joining.connection.status === 'open' ? undefined : true), CUT_MS)
})

test('who has said hello in time is not cut', async () => {
  const { attacker, connection } = await dialled(bob)
  await attacker.hello(connection, { membership: world.member(bob, 'bob') })
  await until('bob is up', () => links.of(bob.did))
  clock.advance(JOIN.deadlineMs)
  expect(connection.status).toBe('open')
})

test('more connections without hello than there is room for are cut', async () => {
  const attacker = await Attacker.start(world.mesh.id, bob)
  attackers.push(attacker)
  const connections = await attacker.dialMany(addressOf(), 66)
  await until('the last ones are cut', () => connections.slice(64).every(({ status }) => status !== 'open'), CUT_MS)
  expect(connections[0]?.status).toBe('open') // the room is kept by who came first
})

test('who dials and is refused learns it, with the other side’s reason', async () => {
  const refused = linksOf(world.member(mallory, 'mallory', { by: mallory }))
  const dialer = await startHost({ identity: mallory, meshId: world.mesh.id, listen: [], version: '0.1.0', mdns: false, dht: false }, (made) =>
    refused.attach(made),
  )
  try {
    const connection = await dialer.dial(host.getMultiaddrs())
    const message = expect.stringContaining('its membership is not signed by an owner')
    await expect(refused.ready(connection)).rejects.toMatchObject({ code: 'NOT_ADMITTED', message })
  } finally {
    await dialer.stop()
  }
})

test('a guest that dials another guest says no hello to it', async () => {
  for (const one of [world.guest(alice, 'alice', { at: world.clock.now() + 1 }), world.guest(bob, 'bob')]) await rooms.records.admit('members', one)
  let heard = 0
  const setup = { identity: bob, meshId: world.mesh.id, listen: ['/ip4/127.0.0.1/tcp/0'], version: '0.1.0', mdns: false, dht: false }
  const there = await startHost(setup, async (made) => {
    await made.handle([...HELLO.ids], async (stream) => {
      const link = new MessageLink(stream, HELLO.maxBytes, AbortSignal.timeout(CUT_MS))
      await link
        .receive(Hello)
        .then(() => heard++)
        .catch(() => undefined)
      link.abort(new Error('heard'))
    })
  })
  try {
    const connection = await host.dial(there.getMultiaddrs())
    await expect(links.ready(connection)).rejects.toMatchObject({ code: 'NOT_ADMITTED' })
    expect([heard, up]).toEqual([0, []])
  } finally {
    await there.stop()
  }
})

test('a guest is let in by its host and where a living grant names the device, and nowhere else; its refusal names nobody and is told', async () => {
  for (const one of [world.member(carol, 'carol'), world.guest(bob, 'bob', { host: carol })]) await rooms.records.admit('members', one)
  const shown = { membership: world.guest(bob, 'bob', { host: carol }) }
  expect(await said(bob, shown)).toBe('GUEST')
  expect([up, refused]).toEqual([[], ['GUEST']])
  for (const link of [world.root(alice), world.grant(owner, bob, alice)]) await rooms.records.admit('delegations', link.bytes)
  expect(await said(bob, shown)).toBe('hello')
  expect(await said(mallory, { membership: world.guest(mallory, 'mallory', { host: alice }) })).toBe('hello')
})

test('on the line to a guest only what is for guests is served; and it ends with its time and with its last right here', async () => {
  await host.handle(['/errand/audit/1', '/errand/later/1'], () => void served++)
  const { attacker, connection } = await dialled(bob)
  await attacker.hello(connection, { membership: world.guest(bob, 'bob', { until: 60_000 }) })
  await until('bob is up', () => links.of(bob.did))
  for (const protocol of ['/errand/audit/1', '/errand/later/1']) expect(await probe(connection, protocol)).toEqual({ bytes: 0, reset: true })
  expect([served, refused]).toEqual([0, ['GUEST', 'GUEST']])
  const [inbound] = host.getConnections()
  await attacker.host.handle(['/errand/audit/1'], () => undefined)
  await expect(inbound?.newStream(['/errand/audit/1']), 'nor does anything here open it to the guest').rejects.toThrow('is not for guests')
  await attacker.messages(connection, SYNC.ids[0], 1_024)
  await until('sync is served', () => served > 0)
  world.clock.advance(60_001)
  clock.advance(60_001)
  expect(await probe(connection, SYNC.ids[0])).toEqual({ bytes: 0, reset: true })
  clock.advance(1_000)
  await until('it is cut', () => connection.status !== 'open', CUT_MS)
  expect(await said(bob, { membership: world.guest(bob, 'bob', { at: 1, until: -1 }) })).toBe('GUEST_ENDED')
})

test('a guest lets no other guest in', async () => {
  await rooms.records.admit('members', world.guest(alice, 'alice', { host: carol, at: world.clock.now() + 1 }))
  const { attacker, connection } = await dialled(bob)
  const answer = await attacker.hello(connection, { membership: world.guest(bob, 'bob', { host: alice }) })
  expect(answer).toMatchObject({ t: 'refused', fault: { code: 'GUEST', message: 'guests do not meet each other' } })
  expect(await said(carol, { membership: world.member(carol, 'carol') })).toBe('hello')
})

test('a refused device that is or was in the mesh is told of, a stranger is not', async () => {
  await rooms.records.admit('members', world.member(bob, 'bob', { at: 1 }))
  await rooms.records.admit('orders', world.order('remove', bob.did, { at: 5 }))
  expect(await said(bob, { membership: world.member(bob, 'bob', { at: 1 }) })).toBe('REMOVED')
  expect(await said(mallory, { membership: world.member(mallory, 'mallory', { by: mallory }) })).toBe('NOT_A_MEMBER')
  expect(refused).toEqual(['REMOVED'])
})
