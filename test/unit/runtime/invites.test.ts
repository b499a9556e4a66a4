import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { base58btc } from 'multiformats/bases/base58'
import { beforeEach, expect, test } from 'vitest'
import type { Ask, Offer, Welcome } from '../../../protocols/join/messages.ts'
import type { InviteRequest } from '../../../protocols/local/messages.ts'
import { Membership } from '../../../protocols/member/messages.ts'
import { DOMAIN } from '../../../protocols/wire.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import { decodeDelegation, signDelegation } from '../../../src/authority/token.ts'
import { open, seal } from '../../../src/identity/envelope.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { foundMesh } from '../../../src/node/found.ts'
import { offerView, readCode, writeCode } from '../../../src/runtime/invite-code.ts'
import type { InviteHold } from '../../../src/runtime/invite-hold.ts'
import type { Invites } from '../../../src/runtime/invites.ts'
import { checkWelcome, makeAsk, readGenesis } from '../../../src/runtime/joining.ts'
import { deviceName } from '../../../src/runtime/offers.ts'
import { CHALLENGE, invitesOn } from './invite-world.ts'
import { alice, bob, carol, MemoryShelf, MeshWorld, mallory, owner, type Rooms } from './mesh-world.ts'

let world: MeshWorld
let rooms: Rooms
let shelf: MemoryShelf
let facts: Fact[]
let invites: Invites
let hold: InviteHold

function invitesOf(device: Identity, holder?: Identity, defaultRoles: readonly string[] = []): Invites {
  const made = invitesOn({ world, rooms, shelf, facts, device, holder, defaultRoles })
  hold = made.hold
  return made.invites
}

beforeEach(async () => {
  world = new MeshWorld()
  rooms = world.device()
  shelf = new MemoryShelf()
  facts = []
  await rooms.records.admit('members', world.founder)
  invites = invitesOf(alice, owner)
})

const codeOf = async (request: InviteRequest = {}): Promise<string> => (await invites.create(request)).code
const askOf = (code: string, by: Identity, challenge = CHALLENGE): Ask =>
  makeAsk(readCode(code), { device: by, clock: world.clock, random: world.random, version: '0.1.0', name: 'new-device', challenge })
const admit = (ask: Ask, by: Identity): Promise<Welcome> => invites.admit(ask, { did: by.did, challenge: CHALLENGE, address: '/ip4/127.0.0.1/tcp/9' })
const refusal = (code: string): object => expect.objectContaining({ code })

test('a code brings a device into the mesh: named, known to the inviter, its root given to the owner', async () => {
  const code = await codeOf({ name: 'gpu1' })
  const welcome = await admit(askOf(code, bob), bob)
  expect(checkWelcome(welcome, readCode(code), bob.did)).toMatchObject({ membership: { name: 'gpu1', own: true, device: bob.did } })
  expect(rooms.directory.resolve('gpu1')).toBe(bob.did)
  expect(rooms.wallet.find({ issuer: owner.did, subject: bob.did, command: '/exec/run', now: world.now }).ok).toBe(true)
  expect(facts.map((fact) => fact.action)).toEqual(['device.invite', 'device.join'])
})

test('a code works once, also for the same device, also at the same moment', async () => {
  const code = await codeOf()
  const both = await Promise.allSettled([admit(askOf(code, bob), bob), admit(askOf(code, carol), carol)])
  expect(both.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected'])
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('INVITE_USED'))
  expect(rooms.directory.members()).toHaveLength(2)
})

test('a code that was used is still used after a restart of the inviter', async () => {
  const code = await codeOf()
  await admit(askOf(code, bob), bob)
  invites = invitesOf(alice, owner)
  await expect(admit(askOf(code, carol), carol)).rejects.toThrowError(refusal('INVITE_USED'))
})

test('a code expires', async () => {
  const code = await codeOf({ expiresMs: 60_000 })
  world.clock.advance(61_000)
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('INVITE_EXPIRED'))
})

