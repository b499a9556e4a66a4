/** What somebody would try who wants more of a device's network than they were given. */
import { Uint8ArrayList } from 'uint8arraylist'
import { expect, test } from 'vitest'
import { FORWARD, FORWARD_TAG as TAG } from '../../../protocols/forward/messages.ts'
import { encode } from '../../../protocols/wire.ts'
import { FrameLink } from '../../../src/base/frames.ts'
import { memoryLinks } from '../../../src/base/memory-link.ts'
import { type Check, OthersCheck } from '../../../src/runtime/checks.ts'
import { settled } from '../base/hand-clock.ts'
import { device, heard, laptop, mallory, owner, World } from './world.ts'

const DENIED = { t: 'refused', code: 'DENIED' }

test('a name that is made to lead elsewhere leads nowhere: each address is judged, and what was judged is connected to', async () => {
  const world = new World()
  const chain = [world.grant('forward: db.internal:80')]
  for (const [trick, message] of [
    ['127.0.0.1', 'leads to 127.0.0.1, which is that device itself'],
    ['::1', 'leads to ::1'],
    ['::ffff:127.0.0.1', 'leads to 127.0.0.1'],
    ['192.168.1.5', 'which is that device itself'],
    ['169.254.169.254', 'which is link-local'],
    ['fd00:ec2::254', 'which is link-local'],
    ['0.0.0.0', 'nobody connects to such an address'],
    ['64:ff9b::7f00:1', 'nobody connects to such an address'],
    ['224.0.0.1', 'nobody connects to such an address'],
  ] as const) {
    world.network.names.set('db.internal', [[trick]])
    expect((await world.ask('db.internal:80', { chain })).answer, trick).toMatchObject({ ...DENIED, message: expect.stringContaining(message) })
  }
  expect(world.network.connected).toEqual([])
  expect(new Set(world.actions())).toEqual(new Set(['forward.denied']))
  world.network.names.set('db.internal', [['127.0.0.1', '10.0.0.7']])
  expect((await world.ask('db.internal:80', { chain })).answer.t).toBe('accepted')
  expect(world.network.connected).toEqual(['10.0.0.7 80'])
})

test('a name that is good when the forward begins, and leads to the device itself later, is refused then', async () => {
  const world = new World()
  world.network.names.set('db.internal', [['10.0.0.7'], ['127.0.0.1']])
  const { answer } = await world.ask('db.internal:80', { chain: [world.grant('forward: *')], single: false })
  const { link } = world.stream(TAG.connect, encode({ forward: answer.t === 'accepted' ? answer.forward : new Uint8Array(16) }))
  expect((await link.read())?.tag).toBe(TAG.refused)
  expect(world.network.connected).toEqual([])
  expect(world.facts.at(-1)).toMatchObject({ action: 'forward.denied', details: { words: 'forward: db.internal:80' } })
})

test('whoever was given the address as well gets there by the name', async () => {
  const world = new World()
  world.network.names.set('db.internal', [['127.0.0.1']])
  expect((await world.ask('db.internal:80', { chain: [world.grant('forward: db.internal:80, localhost:80')] })).answer.t).toBe('accepted')
  world.network.names.set('db.internal', [['169.254.169.254']])
  expect((await world.ask('db.internal:80', { chain: [world.grant('net: forward')] })).answer).toMatchObject(DENIED)
})

test('link-local addresses have to be named, also by whoever may do everything', async () => {
  const world = new World()
  for (const right of ['everything', 'net: forward', 'forward: *', 'forward: 0.0.0.0/0:*'])
    expect((await world.ask('169.254.169.254:80', { chain: [world.grant(right)] })).answer, right).toMatchObject(DENIED)
  expect(world.network.connected).toEqual([])
  expect((await world.ask('169.254.169.254:80', { chain: [world.grant('forward: 169.254.169.254:80')] })).answer.t).toBe('accepted')
})

test("errand's own ports are nobody's, by whatever address of the device", async () => {
  const world = new World()
  const chain = [world.grant('everything')]
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '192.168.1.5'])
    for (const port of [4_701, 4_780])
      expect((await world.ask(`${host}:${port}`, { chain })).answer, host).toMatchObject({ ...DENIED, message: expect.stringContaining("errand's own port") })
  expect((await world.ask('192.168.1.6:4701', { chain })).answer.t).toBe('accepted')
  expect((await world.ask('localhost:22', { chain })).answer.t).toBe('accepted')
})

