import { expect, test } from 'vitest'
import { LAST_LINK } from '../../../src/authority/chain.ts'
import { Revocations, revoke } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import type { Delegation } from '../../../src/authority/token.ts'
import { Wallet, type Wanted } from '../../../src/authority/wallet.ts'
import { workedMs } from '../../support/worked.ts'
import { codeOf, device, EXEC_ARGS, grant, HOUR, invoke, laptop, mallory, NOW, owner, person, verify } from './world.ts'

function walletOf(...links: readonly Delegation[]): Wallet {
  const wallet = new Wallet()
  for (const { bytes } of links) wallet.add(bytes)
  return wallet
}
const WANTED: Wanted = { issuer: laptop.did, subject: device.did, command: '/exec/run', now: NOW }
const root = grant(device, owner, { cmd: '/', exp: null })

test('the chain that is found is the chain that is admitted', () => {
  const leaf = grant(owner, laptop, parseRight('exec: npm'))
  const found = walletOf(leaf, root, grant(owner, mallory)).find({ ...WANTED, args: EXEC_ARGS })
  expect(found).toEqual({ ok: true, chain: [root, leaf], expiresAt: NOW + HOUR })
  if (found.ok) expect(codeOf(verify(invoke(laptop, found.chain), found.chain))).toBe('admitted')
})

test('a chain whose policies allow the arguments wins over one that lives longer, then the longest life wins', () => {
  const long = grant(owner, laptop, { ...parseRight('exec: git'), exp: NOW + 9 * HOUR })
  const short = grant(owner, laptop, { ...parseRight('exec: npm test'), exp: NOW + HOUR })
  const longer = grant(owner, laptop, { ...parseRight('exec: npm'), exp: NOW + 2 * HOUR })
  const wallet = walletOf(root, long, short, longer)
  expect(wallet.find({ ...WANTED, args: EXEC_ARGS })).toMatchObject({ chain: [root, longer] })
  expect(wallet.find(WANTED)).toMatchObject({ chain: [root, long] })
  expect(wallet.find({ ...WANTED, args: { ...EXEC_ARGS, exe: 'git' } })).toMatchObject({ chain: [root, long] })
})

test('when nothing fits, the nearest chain and the reason are given', () => {
  const leaf = grant(owner, laptop, parseRight('exec: git'))
  expect(walletOf(root, leaf).find({ ...WANTED, args: EXEC_ARGS })).toEqual({ ok: false, nearest: [root, leaf], why: 'exe "npm" is not in {git}' })
  const dead = grant(owner, laptop, { exp: NOW - 5 })
  expect(walletOf(root, dead).find(WANTED)).toEqual({ ok: false, nearest: [root, dead], why: 'a grant expired 5 s ago' })
  expect(new Wallet().find(WANTED)).toEqual({ ok: false, why: `no grant from ${device.did} reaches ${laptop.did} for /exec/run` })
  expect(walletOf(root, grant(owner, laptop, { cmd: '/audit' })).find(WANTED)).toMatchObject({ ok: false, why: expect.stringMatching(/^no grant/) })
})

test('a revoked chain is passed over, and said when it is the only one', () => {
  const leaf = grant(owner, laptop, { exp: NOW + 2 * HOUR })
  const other = grant(owner, laptop)
  const revocations = new Revocations()
  revocations.add(revoke(owner, leaf.cid).bytes)
  expect(walletOf(root, leaf, other).find({ ...WANTED, revocations })).toMatchObject({ chain: [root, other] })
  expect(walletOf(root, leaf).find({ ...WANTED, revocations })).toMatchObject({ ok: false, why: `the grant was revoked by ${owner.did}` })
})

test('a powerline is followed, but never as the root', () => {
  const line = grant(owner, laptop, { sub: null })
  expect(walletOf(root, line).find(WANTED)).toMatchObject({ chain: [root, line] })
  expect(walletOf(grant(device, laptop, { sub: null })).find(WANTED)).toEqual({ ok: false, why: expect.stringMatching(/^no grant/) })
})

test('a grant about another subject is not even near', () => {
  expect(walletOf(root, grant(owner, laptop, { sub: owner.did })).find(WANTED)).toEqual({ ok: false, why: expect.stringMatching(/^no grant/) })
})

