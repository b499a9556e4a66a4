/**
 * A guest's view, from the wire: a hostile guest opens, asks, subscribes, searches and forges for a while, and keeps every message that it is sent.
 * What came is compared with the list in docs/security.md, and searched for everything that this mesh holds besides.
 * ERRAND_GUEST_SECONDS=600 stays for the ten minutes of a stranger: npm run guest.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { topics } from '../../protocols/announce/messages.ts'

import { CALL, CALL_TAG } from '../../protocols/call/messages.ts'

import { SETS, SYNC } from '../../protocols/sync/messages.ts'
import { DOMAIN, encode } from '../../protocols/wire.ts'
import { revoke } from '../../src/authority/revocations.ts'
import { decodeDelegation, signDelegation } from '../../src/authority/token.ts'
import { pause, systemClock, systemRandom } from '../../src/base/clock.ts'
import { FrameLink } from '../../src/base/frames.ts'
import { seal } from '../../src/identity/envelope.ts'
import { type Did, Identity, peerIdOf } from '../../src/identity/identity.ts'
import { meshTag } from '../../src/mesh/host.ts'
import { byteLink } from '../../src/mesh/streams.ts'
import { readCode } from '../../src/runtime/invite-code.ts'
import { type Node, until, type World, world } from '../support/world.ts'
import { ask, command, openFrame, probe, protocolsOf, type Session } from './support-attack.ts'
import { addressOf } from './support-exec.ts'
import { WireGuest } from './support-guest.ts'

const STAYS_MS = Number(process.env['ERRAND_GUEST_SECONDS'] ?? '25') * 1_000
const LATER = Math.floor(Date.now() / 1_000) + 3_600
/** What this mesh is full of, and no guest may ever read. */
const SECRETS = ['okapi', 'tapir', 'ibis', 'nightwatch', 'aviary', 'basement', 'xylophone', 'zither', 'gazelle']

let w: World
let alice: Node
let bob: Node
let okapi: Node
let tapir: Node
let ibis: Node
let guest: WireGuest
let atAlice: Session
let atBob: Session

/** Alice invites, Bob is where the guest may `echo`; Okapi is a third device of hers, Tapir an admin's, Ibis another guest. */
beforeAll(async () => {
  w = world()
  alice = await w.founder('alice', { 'transport.dht': true })
  bob = await w.joiner(alice, 'bob')
  okapi = await w.joiner(alice, 'okapi')
  tapir = await w.joiner(alice, 'tapir', { invite: ['--ask', 'exec: true', '--role', 'admin'] })
  ibis = await w.joiner(alice, 'ibis', { invite: ['--guest', '--give', 'exec: echo', '--on', 'bob', '--for', '1h'] })
  await w.connected(okapi.home, 'alice', 'bob', 'tapir')
  guest = await WireGuest.start(readCode((await w.invite(alice.home, '--name', 'wire', '--guest', '--give', 'exec: echo', '--on', 'bob', '--for', '1h')).code))
  await guest.join()
  atAlice = await guest.session(await addressOf(alice.home))
  atBob = await guest.session(await addressOf(bob.home))
  await guest.sync(atBob.connection, { t: 'push', set: 'addresses', records: [guest.address()] })
})

afterAll(async () => {
  await guest[Symbol.asyncDispose]()
  await w[Symbol.asyncDispose]()
})

const did = (node: Node): Did => node.did as Did
const chain = (): ReturnType<typeof decodeDelegation>[] => {
  const links = (guest.welcome?.delegations ?? []).map((bytes) => decodeDelegation(bytes))
  return [...links.filter(({ iss }) => iss === bob.did), ...links.filter(({ aud }) => aud === guest.identity.did)]
}

test('its grant works, with the chain that it was given: what is refused below is refused for what it is', async () => {
  const open = openFrame({ by: guest.identity, to: did(bob), challenge: atBob.challenge, args: command('echo', 'hello'), chain: chain() })
  expect(await ask(atBob.connection, open)).toMatchObject({ t: 'ended', ended: { exitCode: 0 }, stdout: Buffer.from('hello\n') })
  const cat = openFrame({ by: guest.identity, to: did(bob), challenge: atBob.challenge, args: command('cat', '/etc/hosts'), chain: chain() })
  expect(await ask(atBob.connection, cat)).toMatchObject({ t: 'refused', code: 'DENIED' })
})

