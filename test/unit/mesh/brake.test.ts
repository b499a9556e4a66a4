/** Who is refused too often is slowed down, over real libp2p on loopback: a device whose time stands still unless a test moves it, and members of all kinds. */
import type { Connection } from '@libp2p/interface'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EXEC, Refused, TAG } from '../../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import { pause, systemClock, systemRandom } from '../../../src/base/clock.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { Brake } from '../../../src/mesh/brake.ts'
import { type ExecDoor, serveExec } from '../../../src/mesh/exec.ts'
import { type Host, startHost } from '../../../src/mesh/host.ts'
import { Links } from '../../../src/mesh/links.ts'
import { socketOf } from '../../../src/mesh/tcp.ts'
import { companyOf } from '../../../src/runtime/guest-view.ts'
import { Attacker, ExecStream, probe } from '../../e2e/support-attack.ts'
import { until } from '../../support/until.ts'
import { HandClock } from '../base/hand-clock.ts'
import { alice, bob, MeshWorld, mallory } from '../runtime/mesh-world.ts'

const AT_ONCE = 50
const GOOD = Uint8Array.of(1)
const BAD = Uint8Array.of(0)

let world: MeshWorld
let clock: HandClock
let brake: Brake
let host: Host
let judged: { good: number; bad: number }
let slowed: string[]
const attackers: Attacker[] = []

/** Runs what is good and refuses the rest, as the runtime's door does. */
const door: ExecDoor = {
  async serve(link, caller) {
    const frame = await link.read().catch(() => undefined)
    const over = caller.patience.over()
    if (over !== undefined) {
      await Promise.resolve(link.write(TAG.refused, encode(over.toWire('device')))).catch(() => undefined)
    } else if (frame?.payload.subarray()[0] === GOOD[0]) {
      judged.good++
      await Promise.resolve(link.write(TAG.accepted, encode({ task: 'one', startTime: 0 }))).catch(() => undefined)
    } else {
      judged.bad++
      const error = new ErrandError('DENIED', 'no')
      caller.patience.refused(error)
      await Promise.resolve(link.write(TAG.refused, encode(error.toWire('device')))).catch(() => undefined)
    }
    await link.end().catch(() => undefined)
  },
}

beforeEach(async () => {
  world = new MeshWorld()
  clock = new HandClock()
  judged = { good: 0, bad: 0 }
  slowed = []
  const { records, directory } = world.device()
  for (const membership of [world.founder, world.member(bob, 'bob'), world.member(mallory, 'mallory')]) await records.admit('members', membership)
  brake = new Brake({ clock, isKnown: (did) => directory.isKnown(did), slowed: ({ did }) => slowed.push(did) })
  const links = new Links({
    ...{ self: alice.did, meshId: world.mesh.id, directory, company: companyOf(alice.did, directory, records.guests), clock, random: systemRandom },
    removals: { of: () => [], learn: async () => undefined },
    refused: () => undefined,
    admitMember: async (bytes) => (await records.admit('members', bytes)).verdict,
    log: () => undefined,
    ownHello: () => ({ version: '0.1.0', membership: world.founder, protocols: [], digests: records.digests() }),
    onUp: () => undefined,
    reached: (stream) => brake.reached(stream),
    onDown: () => undefined,
  })
  const options = { identity: alice, meshId: world.mesh.id, listen: ['/ip4/127.0.0.1/tcp/0'], version: '0.1.0', mdns: false, dht: false }
  host = await startHost({ ...options, denyInbound: (id) => brake.turnsAway(didOf(id)) }, async (made) => {
    brake.attach(made)
    await links.attach(made)
    await serveExec(made, { links, brake, door })
  })
})

afterEach(async () => {
  brake.stop()
  for (const attacker of attackers.splice(0)) await attacker[Symbol.asyncDispose]()
  await host.stop()
})

function didOf(peerId: string): Identity['did'] {
  const found = [bob, mallory].find((one) => one.peerId === peerId)
  if (found === undefined) throw new Error('nobody of this test')
  return found.did
}

async function started(identity: Identity): Promise<Attacker> {
  const attacker = await Attacker.start(world.mesh.id, identity)
  attackers.push(attacker)
  return attacker
}

async function entered(attacker: Attacker, name: string): Promise<Connection> {
  return (await attacker.session(host.getMultiaddrs()[0]?.toString() ?? '', world.member(attacker.identity, name))).connection
}

/** What became of one request: `accepted`, the code of a refusal with its reason, or nothing in that time. */
async function asked(connection: Connection, request: Uint8Array, withinMs = 1_000): Promise<string> {
  try {
    const stream = await ExecStream.open(connection, withinMs)
    await stream.link.write(TAG.open, request)
    const frame = await Promise.race([stream.link.read(), pause(systemClock, withinMs)])
    if (frame === undefined) stream.stream.abort(new Error('no answer'))
    if (frame?.tag !== TAG.refused) return frame === undefined ? 'nothing' : 'accepted'
    const { code, fields } = decodeAs(Refused, frame.payload.subarray(), EXEC.maxFrameBytes)
    return [code, fields?.['reason']].filter(Boolean).join(' ')
  } catch {
    return 'nothing'
  }
}

const allAsked = async (connection: Connection, requests: readonly Uint8Array[]): Promise<string[]> =>
  await Promise.all(requests.map((request) => asked(connection, request)))
