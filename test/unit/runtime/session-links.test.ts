/** A session's keys: replaced while it is used, each good for a while only, all dead at once when it is closed; what runs on an older one goes on. */
import { expect, test } from 'vitest'
import { RUNS_UNTIL_META, SESSION_SECONDS } from '../../../protocols/authority/messages.ts'
import { expiryOf, refuseChain } from '../../../src/authority/chain.ts'
import { SIGNED_META } from '../../../src/authority/freshness.ts'
import { Revocations, revoke } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { SESSION, sessionIn, verifyPass } from '../../../src/authority/session.ts'
import { type Delegation, signDelegation } from '../../../src/authority/token.ts'
import { Wallet } from '../../../src/authority/wallet.ts'
import { SessionLinks } from '../../../src/runtime/session-links.ts'
import { countingRandom, settled } from '../base/hand-clock.ts'
import { declaredAs, device, laptop, taskId, World } from './door-world.ts'

const ID = '019aa3c1-0000-7000-8000-00000000005e'
const LINK_SECONDS = 3_600
const LIFE_SECONDS = 8 * 3_600

/** A session of the laptop for `make` on the device, and a clock for it. */
function session(root?: Delegation, begin = 1_700_000_000) {
  const random = countingRandom()
  const [wallet, revocations] = [new Wallet(), new Revocations()]
  const given = root ?? signDelegation(device, { aud: laptop.did, sub: device.did, cmd: '/exec/run', pol: [], exp: begin + 86_400, nonce: random(16) })
  wallet.add(given.bytes)
  const at = { now: begin }
  const held = [{ ...parseRight('exec: make; rate 5/m; approval 2'), subject: device.did, by: laptop, words: 'exec: make …' }]
  const links = new SessionLinks(ID, held, begin + LIFE_SECONDS, { device: laptop, wallet, revocations, random, now: () => at.now, linkSeconds: LINK_SECONDS })
  const prove = (): readonly Delegation[] => links.prove({ subject: device.did, command: '/exec/run', args: declaredAs(1) })?.chain ?? []
  return { links, prove, at, begin, revocations, random }
}

const asked = (now: number, isWork = false) => ({ subject: device.did, invoker: laptop.did, command: '/exec/run', now, isWork })
const keyOf = (chain: readonly Delegation[]): string | undefined => {
  const seen = sessionIn(chain)
  return seen.ok ? seen.session?.key : undefined
}

test('past the half of a link’s life there is another key, and the same one until then', () => {
  const { prove, at, begin } = session()
  const first = prove()
  at.now = begin + LINK_SECONDS / 2 - 1
  expect(prove().map(({ cid }) => cid)).toEqual(first.map(({ cid }) => cid))
  at.now++
  const second = prove()
  expect(keyOf(second)).not.toBe(keyOf(first))
  expect(sessionIn(second)).toMatchObject({ ok: true, session: { id: ID } })
  expect(second.at(-2)?.meta, 'with all that bounds the right').toMatchObject({ 'errand/rate': [5, 60], 'errand/approvals': 2 })
})

test('with an older key nothing can be asked for once its links have expired; what was, runs to the end of the session', () => {
  const { prove, begin } = session()
  const chain = prove()
  const ends = begin + LINK_SECONDS
  expect(refuseChain(chain, asked(ends - 1), 'profile')).toBeUndefined()
  expect(refuseChain(chain, asked(ends), 'profile')).toMatchObject({ code: 'GRANT_EXPIRED' })
  expect(refuseChain(chain, asked(ends, true), 'profile')).toBeUndefined()
  expect(expiryOf(chain)).toBe(begin + LIFE_SECONDS)
  expect(refuseChain(chain, asked(begin + LIFE_SECONDS - 1, true), 'profile')).toBeUndefined()
  expect(refuseChain(chain, asked(begin + LIFE_SECONDS, true), 'profile')).toMatchObject({ code: 'GRANT_EXPIRED' })
  expect(refuseChain(chain, asked(ends, true), 'spec'), 'the bare specification knows no such thing').toMatchObject({ code: 'GRANT_EXPIRED' })
})