test.each([
  ['that was made for another connection', (code: string) => askOf(code, bob, new Uint8Array(16)), 'JOIN_DENIED'],
  ['by another device than the connection’s', (code: string) => askOf(code, carol), 'JOIN_DENIED'],
  ['without the invite key’s word', (code: string) => ({ ...askOf(code, bob), proofs: [] }), 'INVITE_UNKNOWN'],
  ['that gives nothing', (code: string) => ({ ...askOf(code, bob), gives: [] }), 'JOIN_DENIED'],
  ['that gives more than was asked', (code: string) => ({ ...askOf(code, bob), gives: [...askOf(code, bob).gives, ...askOf(code, bob).gives] }), 'JOIN_DENIED'],
  ['that gives what is another’s', (code: string) => ({ ...askOf(code, bob), gives: askOf(code, carol).gives }), 'JOIN_DENIED'],
])('an ask %s is refused, logged, and leaves the code unused', async (_name, forged, reason) => {
  const code = await codeOf()
  await expect(admit(forged(code), bob)).rejects.toThrowError(refusal(reason))
  expect(facts.at(-1)).toMatchObject({ action: 'device.join-denied', result: 'denied' })
  expect(rooms.directory.isMember(bob.did)).toBe(false)
  await admit(askOf(code, bob), bob)
})

test('a joiner gives exactly the rights that were asked, and gets exactly those that were offered', async () => {
  const code = await codeOf({ ask: ['exec: git'], give: ['device: info'], forMs: 3_600_000 })
  const ask = askOf(code, bob)
  expect(ask.gives.map((bytes) => decodeDelegation(bytes))).toMatchObject([
    { iss: bob.did, aud: owner.did, sub: bob.did, cmd: '/exec/run', exp: world.now + 3_600 },
  ])
  const welcome = await admit(ask, bob)
  const got = welcome.delegations.map((bytes) => decodeDelegation(bytes)).filter(({ aud }) => aud === bob.did)
  expect(got).toMatchObject([{ iss: owner.did, sub: null, cmd: '/device/info', exp: world.now + 3_600 }])
  expect(rooms.directory.member(bob.did)?.own).toBe(false)
})

test('the roles of the configuration go with a code that names neither a role nor rights', async () => {
  invites = invitesOf(alice, owner, ['admin'])
  expect(readCode(await codeOf()).offer).toMatchObject({ admin: true, gives: [{ cmd: '/' }] })
  expect(readCode(await codeOf({ give: ['device: info'] })).offer).toMatchObject({ admin: false, gives: [{ cmd: '/device/info' }] })
  invites = invitesOf(alice, owner)
  expect(readCode(await codeOf()).offer).toMatchObject({ admin: false, gives: [] })
})

test('an admin may invite; any other member may not', async () => {
  await admit(askOf(await codeOf({ role: 'admin' }), bob), bob)
  await admit(askOf(await codeOf(), carol), carol)
  await expect(invitesOf(carol).create({})).rejects.toThrowError(refusal('NOT_AN_OWNER'))
  invites = invitesOf(bob)
  await admit(askOf(await codeOf(), mallory), mallory)
  expect(rooms.directory.isMember(mallory.did)).toBe(true)
})

test.each([
  [{ role: 'emperor' }, 'BAD_ROLE'],
  [{ name: 'Büro' }, 'BAD_NAME'],
  [{ mine: true, ask: ['exec: git'] }, 'BAD_INVITE'],
  [{ ask: ['fly'] }, 'BAD_RIGHT'],
])('no invite for %j', async (request, code) => {
  await expect(invites.create(request)).rejects.toThrowError(refusal(code))
  expect(shelf.kept.size).toBe(0)
})

test('strangers who knock with all kinds of keys cannot fill the log', async () => {
  for (let i = 0; i < 100; i++) await expect(admit({ ...askOf(await codeOf(), bob), proofs: [] }, bob)).rejects.toThrow()
  expect(facts.filter((fact) => fact.action === 'device.join-denied')).toHaveLength(20)
})

test('any single changed character makes a code no code', async () => {
  const code = await codeOf({ name: 'gpu1', ask: ['exec: git, npm test'] })
  const other = fc.constantFrom(...'123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0OIl -_')
  await fc.assert(
    fc.property(fc.nat(code.length - 1), other, (at, char) => {
      fc.pre(code[at] !== char)
      expect(() => readCode(code.slice(0, at) + char + code.slice(at + 1))).toThrowError(refusal('BAD_INVITE'))
    }),
    { numRuns: 300 },
  )
})

