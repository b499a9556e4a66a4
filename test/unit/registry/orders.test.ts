/** What owners decide: only owners, the latest counts, and all devices end with the same, in whatever order they hear of it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ORDER } from '../../../protocols/member/orders.ts'
import { DOMAIN } from '../../../protocols/wire.ts'
import { seal } from '../../../src/identity/envelope.ts'
import { Orders } from '../../../src/registry/orders.ts'
import { Owners } from '../../../src/registry/owners.ts'
import { alice, bob, MeshWorld, mallory, owner } from '../runtime/mesh-world.ts'

const world = new MeshWorld()
const ordersOf = (): Orders => new Orders(new Owners(world.mesh))
const label = (value: string, at: number, by = owner): Uint8Array =>
  world.sign(by, DOMAIN.order, { v: 1, kind: 'label', subject: bob.did, at, body: { labels: { gpu: value } } })

test('an owner’s order counts, and the later one of two', () => {
  const orders = ordersOf()
  expect(orders.get('label', bob.did)).toBeUndefined()
  expect(orders.admit(label('h100', 5))).toBe('new')
  expect(orders.admit(label('h200', 6))).toBe('new')
  expect(orders.admit(label('none', 4))).toBe('known')
  expect(orders.get('label', bob.did)).toEqual({ labels: { gpu: 'h200' } })
  expect(orders.get('label', alice.did)).toBeUndefined()
})

test.each<[string, Uint8Array]>([
  ['signed by a device', label('h200', 5, bob)],
  ['signed by a stranger', label('h200', 5, mallory)],
  ['of another mesh', seal(owner, DOMAIN.order, new Uint8Array(32), { v: 1, kind: 'label', subject: bob.did, at: 5, body: { labels: {} } })],
  ['of another domain', world.sign(owner, DOMAIN.announce, { v: 1, kind: 'label', subject: bob.did, at: 5, body: { labels: {} } })],
  ['with a body that is not of its kind', world.sign(owner, DOMAIN.order, { v: 1, kind: 'label', subject: bob.did, at: 5, body: { labels: { gpu: 8 } } })],
  ['with more in its body than its kind has', world.sign(owner, DOMAIN.order, { v: 1, kind: 'label', subject: bob.did, at: 5, body: { labels: {}, more: 1 } })],
  ['on a subject that is none', world.sign(owner, DOMAIN.order, { v: 1, kind: 'label', subject: 'bob', at: 5, body: { labels: {} } })],
  ['of a later version', world.sign(owner, DOMAIN.order, { v: 2, kind: 'label', subject: bob.did, at: 5, body: { labels: {} } })],
  ['that is too large', world.sign(owner, DOMAIN.order, { v: 1, kind: 'later', subject: '', at: 5, body: { more: 'x'.repeat(ORDER.maxBodyBytes) } })],
  ['of a kind that is none', world.sign(owner, DOMAIN.order, { v: 1, kind: '__proto__', subject: '', at: 5, body: {} })],
])('an order %s does not count', (_name, bytes) => {
  expect(ordersOf().admit(bytes)).toBe('refused')
})

test('an order of a kind that a later version has is kept and handed on', () => {
  const orders = ordersOf()
  const bytes = world.sign(owner, DOMAIN.order, { v: 1, kind: 'constructor', subject: '', at: 5, body: { more: 1 } })
  expect(orders.admit(bytes)).toBe('new')
  expect([...orders.set().records()].map(([, held]) => held)).toEqual([bytes])
})

test('whatever the order in which orders are heard, all devices end with the same', async () => {
  const texts = fc.array(fc.record({ value: fc.string({ maxLength: 3 }), at: fc.nat(3), whom: fc.constantFrom(alice, bob) }), { maxLength: 12 })
  await fc.assert(
    fc.property(texts, fc.infiniteStream(fc.nat()), (said, order) => {
      const signed = said.map(({ value, at, whom }) =>
        world.sign(owner, DOMAIN.order, { v: 1, kind: 'label', subject: whom.did, at, body: { labels: { gpu: value } } }),
      )
      const mixed = signed.map((bytes) => ({ bytes, place: order.next().value })).sort((a, b) => a.place - b.place)
      const [one, other] = [ordersOf(), ordersOf()]
      for (const bytes of signed) one.admit(bytes)
      for (const { bytes } of mixed) other.admit(bytes)
      expect(other.set().digest()).toEqual(one.set().digest())
    }),
    { numRuns: 100 },
  )
})

test('an order that is signed here follows what is known, also on a device whose clock is behind', () => {
  const orders = ordersOf()
  orders.admit(label('h100', 1_000))
  const next = orders.sign(owner, { kind: 'label', subject: bob.did, body: { labels: {} } }, 10)
  expect(orders.admit(next)).toBe('new')
  expect(orders.get('label', bob.did)).toEqual({ labels: {} })
})