test('of all that its host registers, what is not for guests is reset without a byte, and so is what the host would open itself', async () => {
  for (const { connection } of [atAlice, atBob]) {
    const served = (await protocolsOf(connection)).filter((name) => !/^\/errand\/(hello|join|sync|exec|call)\/1$|\/ping\/1\.0\.0$/.test(name))
    for (const name of ['/kad/', 'meshsub', '/id/1', '/id/push/', '/errand/audit/']) expect(served.join(' ')).toContain(name)
    for (const protocol of served) expect(await probe(connection, protocol), protocol).toEqual({ bytes: 0, reset: true })
  }
  expect((await w.audit(alice.home, '--device', 'alice', '--action', 'device.refused')).at(-1)).toMatchObject({
    result: 'denied',
    reason: expect.stringContaining('is not for guests'),
  })
})

test('it subscribes to gossip, searches the DHT and asks identify, and hears nothing', async () => {
  const heard: string[] = []
  const { pubsub, identify } = guest.host.services
  pubsub?.addEventListener('message', ({ detail }) => heard.push(detail.topic))
  for (const topic of Object.values(topics(meshTag(guest.code.meshId)))) pubsub?.subscribe(topic)
  for (const { connection } of [atAlice, atBob]) {
    await expect(identify?.identify(connection)).rejects.toThrow()
    await expect(connection.newStream(['/meshsub/1.2.0', '/meshsub/1.1.0']).then((stream) => answered(stream))).resolves.toBe(0)
  }
  const search = guest.host.peerRouting.findPeer(peerIdFromString(peerIdOf(did(okapi))), { signal: AbortSignal.timeout(3_000) })
  await expect(search).rejects.toThrow()
  expect(heard).toEqual([])
})

test('devices that it has nothing on refuse it before they say who they are, and a membership that it bends is none', async () => {
  for (const node of [okapi, tapir]) {
    const connection = await guest.dial(await addressOf(node.home))
    expect(await guest.hello(connection)).toEqual({
      t: 'refused',
      fault: { code: 'GUEST', message: 'this guest has nothing on this device', hint: expect.any(String) },
    })
    expect(await probe(connection, SYNC.ids[0])).toEqual({ bytes: 0, reset: true })
  }
  const other = await guest.dial(await addressOf(ibis.home))
  expect(await guest.hello(other)).toMatchObject({ t: 'refused', fault: { code: 'GUEST', message: 'guests do not meet each other' } })
  const mine = { v: 1, device: guest.identity.did, name: 'wire', kind: 'member', own: true, at: Date.now() + 9_000, proofs: [] as Uint8Array[] }
  const leave = signDelegation(guest.identity, {
    aud: guest.identity.did,
    sub: guest.identity.did,
    cmd: '/mesh/join',
    pol: [],
    exp: null,
    nonce: systemRandom(16),
  })
  const [, hosts = new Uint8Array()] = guest.welcome?.members ?? []
  const forged = [
    seal(guest.identity, DOMAIN.membership, guest.code.meshId, mine),
    seal(guest.identity, DOMAIN.membership, guest.code.meshId, { ...mine, proofs: [leave.bytes] }),
    seal(guest.identity, DOMAIN.membership, guest.code.meshId, { ...mine, proofs: chain().map(({ bytes }) => bytes) }),
    flipped(guest.welcome?.membership ?? new Uint8Array()),
    hosts,
    new Uint8Array(),
  ]
  for (const membership of forged) {
    const connection = await guest.dial(await addressOf(okapi.home))
    const answer = await guest.hello(connection, { membership })
    expect(answer).toMatchObject({ t: 'refused', fault: { code: expect.stringMatching(/^(NOT_A_MEMBER|GUEST)$/) } })
  }
  expect((await w.devices(alice.home)).find(({ name }) => name === 'wire')).toMatchObject({ membership: 'guest', trust: 'verified' })
  expect((await w.audit(alice.home, '--device', 'okapi', '--action', 'device.refused')).at(-1)).toMatchObject({ actor: guest.identity.did })
})

