/** Who has a code, and more: rights of its own on the inviting device, a place as a guest. None of it makes the code do what it does not. */
import { beforeEach, expect, test } from 'vitest'
import type { Ask, Welcome } from '../../../protocols/join/messages.ts'
import type { Fact } from '../../../src/audit/facts.ts'
import { type AnyRecord, signDelegation, signInvocation } from '../../../src/authority/token.ts'
import { readCode } from '../../../src/runtime/invite-code.ts'
import type { Invites } from '../../../src/runtime/invites.ts'
import { makeAsk } from '../../../src/runtime/joining.ts'
import { CHALLENGE, invitesOn } from './invite-world.ts'
import { alice, bob, carol, MemoryShelf, MeshWorld, mallory, owner, type Rooms } from './mesh-world.ts'

let world: MeshWorld
let rooms: Rooms
let facts: Fact[]
let invites: Invites

beforeEach(async () => {
  world = new MeshWorld()
  rooms = world.device()
  facts = []
  await rooms.records.admit('members', world.founder)
  invites = invitesOn({ world, rooms, shelf: new MemoryShelf(), facts, device: alice, holder: owner }).invites
})

/** Bob's ask with a code, on a right that alice gave the code's key besides: for everything, and for a day. */
function askOnMore(code: string, { cmd = '/mesh/join', args }: { cmd?: string; args: AnyRecord }): Ask {
  const read = readCode(code)
  const { random, now } = world
  const whole = { sub: alice.did, cmd: '/', pol: [], exp: now + 86_400 }
  const given = signDelegation(alice, { ...whole, aud: read.inviteKey.did, nonce: random(16) })
  const handed = signDelegation(read.inviteKey, { ...whole, aud: bob.did, nonce: random(16) })
  const { bytes } = signInvocation(bob, {
    ...{ sub: alice.did, aud: alice.did, cmd, args, prf: [given.cid, handed.cid] },
    ...{ nonce: Buffer.concat([CHALLENGE, random(16)]), exp: now + 60, iat: now },
  })
  const asked = makeAsk(read, { device: bob, clock: world.clock, random, version: '0.1.0', name: 'bob', challenge: CHALLENGE })
  return { ...asked, invocation: bytes, proofs: [handed.bytes, given.bytes] }
}

const admit = (ask: Ask): Promise<Welcome> => invites.admit(ask, { did: bob.did, challenge: CHALLENGE, address: '/ip4/127.0.0.1/tcp/9' })
const asBob = { device: bob.did, name: 'bob' }

test('a right that outlives the code does not make the code live longer', async () => {
  const { code } = await invites.create({ expiresMs: 60_000 })
  world.clock.advance(61_000)
  await expect(admit(askOnMore(code, { args: asBob }))).rejects.toMatchObject({ code: 'INVITE_EXPIRED' })
  expect(rooms.directory.isMember(bob.did)).toBe(false)
})

test.each([
  ['to something else', { cmd: '/device/info', args: {} }, '/device/info is no ask to join'],
  ['that another device may join', { args: { device: carol.did, name: 'carol' } }, 'the device that asks is not the one that is to join'],
])('an invocation %s lets nobody in, and the code stays unused', async (_name, asked, message) => {
  const { code } = await invites.create({})
  await expect(admit(askOnMore(code, asked))).rejects.toMatchObject({ code: 'JOIN_DENIED', message })
  expect(facts.at(-1)).toMatchObject({ action: 'device.join-denied', actor: bob.did })
  expect([bob, carol].map(({ did }) => rooms.directory.isMember(did))).toEqual([false, false])
  await admit(askOnMore(code, { args: asBob }))
})

test('a guest invites nobody, also with an owner’s leave to', async () => {
  await rooms.records.admit('members', world.guest(mallory, 'visitor'))
  const leave = signDelegation(owner, { aud: mallory.did, sub: owner.did, cmd: '/mesh/join', pol: [], exp: null, nonce: world.random(16) })
  await rooms.records.admit('delegations', leave.bytes)
  const guests = invitesOn({ world, rooms, shelf: new MemoryShelf(), facts, device: mallory }).invites
  await expect(guests.create({})).rejects.toMatchObject({ code: 'GUEST' })
})

test('a guest is given nothing on another guest, for guests do not meet', async () => {
  await rooms.records.admit('members', world.guest(mallory, 'visitor'))
  const asked = { guest: true, give: ['exec: make'], forMs: 600_000 }
  await expect(invites.create({ ...asked, on: ['visitor'] })).rejects.toMatchObject({ code: 'GUEST', message: expect.stringContaining('"visitor" is a guest') })
  await rooms.records.admit('delegations', world.root(alice).bytes)
  expect(await invites.create({ ...asked, on: ['alice'] })).toMatchObject({ membership: 'guest' })
})