test.each([
  ['a decimal address', { host: '2130706433', kind: 'name', family: 0, ip: [] }],
  ['a mapped one', { host: '::ffff:7f00:1', kind: 'address', family: 6, ip: Array(16).fill(1) }],
  ['one that says it is another', { host: '127.0.0.1', kind: 'address', family: 4, ip: [10, 0, 0, 1] }],
  ['0.0.0.0', { host: '0.0.0.0', kind: 'any', family: 4, ip: [0, 0, 0, 0] }],
])('an address in disguise is no target, whatever the chain: %s', async (_, host) => {
  const world = new World()
  const args = { mode: 'connect', port: 80, ...host }
  expect((await world.ask('localhost:80', { chain: [world.grant('everything')], args })).answer).toMatchObject(DENIED)
  expect(world.network.connected).toEqual([])
})

test('an invocation is good once, on one connection, for one peer, signed by it, for this command', async () => {
  const world = new World()
  const chain = [world.grant('forward: localhost:80')]
  const open = world.open('localhost:80', { chain })
  expect((await world.ask('', { open })).answer.t).toBe('accepted')
  for (const [trick, asks] of Object.entries({
    replayed: { open },
    'of another peer': { open: world.open('localhost:80', { chain }), peer: mallory },
    'signed by another': { chain, by: mallory, peer: laptop },
    'for another connection': { chain, challenge: new Uint8Array(16).fill(1) },
    'without proof': { chain: [] },
    'with a port that is not in it': { open: world.open('localhost:81', { chain }) },
  }))
    expect((await world.ask('localhost:80', asks)).answer, trick).toMatchObject(DENIED)
  expect(world.network.connected).toEqual(['127.0.0.1 80'])
  expect(world.refusals.size).toBe(6)
  expect((await world.ask('localhost:80', { chain: [world.grant('exec: git')] })).answer).toMatchObject(DENIED)
})

test('a forward is the one of the peer that it was given to: its name alone is nothing, and its end is the end of its name', async () => {
  const world = new World()
  const { answer, link } = await world.ask('localhost:80', { chain: [world.grant('forward: localhost:80')], single: false })
  const forward = answer.t === 'accepted' ? answer.forward : new Uint8Array(16)
  const stolen = world.stream(TAG.connect, encode({ forward }), mallory)
  expect((await stolen.link.read())?.tag).toBe(TAG.refused)
  const own = world.stream(TAG.connect, encode({ forward }))
  expect((await own.link.read())?.tag).toBe(TAG.connected)
  await link.end()
  await settled()
  expect((await world.stream(TAG.connect, encode({ forward })).link.read())?.tag).toBe(TAG.refused)
  expect((await heard(own.link)).ended?.why).toBe('closed')
})

test('an order of another kind, a single connection taken for a forward, a listener taken for a connection: none of them is served', async () => {
  const world = new World()
  const other = await world.ask('localhost:80', { command: '/device/info', args: {}, chain: [world.grant('device: info')] })
  expect(other.answer).toMatchObject({ ...DENIED, message: '/device/info is not served here' })
  const chain = [world.grant('net: forward')]
  expect((await world.ask('127.0.0.1:0', { chain, listen: true })).answer).toMatchObject({ t: 'refused', code: 'UNSUPPORTED' })
  const idOf = ({ answer }: { answer: object }): Uint8Array =>
    'forward' in answer && answer.forward instanceof Uint8Array ? answer.forward : new Uint8Array(16)
  const single = idOf(await world.ask('localhost:80', { chain }))
  const listener = idOf(await world.ask('127.0.0.1:0', { chain, listen: true, single: false }))
  for (const forward of [single, listener]) expect((await world.stream(TAG.connect, encode({ forward })).link.read())?.tag).toBe(TAG.refused)
  expect(world.network.connected).toEqual(['127.0.0.1 80'])
})

