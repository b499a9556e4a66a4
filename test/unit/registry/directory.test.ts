import * as fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { DOMAIN } from '../../../protocols/wire.ts'
import { signDelegation } from '../../../src/authority/token.ts'
import { seal } from '../../../src/identity/envelope.ts'
import type { Directory } from '../../../src/registry/directory.ts'
import { alice, bob, carol, keyOf, MeshWorld, mallory, owner } from '../runtime/mesh-world.ts'

let world: MeshWorld
let directory: Directory
const now = (saidAt: number): number => saidAt
beforeEach(() => {
  world = new MeshWorld()
  directory = world.directory()
  directory.admitMember(world.founder)
  directory.admitMember(world.member(bob, 'bob'))
})

test('a membership counts when an owner signed it', () => {
  expect(directory.admitMember(world.member(carol, 'carol'))).toBe('new')
  expect(directory.member(carol.did)).toMatchObject({ name: 'carol', own: false })
  expect(directory.admitMember(world.member(carol, 'carol'))).toBe('known')
})

test.each([
  ['signed by the device itself', (w: MeshWorld) => w.member(mallory, 'mallory', { by: mallory })],
  ['signed by a member who may not admit', (w: MeshWorld) => w.member(mallory, 'mallory', { by: bob })],
  [
    'of another mesh',
    (w: MeshWorld) =>
      seal(owner, DOMAIN.membership, new Uint8Array(32), { v: 1, device: mallory.did, name: 'm', kind: 'member', own: false, at: w.clock.now(), proofs: [] }),
  ],
  [
    'signed for another domain',
    (w: MeshWorld) => w.sign(owner, DOMAIN.announce, { v: 1, device: mallory.did, name: 'm', kind: 'member', own: false, at: 1, proofs: [] }),
  ],
  ['with leave for another device to admit', (w: MeshWorld) => w.member(mallory, 'mallory', { by: bob, proofs: [leave(w, carol)] })],
  ['with leave that had ended by then', (w: MeshWorld) => w.member(mallory, 'mallory', { by: bob, proofs: [leave(w, bob, w.now - 1)] })],
  ['with noise for a proof', (w: MeshWorld) => w.member(mallory, 'mallory', { by: bob, proofs: [Uint8Array.of(1)] })],
])('a membership %s does not', (_name, forged) => {
  expect(directory.admitMember(forged(world))).toBe('refused')
  expect(directory.isMember(mallory.did)).toBe(false)
})

function leave(w: MeshWorld, to = bob, exp = w.now + 60): Uint8Array {
  return signDelegation(owner, { aud: to.did, sub: owner.did, cmd: '/mesh/join', pol: [], exp, nonce: w.random(16) }).bytes
}

test('a device that an owner allowed to admit admits others', () => {
  expect(directory.admitMember(world.member(carol, 'carol', { by: bob, proofs: [leave(world)] }))).toBe('new')
})

test('a device speaks for itself only: addresses and announcements by others are refused', () => {
  expect(directory.admitAddress(world.address(bob, 1, ['/ip4/6.6.6.6/tcp/1'], alice))).toBe('refused')
  expect(directory.admitAnnouncement(world.announcement(bob, 1, alice), now)).toBe('refused')
  expect(directory.admitAddress(world.address(bob, 1))).toBe('new')
  expect(directory.admitAnnouncement(world.announcement(bob, 1), now)).toBe('new')
})

test('strangers have no address and no announcement here', () => {
  expect(directory.admitAddress(world.address(mallory, 1))).toBe('refused')
  expect(directory.admitAnnouncement(world.announcement(mallory, 1), now)).toBe('refused')
})

test('an older record loses, whenever it comes', () => {
  directory.admitAddress(world.address(bob, 5, ['/ip4/10.0.0.5/tcp/1']))
  expect(directory.admitAddress(world.address(bob, 4, ['/ip4/10.0.0.4/tcp/1']))).toBe('known')
  expect(directory.addressesOf(bob.did)).toEqual(['/ip4/10.0.0.5/tcp/1'])
  directory.admitMember(world.member(bob, 'robert', { at: world.clock.now() + 1 }))
  directory.admitMember(world.member(bob, 'bobby', { at: world.clock.now() - 1 }))
  expect(directory.nameOf(bob.did)).toBe('robert')
})

