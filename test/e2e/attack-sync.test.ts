/** A member that forges records and asks for too much: sync and audit believe signatures, not senders, and serve what the asker may see. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AUDIT, AuditAnswer } from '../../protocols/audit/messages.ts'
import { type SetName, SYNC, SyncAnswer } from '../../protocols/sync/messages.ts'
import { DOMAIN, encode } from '../../protocols/wire.ts'
import { revoke } from '../../src/authority/revocations.ts'
import { decodeDelegation, signDelegation } from '../../src/authority/token.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { seal } from '../../src/identity/envelope.ts'
import { type Did, Identity } from '../../src/identity/identity.ts'
import { type Node, type World, world } from '../support/world.ts'
import { Attacker, ask, chainTo, command, enrol, openFrame, type Papers, type Session } from './support-attack.ts'
import { addressOf, healthy, residentBytes } from './support-exec.ts'

const LATER = Math.floor(Date.now() / 1_000) + 3_600

let w: World
let alice: Node
let bob: Node
let address: string
let carol: Papers
let mallory: Papers
let mallorys: Attacker
let session: Session

beforeAll(async () => {
  w = world()
  alice = await w.founder('alice')
  bob = await w.joiner(alice, 'bob')
  address = await addressOf(alice.home)
  carol = await enrol(w, alice, 'carol', '--ask', 'exec: true', '--give', 'exec: echo')
  mallory = await enrol(w, alice, 'mallory', '--ask', 'exec: true')
  mallorys = await Attacker.start(mallory.meshId, mallory.identity)
  session = await mallorys.session(address, mallory.membership)
})

afterAll(async () => {
  await mallorys.host.stop()
  await w[Symbol.asyncDispose]()
})

async function say(message: unknown): Promise<ReturnType<typeof answered>> {
  const link = await mallorys.messages(session.connection, SYNC.ids[0], 8 << 20)
  await link.send(message)
  return answered(await link.receive(SyncAnswer))
}

function answered(answer: SyncAnswer): SyncAnswer {
  return answer
}

const push = async (set: SetName, ...records: Uint8Array[]): Promise<SyncAnswer> => await say({ t: 'push', set, records })
const nothing = { t: 'ack', accepted: 0, stopped: [] }

test('memberships that no owner signed admit nobody', async () => {
  const { identity, meshId } = mallory
  const friend = new Identity(systemRandom(32))
  const record = { v: 1, device: friend.did, name: 'friend', kind: 'member', own: true, at: Date.now(), proofs: [] }
  const chain = [signDelegation(identity, { aud: identity.did, sub: identity.did, cmd: '/mesh/join', pol: [], exp: null, nonce: systemRandom(16) })]
  const forged = [
    seal(identity, DOMAIN.membership, meshId, record),
    seal(identity, DOMAIN.membership, meshId, { ...record, proofs: chain.map(({ bytes }) => bytes) }),
    seal(identity, DOMAIN.membership, meshId, { ...record, proofs: [systemRandom(40)] }),
    seal(identity, DOMAIN.membership, meshId, { ...record, device: identity.did, name: 'alice', own: true }),
    seal(identity, DOMAIN.address, meshId, record),
    encode([1, encode(record), alice.did, systemRandom(64)]),
    systemRandom(300),
  ]
  expect(await push('members', ...forged)).toEqual(nothing)
  expect((await w.devices(alice.home)).map(({ name }) => name)).toEqual(['alice', 'bob', 'carol', 'mallory'])
  await using stranger = await Attacker.start(meshId, friend)
  const [first = systemRandom(8)] = forged
  expect(await stranger.hello(await stranger.dial(address), { membership: first })).toMatchObject({ t: 'refused' })
})

test('nobody says for others where they are or what they are', async () => {
  const { identity, meshId } = mallory
  const where = { v: 1, device: bob.did, seq: Number.MAX_SAFE_INTEGER, addrs: ['/ip4/127.0.0.1/tcp/9'] }
  expect(
    await push('addresses', seal(identity, DOMAIN.address, meshId, where), seal(identity, DOMAIN.announce, meshId, { ...where, device: identity.did })),
  ).toEqual(nothing)
  const what = {
    v: 1,
    device: bob.did,
    seq: 1,
    name: 'bob',
    labels: { gpu: '8' },
    os: 'x',
    arch: 'x',
    cpus: 1,
    memoryBytes: 1,
    loadPercent: 0,
    version: '9',
    freeSlots: 9,
  }
  expect(await push('announcements', seal(identity, DOMAIN.announce, meshId, what))).toEqual(nothing)
  const seen = (await w.devices(alice.home)).find(({ name }) => name === 'bob')
  expect(seen?.labels).toEqual({})
  expect(seen?.addresses).not.toContain('/ip4/127.0.0.1/tcp/9')
  expect(await w.run(alice.home, 'bob', 'echo', 'found')).toMatchObject({ code: 0, stdout: 'found\n' })
})

test('forged grants are not kept, and a grant of what one does not hold opens nothing', async () => {
  const [root, leaf] = chainTo(carol, alice.did)
  if (root === undefined || leaf === undefined) throw new Error('Carol has no chain')
  const bent = Buffer.from(leaf.bytes)
  bent[20] = (bent[20] ?? 0) ^ 1
  const stranger = new Identity(systemRandom(32))
  const toStranger = signDelegation(mallory.identity, { aud: stranger.did, sub: null, cmd: '/', pol: [], exp: LATER, nonce: systemRandom(16) })
  expect(await push('delegations', bent, toStranger.bytes, systemRandom(200))).toEqual(nothing)
  const self = signDelegation(mallory.identity, { aud: mallory.identity.did, sub: alice.did as Did, cmd: '/', pol: [], exp: LATER, nonce: systemRandom(16) })
  await push('delegations', self.bytes)
  for (const chain of [[self], [root, self]]) {
    const frame = openFrame({ by: mallory.identity, to: alice.did as Did, challenge: session.challenge, args: command('true'), chain })
    expect(await ask(session.connection, frame)).toMatchObject({ t: 'refused', code: 'DENIED' })
  }
})

test('who did not give a right cannot take it back; a flood of revocations is believed up to a share, and the owner’s still counts', async () => {
  const [root, leaf] = chainTo(carol, alice.did)
  if (root === undefined || leaf === undefined) throw new Error('Carol has no chain')
  await push('revocations', revoke(mallory.identity, leaf.cid).bytes, revoke(mallory.identity, root.cid).bytes)
  await using carols = await Attacker.start(carol.meshId, carol.identity)
  const run = async (): Promise<unknown> => {
    const { connection, challenge } = await carols.session(address, carol.membership)
    return await ask(connection, openFrame({ by: carol.identity, to: alice.did as Did, challenge, args: command('echo', 'mine'), chain: [root, leaf] }))
  }
  expect(await run()).toMatchObject({ t: 'ended', stdout: Buffer.from('mine\n') })
  const anyone = new Identity(systemRandom(32))
  expect(await push('revocations', revoke(anyone, leaf.cid).bytes)).toEqual(nothing)
  let accepted = 0
  for (let i = 0; i < 12; i++) {
    const of = (): string => signDelegation(anyone, { aud: mallory.identity.did, sub: null, cmd: '/', pol: [], exp: LATER, nonce: systemRandom(16) }).cid
    const answer = await push('revocations', ...Array.from({ length: 50 }, () => revoke(mallory.identity, of()).bytes))
    accepted += answer.t === 'ack' ? answer.accepted : 0
  }
  expect(accepted).toBeLessThanOrEqual(512)
  expect((await w.errand(alice.home, 'revoke', leaf.cid)).code).toBe(0)
  expect(await run()).toMatchObject({ t: 'refused', reason: 'REVOKED' })
})

test('oversized and misshapen asks are refused before they cost anything', async () => {
  const before = residentBytes(alice.process.pid)
  const asks = [
    { t: 'pull', set: 'members', have: new Uint8Array((1 << 18) + 1) },
    { t: 'pull', set: 'passwords', have: new Uint8Array() },
    { t: 'push', set: 'members', records: Array.from({ length: SYNC.maxRecords + 1 }, () => new Uint8Array(1)) },
    { t: 'push', set: 'members', records: [new Uint8Array(70_000)] },
    { t: 'push', set: 'members', records: 7 },
    { t: 'drop', set: 'members' },
    'hello',
    null,
  ]
  for (const one of asks) expect(await say(one), JSON.stringify(one).slice(0, 60)).toMatchObject({ t: 'refused' })
  await expect(say({ t: 'push', set: 'members', records: Array.from({ length: 40 }, () => new Uint8Array(60_000)) })).resolves.toMatchObject({ t: 'refused' })
  expect(residentBytes(alice.process.pid) - before).toBeLessThan(64 << 20)
  await healthy(alice.home)
})

test('a member sees the grants that concern it, and the heads of logs but none of their entries', async () => {
  const seen = await say({ t: 'pull', set: 'delegations', have: new Uint8Array() })
  const links = seen.t === 'records' ? seen.records.map((bytes) => decodeDelegation(bytes)) : []
  expect(links.length).toBeGreaterThan(0)
  expect(links.filter(({ aud }) => aud === carol.identity.did)).toEqual([])
  const pull = async (log: string, message: Record<string, unknown> = {}): Promise<AuditAnswer> => {
    const link = await mallorys.messages(session.connection, AUDIT.ids[0], AUDIT.maxFrameBytes)
    await link.send({ t: 'pull', log, from: 0, max: 10, ...message })
    return await link.receive(AuditAnswer)
  }
  expect(await pull(alice.did)).toMatchObject({ t: 'none' })
  expect(await pull(bob.did)).toMatchObject({ t: 'none' })
  expect(await pull(alice.did, { t: 'heads' })).toMatchObject({ t: 'heads' })
  await expect(pull(alice.did, { max: 100_000 })).rejects.toThrow()
})