test.each([
  ['what does not begin like one', 'an invite from alice', 'it does not begin with errand1'],
  ['what is longer than any', `errand1z${'1'.repeat(6_144)}`, 'it is too long'],
  ['a checksum of nothing', `errand1${base58btc.encode(createHash('sha256').update('').digest().subarray(0, 4))}`, 'was changed or is not one'],
  ['less than a checksum', 'errand1z2', 'missing or mistyped'],
])('%s is no code, and is told so', (_name, code, why) => {
  expect(() => readCode(code)).toThrowError(expect.objectContaining({ code: 'BAD_INVITE', message: expect.stringContaining(why) }))
})

test('a code may be wrapped and indented on its way', async () => {
  const code = await codeOf()
  expect(readCode(`  ${code.replace(/(.{60})/g, '$1\n   ')}\n`).inviter).toBe(alice.did)
})

test('who rewrites the offer, checksum and all, is found out: it is signed', async () => {
  const { meshId, inviteKey, offer } = readCode(await codeOf({ ask: ['exec: git'] }))
  const greedy: Offer = { ...offer, mine: true, asks: [] }
  const forged = writeCode(meshId, inviteKey.seed, seal(mallory, DOMAIN.offer, meshId, greedy))
  // It reads as an offer by mallory, whose PeerId is then what Noise has to prove; it never reads as one by alice.
  expect(readCode(forged).inviter).toBe(mallory.did)
  expect(() => readCode(writeCode(new Uint8Array(32), inviteKey.seed, seal(alice, DOMAIN.offer, meshId, offer)))).toThrowError(refusal('BAD_INVITE'))
})

test('what is agreed to is shown in words, in three parts', async () => {
  const code = readCode(await codeOf({ name: 'gpu1', ask: ['exec: git, npm test'], role: 'admin', forMs: 8 * 3_600_000 }))
  expect(offerView(code, { name: 'x', did: bob.did })).toMatchObject({
    mesh: { name: 'home' },
    inviter: { name: 'alice', did: alice.did, words: expect.stringMatching(/^[a-z]+-[a-z]+-[a-z]+$/) },
    membership: 'member',
    give: [{ words: 'exec: git …, npm test … on gpu1' }],
    get: [{ can: 'role admin' }],
  })
})

test('a welcome into another mesh, for another device or of another kind is not believed', async () => {
  const code = await codeOf()
  const welcome = await admit(askOf(code, bob), bob)
  const read = readCode(code)
  const stolen = { ...welcome, membership: world.member(carol, 'carol', { own: true }) }
  const unsigned = { ...welcome, membership: world.member(bob, 'bob', { own: true, by: mallory }) }
  const lesser = { ...welcome, membership: world.member(bob, 'bob', { own: false }) }
  for (const wrong of [stolen, lesser, unsigned]) expect(() => checkWelcome(wrong, read, bob.did)).toThrowError(refusal('BAD_WELCOME'))
  const elsewhere = { ...welcome, genesis: seal(mallory, DOMAIN.genesis, new Uint8Array(32), { ...world.mesh.genesis, owners: [mallory.did] }) }
  const greedy = { ...read, offer: { ...read.offer, owner: mallory.did } }
  expect(() => checkWelcome(welcome, greedy, bob.did)).toThrowError(refusal('BAD_WELCOME'))
  const { mesh } = foundMesh({ ...{ device: alice, owner, name: 'work', deviceName: 'alice' }, clock: world.clock, random: world.random })
  const { value } = open(Membership, DOMAIN.membership, world.mesh.id, welcome.membership)
  const otherOfOwner = { ...welcome, genesis: mesh.bytes, membership: seal(owner, DOMAIN.membership, mesh.id, value) }
  expect(() => checkWelcome(otherOfOwner, read, bob.did)).toThrowError(refusal('BAD_WELCOME'))
  expect(() => checkWelcome(elsewhere, read, bob.did)).toThrowError(refusal('BAD_WELCOME'))
})

test('a welcome as a guest is not believed by who was invited as a member', async () => {
  const code = readCode(await codeOf({ ask: ['exec: git'] }))
  const welcome = await admit(
    makeAsk(code, { device: bob, clock: world.clock, random: world.random, version: '0.1.0', name: 'bob', challenge: CHALLENGE }),
    bob,
  )
  expect(checkWelcome(welcome, code, bob.did).membership).toMatchObject({ kind: 'member', own: false })
  expect(() => checkWelcome({ ...welcome, membership: world.guest(bob, 'bob') }, code, bob.did)).toThrowError(refusal('BAD_WELCOME'))
})