test('sync shows it its own circle, whatever it says that it has', async () => {
  const haves = [new Uint8Array(), systemRandom(8), new Uint8Array(1 << 18), Buffer.alloc(1 << 18, 0xff)]
  const asks = [atAlice, atBob].flatMap(({ connection }) => haves.flatMap((have) => SETS.map((set) => ({ connection, set, have }))))
  for (const { connection, set, have } of asks) {
    const answer = await guest.sync(connection, { t: 'pull', set, have })
    if (set === 'announcements') expect(answer).toMatchObject({ t: 'refused', fault: { code: 'GUEST' } })
    else expect(answer.t === 'records' && answer.records.length, set).toBeLessThanOrEqual(set === 'delegations' ? 2 : 3)
  }
})

test('of what it brings its own words count, and no other', async () => {
  const { identity, code } = guest
  const friend = new Identity(systemRandom(32))
  const record = { v: 1, device: friend.did, name: 'friend', kind: 'member', own: false, at: 1, proofs: chain().map(({ bytes }) => bytes) }
  const gift = signDelegation(identity, { aud: did(okapi), sub: did(bob), cmd: '/exec/run', pol: [], exp: LATER, nonce: systemRandom(16) })
  const root = chain()[0]?.cid ?? ''
  const words = [
    ['members', seal(identity, DOMAIN.membership, code.meshId, record)],
    ['delegations', gift.bytes],
    ['revocations', revoke(friend, root).bytes],
    ['orders', seal(identity, DOMAIN.order, code.meshId, { v: 1, kind: 'lockdown', subject: '', at: Date.now(), body: { on: true } })],
    ['addresses', seal(friend, DOMAIN.address, code.meshId, { v: 1, device: friend.did, seq: 9, addrs: [] })],
  ] as const
  for (const { connection } of [atAlice, atBob]) {
    for (const [set, bytes] of words)
      expect(await guest.sync(connection, { t: 'push', set, records: [bytes] }), set).toEqual({ t: 'ack', accepted: 0, stopped: [] })
    expect(await guest.sync(connection, { t: 'push', set: 'announcements', records: [systemRandom(9)] })).toMatchObject({ t: 'refused' })
  }
})

test('refusals and answers name nobody that it does not know: chains through others, rights on others, tasks of others', async () => {
  const stranger = new Identity(systemRandom(32)).did
  const lies = [did(okapi), did(tapir), stranger].map((iss) => {
    const link = signDelegation(guest.identity, { aud: iss, sub: did(bob), cmd: '/', pol: [], exp: LATER, nonce: systemRandom(16) })
    return openFrame({ by: guest.identity, to: did(bob), challenge: atBob.challenge, args: command('echo'), chain: [...chain(), link] })
  })
  for (const lie of lies) expect(await ask(atBob.connection, lie)).toMatchObject({ t: 'refused', message: expect.not.stringMatching(/okapi|tapir/) })
  const told = await Promise.all([did(okapi), did(tapir), stranger].map((device) => rightAsked(device)))
  expect(new Set(told)).toEqual(new Set([expect.stringContaining('UNKNOWN_DEVICE')]))
  expect(await rightAsked(did(bob)), 'about a device that it knows it may ask').toContain('waiting')
  expect(await question('/task/read')).toContain('DENIED')
  expect(await question('/approval/list')).toContain('DENIED')
})

test(`after ${STAYS_MS / 1_000} s among busy devices: what it was sent is the list in docs/security.md, and nothing that it holds is anybody else's`, {
  timeout: STAYS_MS + 120_000,
}, async () => {
  const ends = systemClock.monotonic() + STAYS_MS
  await busy()
  const heron = await lentAndLost()
  while (systemClock.monotonic() < ends) {
    await guest.sync(atBob.connection, { t: 'pull', set: 'revocations', have: new Uint8Array() })
    await pause(systemClock, 1_000)
  }
  const { code } = await w.errand(alice.home, 'revoke', '--on', 'bob', '--to', 'wire')
  expect(code).toBe(0)
  await until('the line to Bob is cut', () => atBob.connection.status !== 'open')
  expect(await guest.hello(await guest.dial(await addressOf(bob.home)))).toMatchObject({ t: 'refused', fault: { code: 'GUEST' } })
  await guest.sync(atAlice.connection, { t: 'pull', set: 'revocations', have: new Uint8Array() })
  expect((await w.errand(alice.home, 'device', 'remove', 'wire', '--yes')).code).toBe(0)
  await until('the line to Alice is cut', () => atAlice.connection.status !== 'open')

  expect(guest.kinds()).toEqual(listed())
  expect(new Set(guest.calledBy), 'nobody else dials it').toEqual(new Set(guest.calledBy.filter((caller) => [alice.did, bob.did, heron].includes(caller))))
  const bytes = guest.bytes()
  const others = [okapi, tapir, ibis]
  const ports = others.flatMap(({ ready }) => ready.addresses.map((address) => /\/tcp\/\d+/.exec(address)?.[0] ?? address))
  for (const secret of [...SECRETS, ...others.flatMap((node) => [node.did, node.ready.peerId]), ...ports]) expect(bytes.includes(secret), secret).toBe(false)
  for (const known of ['alice', 'bob', alice.did, bob.did]) expect(bytes.includes(known), known).toBe(true)
})