test('one revocation ends the chains and the passes of every key that the session has had and will have', () => {
  const { links, prove, at, begin, revocations, random } = session()
  const chains = [0, 1, 2, 3].map((n) => {
    at.now = begin + n * LINK_SECONDS
    return { chain: prove(), pass: links.pass(), now: at.now }
  })
  expect(new Set(chains.map(({ chain }) => keyOf(chain))).size).toBe(4)
  const { cid, by } = links.anchor
  expect(chains.map(({ chain }) => revocations.kills(chain))).toEqual([undefined, undefined, undefined, undefined])
  for (const key of by) revocations.add(revoke(key, cid, random).bytes)
  at.now += LINK_SECONDS
  for (const { chain, pass, now } of [...chains, { chain: prove(), pass: links.pass(), now: at.now }]) {
    expect(revocations.kills(chain)).toBeDefined()
    expect(verifyPass(pass, { caller: laptop.did, command: '/task/read', now, revocations })).toMatchObject({ ok: false, code: 'REVOKED' })
  }
})

test('near its end a session’s links end with it, and there is no further key', () => {
  const { prove, at, begin } = session()
  at.now = begin + LIFE_SECONDS - 60
  const chain = prove()
  expect(chain.slice(-2).map(({ exp, meta }) => [exp, meta?.[RUNS_UNTIL_META]])).toEqual([
    [begin + LIFE_SECONDS, undefined],
    [begin + LIFE_SECONDS, undefined],
  ])
  at.now += 59
  expect(keyOf(prove())).toBe(keyOf(chain))
})

const NOW = 1_700_000_000
test.each<[string, Record<string, unknown>]>([
  ['that names no session', { [SIGNED_META]: NOW, [RUNS_UNTIL_META]: NOW + 600 }],
  ['that does not say when it was signed', { [SESSION]: ID, [RUNS_UNTIL_META]: NOW + 600 }],
  ['that would end before it expires', { [SESSION]: ID, [SIGNED_META]: NOW, [RUNS_UNTIL_META]: NOW + 59 }],
  ['for longer than a session lives', { [SESSION]: ID, [SIGNED_META]: NOW, [RUNS_UNTIL_META]: NOW + SESSION_SECONDS + 1 }],
  ['with a text for a time', { [SESSION]: ID, [SIGNED_META]: NOW, [RUNS_UNTIL_META]: '2030' }],
])('a link %s cannot let work run on', (_name, meta) => {
  const link = signDelegation(device, { aud: laptop.did, sub: device.did, cmd: '/exec/run', pol: [], exp: NOW + 60, nonce: new Uint8Array(16), meta })
  expect(refuseChain([link], asked(NOW), 'profile')).toMatchObject({ code: 'BAD_META' })
})

test('a command that runs, and one that waits, outlive the key that they were asked for with, and end with the session', async () => {
  const world = await World.open({ slots: 1, queue: 3 })
  const begin = Math.floor(world.clock.now() / 1_000)
  const root = world.grant(laptop, { exp: begin + 86_400 })
  const random = countingRandom()
  const wallet = new Wallet()
  wallet.add(root.bytes)
  const on = { device: laptop, wallet, revocations: world.revocations, random, now: () => Math.floor(world.clock.now() / 1_000), linkSeconds: 20 }
  const held = [{ ...parseRight('exec: make'), subject: device.did, by: laptop, words: 'exec: make …' }]
  const links = new SessionLinks(ID, held, begin + 50, on)
  const chain = links.prove({ subject: device.did, command: '/exec/run', args: declaredAs(1) })?.chain ?? []
  for (let i = 0; i < 2; i++) {
    world.call(laptop, world.open(laptop, chain, {}, { detached: true }))
    await settled()
  }
  world.clock.advance(30_000)
  await settled()
  const late = world.call(laptop, world.open(laptop, chain, {}, { detached: true }))
  expect(await late.answer(), 'nothing new with the old key').toMatchObject({ t: 'refused', code: 'DENIED' })
  expect(world.executor.started[0]?.stops).toEqual([])
  world.executor.started[0]?.exit(0)
  await settled()
  expect(await world.book.get(taskId(2) as never)).toMatchObject({ state: 'RUNNING', session: ID })
  world.clock.advance(20_000)
  await settled()
  expect(world.executor.started[1]?.stops).toEqual(['revoked'])
})
