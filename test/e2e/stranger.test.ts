/** Hello before anything: what somebody gets who is no member, whatever is opened, said, or not said. */
import type { Connection } from '@libp2p/interface'
import { expect, test } from 'vitest'
import { HELLO } from '../../protocols/hello/messages.ts'
import { Challenge, JOIN } from '../../protocols/join/messages.ts'
import { DOMAIN } from '../../protocols/wire.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { seal } from '../../src/identity/envelope.ts'
import { Identity } from '../../src/identity/identity.ts'
import { readCode } from '../../src/runtime/invite-code.ts'
import { until, world } from '../support/world.ts'
import { Attacker, enrol, probe, protocolsOf } from './support-attack.ts'
import { addressOf, healthy } from './support-exec.ts'
import { startTap } from './support-tap.ts'

const GARBAGE = Buffer.alloc(4_096, 0xa5)

test('during an open invite a stranger gets hello and join answered, and every other protocol of the node reset without a byte', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { meshId } = readCode((await w.invite(alice.home)).code)
  await using stranger = await Attacker.start(meshId)
  const connection = await stranger.dial(await addressOf(alice.home))
  const protocols = await protocolsOf(connection)
  for (const name of ['/kad/', 'meshsub', '/id/1', '/id/push/', '/ping/', '/errand/sync/', '/errand/audit/', '/errand/exec/'])
    expect(protocols.join(' ')).toContain(name)
  const open = [...HELLO.ids, ...JOIN.ids]
  const answers: Record<string, unknown> = {}
  for (const protocol of protocols.filter((name) => !open.includes(name as never))) answers[protocol] = await probe(connection, protocol)
  expect(Object.values(answers).length).toBeGreaterThanOrEqual(8)
  for (const [protocol, answer] of Object.entries(answers)) expect(answer, protocol).toEqual({ bytes: 0, reset: true })
  const join = await stranger.messages(connection, JOIN.ids[0], JOIN.maxAskBytes)
  expect((await join.receive(Challenge)).challenge).toHaveLength(16)
  expect(await stranger.hello(connection, { membership: new Uint8Array(8) })).toMatchObject({ t: 'refused', fault: { code: 'NOT_A_MEMBER' } })
  await healthy(alice.home)
})

test('what is reset for strangers is answered for members: the probe can tell the difference', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { meshId, identity, membership } = await enrol(w, alice, 'mallory', '--ask', 'exec: true')
  await using member = await Attacker.start(meshId, identity)
  const { connection } = await member.session(await addressOf(alice.home), membership)
  const ping = (await protocolsOf(connection)).find((name) => name.includes('/ping/')) ?? ''
  expect(await probe(connection, ping, Buffer.alloc(32, 7))).toEqual({ bytes: 32, reset: false })
})

test('streams opened while hello is on its way wait for it, and fall with it', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { meshId } = readCode((await w.invite(alice.home)).code)
  await using stranger = await Attacker.start(meshId)
  const connection = await stranger.dial(await addressOf(alice.home))
  const hello = await connection.newStream([...HELLO.ids])
  const ping = (await protocolsOf(connection)).find((name) => name.includes('/ping/')) ?? ''
  const probes = Promise.all([ping, '/errand/exec/1', '/errand/sync/1'].map((protocol) => probe(connection, protocol, Buffer.alloc(32))))
  hello.send(Buffer.concat([Buffer.from([0x80, 0x20]), GARBAGE]))
  expect(await probes).toEqual([1, 2, 3].map(() => ({ bytes: 0, reset: true })))
  await closed(connection)
})

test('a hello is refused with: the membership of another device, one of another mesh, one signed by a stranger, garbage', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { meshId, welcome } = await enrol(w, alice, 'bob', '--ask', 'exec: true')
  await using stranger = await Attacker.start(meshId)
  const { did } = stranger.identity
  const nobody = new Identity(systemRandom(32))
  const record = { v: 1, device: did, name: 'mallory', kind: 'member', own: true, at: 1, proofs: [] }
  const [ofAlice = GARBAGE] = welcome.members
  const hellos = [
    { membership: ofAlice },
    { membership: welcome.membership },
    { membership: seal(nobody, DOMAIN.membership, systemRandom(32), record) },
    { membership: seal(nobody, DOMAIN.membership, meshId, record) },
    { membership: seal(stranger.identity, DOMAIN.membership, meshId, { ...record, at: Number.MAX_SAFE_INTEGER }) },
    { membership: seal(nobody, DOMAIN.announce, meshId, record) },
    { membership: GARBAGE },
    { membership: new Uint8Array() },
  ]
  const address = await addressOf(alice.home)
  for (const words of hellos) {
    const connection = await stranger.dial(address)
    expect(await stranger.hello(connection, words)).toMatchObject({ t: 'refused', fault: { code: 'NOT_A_MEMBER' } })
    expect(await probe(connection, '/errand/sync/1')).toEqual({ bytes: 0, reset: true })
    await closed(connection)
  }
  const elsewhere = await stranger.dial(address)
  expect(await stranger.hello(elsewhere, { membership: welcome.membership, mesh: systemRandom(32) })).toMatchObject({
    t: 'refused',
    fault: { code: 'OTHER_MESH' },
  })
  expect((await w.devices(alice.home)).map(({ name }) => name)).toEqual(['alice', 'bob'])
})