/** The first column of the list, as it is written for people. */
function listed(): string[] {
  const text = readFileSync(join(import.meta.dirname, '../../docs/security.md'), 'utf8')
  const [, section = ''] = /## A guest's view\n([\s\S]*?)\n## /.exec(text) ?? []
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, kind = '']) => kind)).sort()
}

/** Things that happen in a mesh, with words in them that a guest would give away by. */
async function busy(): Promise<void> {
  const does = async (node: Node, ...words: string[]): Promise<void> => {
    const ran = await w.errand(node.home, ...words)
    if (ran.code !== 0) throw new Error(`${words.join(' ')}: ${ran.stderr}`)
  }
  await does(alice, 'run', 'okapi', '--', 'echo', 'zither')
  await does(tapir, 'run', 'bob', '--', 'echo', 'zither')
  await does(alice, 'device', 'label', 'okapi', 'place=basement')
  await does(alice, 'grant', 'tapir', '--on', 'okapi', '--can', 'exec: xylophone', '--for', '1h')
  await does(alice, 'grant', 'ibis', '--on', 'okapi', '--can', 'exec: xylophone', '--for', '10m')
  await does(alice, 'role', 'add', 'nightwatch', '--can', 'exec: xylophone')
  await does(alice, 'group', 'add', 'aviary', 'okapi', 'bob')
  await does(alice, 'revoke', '--on', 'okapi', '--to', 'tapir')
  await does(alice, 'run', 'bob', '--detach', '--', 'sleep', '2')
  const gazelle = await w.joiner(alice, 'gazelle')
  await w.connected(gazelle.home, 'alice')
  await does(alice, 'run', 'gazelle', '--', 'echo', 'zither')
  await does(alice, 'device', 'remove', 'gazelle', '--yes', '--reason', 'xylophone')
  await gazelle.stop()
}

/** It is given something on another device, which is then lost: it hears of both, for it knew that device. */
async function lentAndLost(): Promise<string> {
  const heron = await w.joiner(alice, 'heron')
  expect((await w.errand(alice.home, 'grant', 'wire', '--on', 'heron', '--can', 'exec: echo', '--for', '10m')).code).toBe(0)
  expect((await w.errand(alice.home, 'device', 'remove', 'heron', '--yes')).code).toBe(0)
  await heron.stop()
  for (const set of SETS.filter((one) => one !== 'announcements')) await guest.sync(atAlice.connection, { t: 'pull', set, have: new Uint8Array() })
  return heron.did
}

async function answered(stream: Awaited<ReturnType<Session['connection']['newStream']>>): Promise<number> {
  let bytes = 0
  stream.addEventListener('message', ({ data }) => (bytes += data.byteLength))
  await until('the stream is over', () => stream.status !== 'open')
  return bytes
}

async function called(question: object): Promise<string> {
  const stream = await atBob.connection.newStream([...CALL.ids], { maxOutboundStreams: 1_000 })
  const link = new FrameLink(byteLink(stream), CALL.maxFrameBytes)
  await link.write(CALL_TAG.ask, encode({ task: '', invocation: new Uint8Array(8), proofs: [], ...question }))
  const frame = await link.read()
  await link.end()
  return Buffer.from(frame?.payload.subarray() ?? []).toString('latin1')
}

const rightAsked = async (device: Did): Promise<string> =>
  await called({ question: '/right/ask', right: { id: systemRandom(16), device, can: ['exec: ls'], reason: 'please', forMs: 60_000, createdAt: Date.now() } })
const question = async (name: string): Promise<string> => await called({ question: name })

function flipped(bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes)
  const at = Buffer.from(bytes).indexOf('guest')
  changed.set(Buffer.from('membe'), at)
  return changed
}