test('a genesis that none of its owners signed begins no mesh', () => {
  const forged = seal(mallory, DOMAIN.genesis, new Uint8Array(32), world.mesh.genesis)
  expect(() => readGenesis(forged)).toThrowError(refusal('BAD_GENESIS'))
  expect(() => readGenesis(signDelegation(owner, { aud: bob.did, sub: null, cmd: '/', pol: [], exp: 1, nonce: new Uint8Array(12) }).bytes)).toThrowError(
    refusal('BAD_GENESIS'),
  )
})

test('any text becomes a device name', async () => {
  await fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(deviceName(text)).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
    }),
  )
  expect(deviceName('Ana’s MacBook Pro')).toBe('ana-s-macbook-pro')
  expect(deviceName('…')).toBe('device')
})

test('with --approve a device waits until somebody here has said yes, and another one does not slip in meanwhile', async () => {
  const { id, code } = await invites.create({ approve: true })
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('JOIN_HELD'))
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('JOIN_HELD'))
  await expect(admit(askOf(code, carol), carol)).rejects.toThrowError(refusal('INVITE_USED'))
  expect(rooms.directory.isMember(bob.did)).toBe(false)
  const { signal } = new AbortController()
  const { check } = offerView(readCode(code), { name: 'x', did: bob.did })
  expect(await hold.watch(id, { signal })).toMatchObject({ state: 'asking', device: { did: bob.did }, check })
  await hold.answer(id, { allow: true })
  await admit(askOf(code, bob), bob)
  expect(await hold.watch(id, { signal })).toMatchObject({ state: 'joined' })
  expect(facts.map((fact) => fact.action)).toEqual(
    expect.arrayContaining(['device.invite', 'device.join-asked', 'device.join-denied', 'device.join-allowed', 'device.join']),
  )
  expect(facts.filter((fact) => fact.action === 'device.join-asked')).toHaveLength(1)
})

test('a no ends the invite, also after a restart', async () => {
  const { id, code } = await invites.create({ approve: true })
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('JOIN_HELD'))
  await hold.answer(id, { allow: false })
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('JOIN_DENIED'))
  await expect(hold.answer(id, { allow: true })).rejects.toThrowError(refusal('NOBODY_WAITS'))
  invites = invitesOf(alice, owner)
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('INVITE_USED'))
})

test('a restart forgets a yes, never that one is needed', async () => {
  const { id, code } = await invites.create({ approve: true })
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('JOIN_HELD'))
  await hold.answer(id, { allow: true })
  invites = invitesOf(alice, owner)
  await expect(admit(askOf(code, bob), bob)).rejects.toThrowError(refusal('JOIN_HELD'))
})

test('whoever watches an invite hears of its end, and does not wait longer than it lives', async () => {
  const { id } = await invites.create({ expiresMs: 5_000 })
  const { signal } = new AbortController()
  const { seq } = await hold.watch(id, { signal })
  const next = hold.watch(id, { after: seq, signal })
  world.clock.advance(5_001)
  expect(await next).toMatchObject({ state: 'expired' })
  await expect(hold.watch('did:key:nobody', { signal })).rejects.toThrowError(refusal('NO_SUCH_INVITE'))
})

test('a removed device comes back with an owner’s new code only: not with one that it kept, not with an admin’s, whatever the inviter’s clock says', async () => {
  const kept = await codeOf({ mine: false })
  await rooms.records.admit('members', world.member(bob, 'bob'))
  const removedAt = world.clock.now() + 3_600_000 // the owner who removed it has a clock that is an hour ahead
  await rooms.records.admit('orders', world.order('remove', bob.did, { at: removedAt }))
  expect(rooms.directory.isMember(bob.did)).toBe(false)
  await expect(admit(askOf(kept, bob), bob)).rejects.toThrowError(refusal('REMOVED'))
  world.clock.advance(3_700_000)
  const leave = signDelegation(owner, { aud: carol.did, sub: owner.did, cmd: '/mesh/join', pol: [], exp: null, nonce: world.random(16) })
  await rooms.records.admit('members', world.member(carol, 'carol'))
  await rooms.records.admit('delegations', leave.bytes)
  const admins = invitesOf(carol)
  const { code } = await admins.create({ mine: false })
  await expect(admins.admit(askOf(code, bob), { did: bob.did, challenge: CHALLENGE, address: '' })).rejects.toThrowError(refusal('REMOVED'))
  await admit(askOf(await codeOf({ mine: false }), bob), bob)
  expect(rooms.directory.isMember(bob.did)).toBe(true)
})