const times = (n: number, request: Uint8Array): Uint8Array[] => Array.from({ length: n }, () => request)

test('a member with three typos is slowed by nothing, and its good requests cost nothing', async () => {
  const connection = await entered(await started(bob), 'bob')
  expect(await allAsked(connection, times(3, BAD))).toEqual(times(3, BAD).map(() => 'DENIED'))
  for (let n = 0; n < 4; n++) expect(new Set(await allAsked(connection, times(50, GOOD)))).toEqual(new Set(['accepted']))
  expect([judged, slowed]).toEqual([{ good: 200, bad: 3 }, []])
})

test('many streams at once: so many are judged, the others are told to wait or cut, and nobody else notices', async () => {
  const [bobs, mallorys] = [await entered(await started(bob), 'bob'), await entered(await started(mallory), 'mallory')]
  const answers = allAsked(mallorys, times(250, BAD))
  for (let n = 0; n < 20; n++) expect(await asked(bobs, GOOD, 10_000)).toBe('accepted')
  const seen = await answers
  expect(judged.bad).toBeGreaterThanOrEqual(AT_ONCE - 10)
  expect(judged.bad).toBeLessThanOrEqual(AT_ONCE)
  expect(seen.filter((answer) => answer === 'DENIED').length).toBeLessThanOrEqual(AT_ONCE)
  expect(seen).toContain('TOO_BUSY REFUSALS')
  expect(await asked(mallorys, GOOD), 'from here on nothing is read').toBe('nothing')
  expect(new Set(slowed)).toEqual(new Set([mallory.did]))
})

test('an answer says when to come again, and it is looked at again then', async () => {
  const connection = await entered(await started(mallory), 'mallory')
  for (let n = 0; n < AT_ONCE + 10; n++) brake.refused(mallory.did)
  expect(brake.refusal(mallory.did)).toMatchObject({ code: 'TOO_BUSY', retryable: true, fields: { reason: 'REFUSALS', retryAfterMs: expect.any(Number) } })
  expect(await asked(connection, GOOD)).toBe('nothing')
  const later = asked(connection, GOOD)
  for (let n = 0; n < 40; n++) {
    clock.advance(1_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await later
  expect(await asked(connection, GOOD)).toBe('accepted')
})

test('its socket is not read, and is again when it has been quiet', async () => {
  await entered(await started(mallory), 'mallory')
  const [theirs] = host.getConnections()
  const isPaused = (): boolean | undefined => theirs && socketOf(theirs)?.isPaused()
  expect(isPaused()).toBe(false)
  brake.refused(mallory.did, AT_ONCE)
  expect(isPaused()).toBe(true)
  clock.advance(5_000)
  expect(isPaused()).toBe(false)
})

test('streams beyond it are reset at the frame that opens them, also those that came in one piece', async () => {
  const connection = await entered(await started(mallory), 'mallory')
  let made = 0
  Reflect.get(host.getConnections()[0] ?? {}, 'muxer').addEventListener('stream', () => made++)
  const muxer = Reflect.get(connection, 'muxer')
  for (let n = 0; n < 200; n++) {
    const stream = await muxer.createStream({})
    await Promise.resolve() // its first frame is on its way; all of them leave in this turn
    stream.abort(new Error('never mind'))
  }
  await until('it is slowed down', () => slowed.includes(mallory.did))
  for (let n = 0; n < 60; n++) {
    clock.advance(50)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(made).toBeGreaterThan(20)
  expect(made).toBeLessThanOrEqual(200 / 2)
})

test('good requests in between buy nothing', async () => {
  const connection = await entered(await started(mallory), 'mallory')
  for (let n = 0; n < 10; n++)
    await allAsked(
      connection,
      Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? GOOD : BAD)),
    )
  expect(judged.bad).toBeLessThanOrEqual(AT_ONCE)
  expect(judged.good).toBeLessThan(100)
  expect(await asked(connection, GOOD)).not.toBe('accepted')
})

test('coming again on another connection does not help; being quiet does', async () => {
  const attacker = await started(mallory)
  await allAsked(await entered(attacker, 'mallory'), times(200, BAD))
  const before = judged.bad
  let opened = 0
  host.addEventListener('connection:open', () => opened++)
  for (let n = 0; n < 5; n++) await expect(entered(attacker, 'mallory')).rejects.toThrow()
  expect([judged.bad, opened], 'closed before it is a connection').toEqual([before, 0])
  clock.advance(35_000)
  const connection = await entered(attacker, 'mallory')
  expect(await asked(connection, BAD)).toBe('DENIED')
})

test('connections cost as well: who only comes and goes is turned away in the end', async () => {
  const attacker = await started(mallory)
  const came = async (): Promise<boolean> =>
    await entered(attacker, 'mallory').then(
      async (connection) => await connection.close().then(() => true),
      () => false,
    )
  let n = 0
  while (n < 40 && (await came())) n++
  expect(n).toBeGreaterThan(5)
  expect(n).toBeLessThan(30)
})

test('streams that come to nothing are counted: reset without a word, or for a protocol that there is not', async () => {
  const connection = await entered(await started(mallory), 'mallory')
  for (let n = 0; n < 30; n++) (await ExecStream.open(connection)).stream.abort(new Error('never mind'))
  expect(slowed).toEqual([])
  for (let n = 0; n < 30; n++) void probe(connection, '/errand/nothing/1')
  await until('it is slowed down', () => slowed.includes(mallory.did))
})
