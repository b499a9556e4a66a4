/** What an invite carries. */
import { expect, test } from 'vitest'
import { parseRight } from '../../../src/authority/rights.ts'
import { makeOffer } from '../../../src/runtime/offers.ts'
import { alice, bob, owner } from './mesh-world.ts'

test('an invite carries sixteen rights of a role; with a longer one none is made, and its hint says how the role is given all the same', () => {
  const offer = (count: number): unknown => {
    const rights = Array.from({ length: count }, (_, i) => parseRight(`exec: tool${i}`))
    return makeOffer(
      { role: 'builder' },
      {
        ...{ invite: bob.did, owner: owner.did, meshName: 'home', inviterName: 'alice', addrs: ['/ip4/127.0.0.1/tcp/1'], nowMs: 0, defaultRoles: [] },
        roles: { named: (role) => role, bundle: () => ({ rights, invites: false, maxMs: null }), lifeOf: () => 60_000 },
        guestOn: () => [{ device: alice.did, name: 'alice' }],
      },
    )
  }
  expect(offer(16)).toMatchObject({ role: 'builder', gives: { length: 16 } })
  expect(() => offer(17)).toThrowError(
    expect.objectContaining({
      code: 'BAD_INVITE',
      message: expect.stringContaining('17 rights, and an invite carries 16'),
      hint: expect.stringContaining('errand role assign builder'),
    }),
  )
})