test('how stale an announcement is, is told by our clock, not by the sender’s', () => {
  directory.admitAnnouncement(world.announcement(bob, Number.MAX_SAFE_INTEGER), () => 7)
  expect(directory.announcementOf(bob.did)).toMatchObject({ heardAt: 7, said: { os: 'linux' } })
})

/** Memberships, addresses and announcements of a few devices, some equally old, some forged. */
const history = fc.array(
  fc.record({
    kind: fc.constantFrom('member', 'address', 'announcement', 'forged'),
    device: fc.constantFrom(bob, carol, keyOf(6)),
    age: fc.integer({ min: 1, max: 3 }),
    variant: fc.integer({ min: 0, max: 2 }),
  }),
  { maxLength: 24 },
)
type Step = typeof history extends fc.Arbitrary<(infer S)[]> ? S : never

function recordOf(w: MeshWorld, { kind, device, age, variant }: Step): Uint8Array {
  if (kind === 'member') return w.member(device, `name-${variant}`, { at: age })
  if (kind === 'address') return w.address(device, age, [`/ip4/10.0.0.${variant}/tcp/1`])
  if (kind === 'announcement') return w.announcement(device, age * 4 + variant)
  return w.member(device, `forged-${variant}`, { at: 9, by: mallory })
}

function admitAll(into: Directory, records: readonly Uint8Array[]): void {
  // Twice, as sync does: an address that came before its membership is asked for again.
  for (const bytes of [...records, ...records]) {
    into.admitMember(bytes)
    into.admitAddress(bytes)
    into.admitAnnouncement(bytes, now)
  }
}

test('two devices that got the same records hold the same ones, whatever the order', async () => {
  await fc.assert(
    fc.property(
      history.chain((steps) => fc.tuple(fc.constant(steps), fc.shuffledSubarray(steps, { minLength: steps.length }))),
      ([steps, shuffled]) => {
        const [a, b] = [world.directory(), world.directory()]
        admitAll(
          a,
          steps.map((step) => recordOf(world, step)),
        )
        admitAll(
          b,
          shuffled.map((step) => recordOf(world, step)),
        )
        for (const set of ['members', 'addresses', 'announcements'] as const) expect(b.set(set).digest()).toEqual(a.set(set).digest())
        expect(a.members().some(({ name }) => name.startsWith('forged'))).toBe(false)
      },
    ),
    { numRuns: 40 },
  )
})

test('a device is found by name, DID and PeerId', () => {
  for (const text of ['bob', bob.did, bob.peerId]) expect(directory.resolve(text)).toBe(bob.did)
})

test('an unknown device is named, with those that are known; a stranger’s DID is unknown too', () => {
  expect(() => directory.resolve('bub')).toThrowError(expect.objectContaining({ code: 'UNKNOWN_DEVICE', hint: expect.stringContaining('alice, bob') }))
  expect(() => directory.resolve(mallory.did)).toThrowError(expect.objectContaining({ code: 'UNKNOWN_DEVICE' }))
})

test('two devices of one name are told apart by DID, never guessed', () => {
  directory.admitMember(world.member(carol, 'bob'))
  expect(() => directory.resolve('bob')).toThrowError(expect.objectContaining({ code: 'AMBIGUOUS_DEVICE', hint: expect.stringContaining(carol.did) }))
  expect(directory.resolve(carol.did)).toBe(carol.did)
})

test('a taken name gets a number, a device keeps its own, and every name given is a name', () => {
  expect(directory.freeName('bob', bob.did)).toBe('bob')
  expect(directory.freeName('bob', carol.did)).toBe('bob-2')
  const long = 'a'.repeat(63)
  directory.admitMember(world.member(bob, long, { at: world.clock.now() + 1 }))
  const free = directory.freeName(long, carol.did)
  expect(directory.admitMember(world.member(carol, free))).toBe('new')
})

test('a sentence gets names in the place of keys; strangers keep theirs', () => {
  expect(directory.named(`${bob.did} asked ${owner.did} about ${mallory.did}`)).toBe(`bob asked the owner about ${mallory.did}`)
})