test('a revocation cuts what goes through, and both ends are told; so does the end of the grant', async () => {
  for (const how of ['revoked', 'expired'] as const) {
    const world = new World()
    const grant = world.grant('forward: localhost:80', { exp: world.now + 60 })
    const { link } = await world.ask('localhost:80', { chain: [grant] })
    await world.network.made[0]?.end.write(new Uint8ArrayList(Buffer.from('half')))
    await settled()
    if (how === 'expired') world.clock.advance(60_001)
    else {
      world.revocations.bar((did) => did === laptop.did)
      world.rests.endDead()
    }
    const { text, ended } = await heard(link)
    expect([text, ended?.why]).toEqual(['half', 'revoked'])
    expect(world.network.made[0]?.isCut).toBe(true)
    await settled()
    expect(world.facts.at(-1)).toMatchObject({ action: 'forward.end', result: 'failed', details: { why: 'revoked', bytesOut: 4, connections: 1 } })
  }
})

test('what the checks of the device would not let in any more is ended when they are asked anew', async () => {
  let allows = true
  const check: Check = { step: 'policy', judge: () => (allows ? { ok: true, detail: '' } : { ok: false, code: 'POLICY', detail: 'not any more' }) }
  const world = new World({ checks: [check] })
  const { link } = await world.ask('localhost:80', { chain: [world.grant('forward: localhost:80')] })
  await world.door.judgeAnew()
  allows = false
  await world.door.judgeAnew()
  expect((await heard(link)).ended).toMatchObject({ why: 'revoked', message: 'not any more' })
})

test('what has to be approved is refused, not left waiting', async () => {
  const check: Check = { step: 'approval', judge: () => ({ ok: false, code: 'APPROVAL', detail: 'somebody has to approve it', waitsFor: 'approval' }) }
  const world = new World({ checks: [check] })
  expect((await world.ask('localhost:80', { chain: [world.grant('forward: localhost:80')] })).answer).toMatchObject({
    ...DENIED,
    message: expect.stringContaining('cannot wait'),
  })
})

test('a device that does nothing for others connects nowhere for them, and does for itself', async () => {
  const world = new World({ checks: [new OthersCheck({ self: device.did, allowsOthers: false })] })
  expect((await world.ask('localhost:80', { chain: [world.grant('everything')] })).answer).toMatchObject(DENIED)
  expect((await world.ask('localhost:80', { by: device, chain: [] })).answer.t).toBe('accepted')
})

test('one peer has so many forwards and one forward so many connections; what is over makes room', async () => {
  const world = new World()
  const chain = [world.grant('forward: localhost:80')]
  const held = []
  for (let n = 0; n < FORWARD.forwardsPerPeer; n++) held.push(await world.ask('localhost:80', { chain, single: false }))
  expect((await world.ask('localhost:80', { chain, single: false })).answer).toMatchObject({ t: 'refused', code: 'TOO_BUSY' })
  const [first] = held
  const forward = first?.answer.t === 'accepted' ? first.answer.forward : new Uint8Array(16)
  const streams = [...Array(FORWARD.connectionsPerForward + 1).keys()].map(() => world.stream(TAG.connect, encode({ forward })))
  const tags = await Promise.all(streams.map(async ({ link }) => (await link.read())?.tag))
  expect(tags.filter((tag) => tag === TAG.connected)).toHaveLength(FORWARD.connectionsPerForward)
  await first?.link.end()
  await settled()
  expect((await world.ask('localhost:80', { chain, single: false })).answer.t).toBe('accepted')
})

test('a caller that asks too often is refused before anything is looked at', async () => {
  const world = new World({ perMinute: 2 })
  const chain = [world.grant('forward: localhost:80')]
  const answers = []
  for (let n = 0; n < 3; n++) answers.push((await world.ask('localhost:80', { chain })).answer)
  expect(answers.map((answer) => (answer.t === 'refused' ? answer.code : answer.t))).toEqual(['accepted', 'accepted', 'TOO_BUSY'])
})

test.each([
  ['no frames at all', new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x7f])],
  ['data first', new Uint8Array([2, TAG.data, 1])],
  ['an open that is none', new Uint8Array([2, TAG.open, 0xa0])],
])('nonsense is refused and ends: %s', async (_, bytes) => {
  const world = new World()
  const [mine, theirs] = memoryLinks()
  const served = world.door.serve(
    new FrameLink(theirs, FORWARD.maxFrameBytes),
    { did: owner.did, challenge: new Uint8Array(16), address: '', synced: Promise.resolve(), back: () => Promise.reject(new Error('no')) },
    { signal: new AbortController().signal },
  )
  await mine.write(new Uint8ArrayList(bytes))
  await mine.end()
  await served
  expect(world.network.connected).toEqual([])
})
