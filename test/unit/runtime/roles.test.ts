/** Whose word a role's is: only the device that holds the owner's key signs for its roles, and so hears first of what they take back. */
import { expect, test } from 'vitest'
import { Orders } from '../../../src/registry/orders.ts'
import { Owners } from '../../../src/registry/owners.ts'
import { Roles, roleKey } from '../../../src/runtime/roles.ts'
import { bob, keyOf, MeshWorld, owner } from './mesh-world.ts'

const SALT = new Uint8Array(16).fill(7)
const RULES = { can: ['exec: true'], inherits: [], maxMs: null, salt: SALT }

function ordered(world: MeshWorld, did: string, removed = false): Orders {
  const orders = new Orders(new Owners(world.mesh))
  expect(orders.admit(orders.sign(owner, { kind: 'role', subject: 'tester', body: { ...RULES, did, removed } }, 5))).toBe('new')
  return orders
}

test('the owner’s device signs for its roles, and nobody else does', () => {
  const world = new MeshWorld()
  const { did } = roleKey(owner, 'tester', SALT)
  expect(new Roles({ orders: ordered(world, did), owner: () => owner }).signsAs(did)).toBe(true)
  expect(new Roles({ orders: ordered(world, did), owner: () => undefined }).signsAs(did)).toBe(false)
  expect(new Roles({ orders: ordered(world, did), owner: () => keyOf(9) }).signsAs(did)).toBe(false)
})

test('a role that names somebody else’s key, that was removed, or that there is not is not this device’s word', () => {
  const world = new MeshWorld()
  const { did } = roleKey(owner, 'tester', SALT)
  expect(new Roles({ orders: ordered(world, bob.did), owner: () => owner }).signsAs(bob.did)).toBe(false)
  expect(new Roles({ orders: ordered(world, did, true), owner: () => owner }).signsAs(did)).toBe(false)
  expect(new Roles({ orders: ordered(world, did), owner: () => owner }).signsAs(bob.did)).toBe(false)
})
