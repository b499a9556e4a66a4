/** Trust and lockdown take away and never give: whoever asks, and whoever the right passes through. */
import { expect, test } from 'vitest'
import { parseInvocation, signInvocation } from '../../../src/authority/token.ts'
import type { Identity } from '../../../src/identity/identity.ts'
import { trustOf } from '../../../src/registry/trust.ts'
import type { Asked } from '../../../src/runtime/checks.ts'
import { type LocalLockdown, Lockdown } from '../../../src/runtime/lockdown.ts'
import { TrustCheck } from '../../../src/runtime/trust-check.ts'
import { alice, bob, carol, MeshWorld, mallory, owner, type Rooms } from './mesh-world.ts'

async function mesh(): Promise<{ world: MeshWorld; rooms: Rooms }> {
  const world = new MeshWorld()
  const rooms = world.device()
  for (const one of [world.founder, world.member(bob, 'bob'), world.member(carol, 'carol', { own: true })]) await rooms.records.admit('members', one)
  return { world, rooms }
}

function asked(world: MeshWorld, by: Identity, o: { command?: string; through?: Identity } = {}): Asked {
  const { command = '/exec/run', through } = o
  const { bytes } = signInvocation(by, { sub: alice.did, cmd: command, args: {}, prf: [], nonce: world.random(32), exp: world.now + 60 })
  const chain =
    through === undefined
      ? [world.root(alice), world.grant(owner, by, alice)]
      : [world.root(alice), world.grant(owner, through, alice), world.grant(through, by, alice)]
  return { caller: by.did, command, args: {}, task: '', admission: { invocation: parseInvocation(bytes).invocation, chain, expiresAt: null } }
}

const checkOf = ({ directory, orders }: Rooms): TrustCheck =>
  new TrustCheck({ self: alice.did, trustOf: trustOf(orders, directory), isDevice: (did) => directory.isMember(did) || directory.isRemoved(did) })

test('owners’ own devices are trusted, other members verified, everybody else not; an owner’s word counts before that, and nobody else’s', async () => {
  const { world, rooms } = await mesh()
  const trust = trustOf(rooms.orders, rooms.directory)
  expect([alice, bob, carol, mallory].map(({ did }) => trust(did))).toEqual(['trusted', 'verified', 'trusted', 'untrusted'])
  expect((await rooms.records.admit('orders', world.order('trust', bob.did, { at: 1, by: bob, body: { level: 'trusted' } }))).verdict).toBe('refused')
  expect((await rooms.records.admit('orders', world.order('trust', bob.did, { at: 1, body: { level: 'root' } }))).verdict).toBe('refused')
  await rooms.records.admit('orders', world.order('trust', bob.did, { at: 1, body: { level: 'untrusted' } }))
  expect(trust(bob.did)).toBe('untrusted')
  await rooms.records.admit('orders', world.order('trust', mallory.did, { at: 1, body: { level: 'trusted' } }))
  expect(trust(mallory.did), 'trust makes nobody a member').toBe('untrusted')
})

test.each([
  ['trusted', '/mesh/join', true],
  ['trusted', '/exec/run', true],
  ['verified', '/exec/run', true],
  ['verified', '/mesh/join', false],
  ['verified', '/config/write', false],
  ['verified', '/config/read', true],
  ['untrusted', '/exec/run', false],
  ['untrusted', '/task/read', false],
  ['untrusted', '/device/info', true],
  ['untrusted', '/device/info-and-more', false],
] as const)('a %s device that asks for %s: %s', async (level, command, ok) => {
  const { world, rooms } = await mesh()
  await rooms.records.admit('orders', world.order('trust', bob.did, { at: 1, body: { level } }))
  expect(checkOf(rooms).judge(asked(world, bob, { command }))).toMatchObject(
    ok ? { ok } : { ok, code: 'TRUST', hint: expect.stringContaining('errand device trust') },
  )
})

test('a right that passed through an untrusted device carries nobody', async () => {
  const { world, rooms } = await mesh()
  const through = asked(world, carol, { through: bob })
  expect(checkOf(rooms).judge(through)).toMatchObject({ ok: true })
  await rooms.records.admit('orders', world.order('trust', bob.did, { at: 1, body: { level: 'untrusted' } }))
  expect(checkOf(rooms).judge(through)).toMatchObject({ ok: false, detail: expect.stringContaining('passes through') })
  expect(checkOf(rooms).judge(asked(world, carol))).toMatchObject({ ok: true })
})

test('in a lockdown nobody but the device itself is served, nobody joins and nothing is given; only an owner begins and ends it, or who is at the device', async () => {
  const { world, rooms } = await mesh()
  let here: ReturnType<LocalLockdown['get']>
  const local: LocalLockdown = {
    get: () => here,
    set(state) {
      here = state
      return Promise.resolve()
    },
  }
  const lockdown = new Lockdown({ self: alice.did, orders: rooms.orders, local })
  const order = async (subject: string, at: number, on: boolean, by = owner): Promise<unknown> =>
    (await rooms.records.admit('orders', world.order('lockdown', subject, { at, by, body: { on, reason: 'odd' } }))).verdict
  const verdict = (by = bob): boolean => lockdown.judge(asked(world, by)).ok
  expect(await order('', 1, true, bob)).toBe('refused')
  expect(verdict()).toBe(true)
  expect(await order('', 1, true)).toBe('new')
  expect(lockdown.judge(asked(world, bob))).toMatchObject({ ok: false, code: 'LOCKDOWN', detail: 'the mesh is in lockdown: odd' })
  expect(verdict(alice)).toBe(true)
  expect(() => lockdown.refuse()).toThrowError(expect.objectContaining({ code: 'LOCKDOWN' }))
  expect(await order('', 9, false, bob)).toBe('refused')
  expect(await order('', 1, false), 'an old one again').not.toBe('refused')
  await order('', 2, false)
  expect(() => lockdown.refuse()).not.toThrow()
  await order(bob.did, 3, true)
  expect([verdict(bob), verdict(carol)], 'nobody does anything for a device in lockdown').toEqual([false, true])
  await order(alice.did, 4, true)
  expect(verdict(carol)).toBe(false)
  await order(alice.did, 5, false)
  await local.set({ reason: '' })
  expect(lockdown.judge(asked(world, carol))).toMatchObject({ ok: false, hint: 'on that device: errand lockdown off --here' })
})
