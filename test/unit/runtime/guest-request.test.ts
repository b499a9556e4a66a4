/** What a guest may be asked to be, and be given: single rights, for a while, none of them to administer. */
import { expect, test } from 'vitest'
import type { InviteRequest } from '../../../protocols/local/messages.ts'
import type { Membership } from '../../../protocols/member/messages.ts'
import { refuseForGuest, refuseGuestGrant, refuseGuestRequest } from '../../../src/runtime/guest-request.ts'
import { ADMIN } from '../../../src/runtime/trust-check.ts'
import { alice, bob } from './mesh-world.ts'

const VISIT = { guest: true, give: ['exec: npm test'] }
const UNTIL = 1_700_000_600_000
const visitor: Membership = { v: 1, device: bob.did, name: 'visitor', kind: 'guest', own: false, at: 1, proofs: [], until: UNTIL, host: alice.did }

test('a guest is invited with the rights that it is given or gives, on the devices that are named', () => {
  for (const request of [VISIT, { ...VISIT, on: ['alice'] }, { guest: true, ask: ['exec: make'] }, {}, { mine: true }, { role: 'admin' }])
    expect(() => refuseGuestRequest(request)).not.toThrow()
})

test.each<[string, InviteRequest, string]>([
  ['a member on single devices', { give: ['exec: make'], on: ['alice'] }, '--on is for guests'],
  ['a guest that is one’s own device', { ...VISIT, mine: true }, 'nobody’s own device'],
  ['a guest with a role', { ...VISIT, role: 'admin' }, 'a guest has no role'],
  ['a guest without a right', { guest: true }, 'a guest without a right'],
  ['a guest with empty lists of rights', { guest: true, ask: [], give: [] }, 'a guest without a right'],
])('no invite for %s', (_name, request, why) => {
  expect(() => refuseGuestRequest(request)).toThrowError(expect.objectContaining({ code: 'BAD_INVITE', message: expect.stringContaining(why) }))
})

test('what administers is for no guest: neither when it is invited, wherever it stands among its rights, nor later', () => {
  const no = expect.objectContaining({ code: 'GUEST' })
  for (const cmd of ['/', ...ADMIN, ...ADMIN.map((path) => `${path}/more`), '/config', '/audit']) {
    expect(() => refuseForGuest(cmd), cmd).toThrowError(no)
    expect(() => refuseGuestGrant(visitor, { cmd, exp: UNTIL / 1_000 }), cmd).toThrowError(no)
  }
  for (const lists of [{ give: ['exec: make', 'everything'] }, { give: ['exec: make'], ask: ['everything'] }])
    expect(() => refuseGuestRequest({ guest: true, ...lists })).toThrowError(no)
})

test('no right of a guest lasts longer than the guest; a member’s may', () => {
  const right = { cmd: '/exec/run', exp: UNTIL / 1_000 }
  expect(() => refuseGuestGrant(visitor, right)).not.toThrow()
  expect(() => refuseGuestGrant(visitor, { ...right, exp: right.exp + 1 })).toThrowError(expect.objectContaining({ code: 'GUEST' }))
  const { until: _, ...member } = visitor
  for (const one of [undefined, member]) expect(() => refuseGuestGrant(one, { cmd: '/', exp: right.exp + 1 })).not.toThrow()
})