test('a device needs no chain to itself', () => expect(new Wallet().find({ ...WANTED, issuer: device.did })).toMatchObject({ ok: true, chain: [] }))

test('a wallet fed with thousands of misleading grants still answers at once', () => {
  const crowd = Array.from({ length: 24 }, (_, i) => person(`crowd ${i}`))
  const wallet = walletOf(...crowd.flatMap((from) => crowd.filter((to) => to !== from).map((to) => grant(from, to, { sub: null, exp: NOW + 9 * HOUR }))))
  for (const from of crowd) wallet.add(grant(from, laptop, { sub: null }).bytes)
  expect(workedMs(() => expect(wallet.find(WANTED).ok).toBe(false))).toBeLessThan(150)
  wallet.add(root.bytes)
  const leaf = grant(owner, laptop)
  wallet.add(leaf.bytes)
  expect(workedMs(() => expect(wallet.find(WANTED)).toMatchObject({ chain: [root, leaf] }))).toBeLessThan(150)
}, 30_000)

test('what is forgotten is no longer found', () => {
  const leaf = grant(owner, laptop)
  const wallet = walletOf(root, leaf)
  expect([wallet.remove(leaf.cid), wallet.remove(leaf.cid)]).toEqual([true, false])
  expect(wallet.find(WANTED).ok).toBe(false)
  expect([wallet.list(), wallet.get(leaf.cid), wallet.get(root.cid)]).toEqual([[root], undefined, root])
})

test('signing is refused where the result could never be used', () => {
  const held = grant(owner, laptop, { cmd: '/exec', exp: NOW + HOUR })
  const wallet = walletOf(root, held)
  const can = (over: Partial<Wanted>, exp: number | null): unknown => wallet.canDelegate({ ...WANTED, ...over }, exp)
  expect(can({}, NOW + HOUR)).toEqual({ ok: true, chain: [root, held] })
  expect(can({ command: '/audit/read' }, NOW + 1)).toMatchObject({ ok: false, code: 'NO_GRANT' })
  expect(can({ command: '/' }, NOW + 1)).toMatchObject({ ok: false, code: 'NO_GRANT' })
  expect(can({ command: '/audit/purge' }, NOW + 1)).toMatchObject({ ok: false, code: 'NOT_DELEGABLE' })
  expect(can({ issuer: mallory.did }, NOW + 1)).toMatchObject({ ok: false, code: 'NO_GRANT' })
  expect(can({}, null)).toMatchObject({ ok: false, code: 'NO_EXPIRY' })
  expect(can({}, NOW + 3 * HOUR)).toEqual({ ok: false, code: 'OUTLIVES', why: 'it would outlive what it rests on by 2h; at most 1h are left' })
  expect(can({ issuer: device.did }, null)).toEqual({ ok: true, chain: [] })
})

test('what would say more than it gives is refused with the bound that it exceeds; what says as much or less is not', () => {
  const wallet = walletOf(grant(device, laptop, { pol: [['==', '.exe', 'npm']] }))
  expect(wallet.canDelegate({ ...WANTED, policy: [] }, NOW + 60)).toMatchObject({ ok: false, code: 'WIDENS' })
  expect(wallet.canDelegate({ ...WANTED, policy: [['==', '.exe', 'make']] }, NOW + 60)).toMatchObject({ ok: false, code: 'WIDENS' })
  expect(wallet.canDelegate({ ...WANTED, policy: [['==', '.exe', 'npm']] }, NOW + 60)).toMatchObject({ ok: true })
  expect(wallet.canDelegate({ ...WANTED, command: '/task/read', policy: [] }, NOW + 60)).toMatchObject({ ok: false, code: 'NO_GRANT' })
})

test('a grant that may not be passed on carries no further one', () => {
  const wallet = walletOf(root, grant(owner, laptop, { meta: { [LAST_LINK]: true } }))
  expect(wallet.find(WANTED).ok).toBe(true)
  expect(wallet.canDelegate(WANTED, NOW + 1)).toMatchObject({ ok: false, code: 'NO_GRANT' })
})