test('a hello that is no message, or longer than any message, ends the connection', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { meshId } = readCode((await w.invite(alice.home)).code)
  await using stranger = await Attacker.start(meshId)
  const address = await addressOf(alice.home)
  const tooLong = Buffer.concat([Buffer.from([0x81, 0x80, 0x06]), Buffer.alloc(HELLO.maxBytes + 1)])
  for (const bytes of [
    tooLong,
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    Buffer.concat([Buffer.from([16]), GARBAGE.subarray(0, 16)]),
  ]) {
    const connection = await stranger.dial(address)
    const stream = await connection.newStream([...HELLO.ids])
    stream.send(bytes)
    await closed(connection)
  }
  await healthy(alice.home)
})

test('who says no hello is cut off after ten seconds, also with a hello begun and never ended', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { meshId } = readCode((await w.invite(alice.home)).code)
  await using stranger = await Attacker.start(meshId)
  const address = await addressOf(alice.home)
  const began = performance.now()
  const connections = await stranger.dialMany(address, 2)
  const half = await connections[1]?.newStream([...HELLO.ids])
  half?.send(Buffer.from([0x20, 0xa1]))
  await Promise.all(connections.map((connection) => closed(connection, 12_000)))
  expect(performance.now() - began).toBeGreaterThan(HELLO.deadlineMs - 1_000)
})

test('hello is said once: a second one is reset, and the first one goes on to count', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { meshId, identity, membership } = await enrol(w, alice, 'mallory', '--ask', 'exec: true')
  await using member = await Attacker.start(meshId, identity)
  const { connection } = await member.session(await addressOf(alice.home), membership)
  await expect(member.hello(connection, { membership })).rejects.toThrow()
  const ping = (await protocolsOf(connection)).find((name) => name.includes('/ping/')) ?? ''
  expect(await probe(connection, ping, Buffer.alloc(32, 7))).toEqual({ bytes: 32, reset: false })
})

test('joins in progress are few, a slow one is cut, and an honest one gets through afterwards', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const { meshId } = readCode((await w.invite(alice.home)).code)
  await using stranger = await Attacker.start(meshId)
  const address = await addressOf(alice.home)
  const connections = await stranger.dialMany(address, JOIN.maxPending + 6)
  const joins = await Promise.all(
    connections.map(async (connection) => {
      const stream = await connection.newStream([...JOIN.ids])
      const over = until('the join is cut', (): 'cut' | false => stream.status !== 'open' && 'cut', JOIN.askMs + 5_000)
      const first = new Promise<'challenged'>((resolve) => stream.addEventListener('message', () => resolve('challenged'), { once: true }))
      return { first: await Promise.race([first, over]), over }
    }),
  )
  expect(joins.filter(({ first }) => first === 'challenged')).toHaveLength(JOIN.maxPending)
  await Promise.all(joins.map(({ over }) => over))
  const { code } = await w.invite(alice.home, '--name', 'bob')
  expect(await w.errand(w.home('bob'), 'join', code, '--yes')).toMatchObject({ code: 0 })
  await w.errand(w.at('bob'), 'down')
})

test('without the mesh id nobody finishes the handshake, and nothing but the handshake crosses the wire', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const address = await addressOf(alice.home)
  const { meshId } = readCode((await w.invite(alice.home)).code)
  await using tap = await startTap(address)
  await using member = await Attacker.start(meshId)
  await member.dial(tap.address)
  const [inside] = await tap.ended(async () => await member.host.stop())
  expect(inside?.fromDialer.messages.length, 'the tap sees the third message of a handshake that succeeds').toBeGreaterThan(1)
  await using stranger = await Attacker.start(systemRandom(32))
  await expect(stranger.dial(tap.address)).rejects.toThrow()
  const [, outside] = await tap.ended(async () => undefined)
  expect(outside).toMatchObject({ fromDialer: { opening: ['/multistream/1.0.0', '/noise'] }, fromListener: { opening: ['/multistream/1.0.0', '/noise'] } })
  expect(outside?.fromDialer.messages, 'one ephemeral key, then silence').toHaveLength(1)
  expect(outside?.fromListener.messages.length, 'one answer, then silence').toBe(1)
  expect(outside?.fromDialer.messages[0]).toBe(32)
})

test('two meshes on one host never get beyond the handshake', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  await using tap = await startTap(await addressOf(alice.home))
  const olga = await w.founder('olga', { bootstrap: [tap.address] })
  const calls = await tap.ended(async () => undefined)
  expect(calls.length).toBeGreaterThan(0)
  for (const { fromDialer, fromListener, text } of calls) {
    expect(fromDialer.messages).toEqual([32])
    expect(fromListener.messages).toHaveLength(1)
    expect(text).not.toMatch(/errand|kad|meshsub|ping|yamux/)
  }
  for (const { home, name } of [alice, olga]) expect((await w.devices(home)).map((one) => one.name)).toEqual([name])
})

/** Resolves when the connection is closed, whoever closed it. */
async function closed(connection: Connection, withinMs = 5_000): Promise<void> {
  await until('the connection is closed', () => connection.status !== 'open', withinMs)
}
