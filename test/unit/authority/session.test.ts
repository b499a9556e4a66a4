/** In which session a chain acts, and what a session's end does to it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MANDATE_META } from '../../../protocols/authority/messages.ts'
import { DIES_WITH, LAST_LINK } from '../../../src/authority/chain.ts'
import { Revocations, revoke } from '../../../src/authority/revocations.ts'
import { SESSION, sessionIn, verifyPass } from '../../../src/authority/session.ts'
import { type Delegation, type DelegationFields, linkTo, signDelegation } from '../../../src/authority/token.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { countingRandom } from '../base/hand-clock.ts'

const keyOf = (n: number): Identity => new Identity(new Uint8Array(32).fill(n))
const [gpu, laptop, key, mallory] = [keyOf(1), keyOf(2), keyOf(3), keyOf(4)] as const
const random = countingRandom()
const ID = '019aa3c1-0000-7000-8000-00000000005e'
const OTHER = '019aa3c1-0000-7000-8000-00000000005f'
const NOW = 1_000_000

const link = (by: Identity, to: Identity, on: Identity, fields: Partial<DelegationFields> = {}): Delegation =>
  signDelegation(by, { aud: to.did, sub: on.did, cmd: '/exec/run', pol: [], exp: NOW + 60, nonce: random(16), ...fields })
const marked = (id: unknown, more: Record<string, unknown> = {}) => ({ meta: { [SESSION]: id, ...more } })
const back = (id: unknown = ID, fields: Partial<DelegationFields> = {}) => link(key, laptop, gpu, { ...marked(id, { [LAST_LINK]: true }), ...fields })

const above = link(gpu, laptop, gpu)
const given = link(laptop, key, gpu, marked(ID))

test('the two last links name the session, and whose it is; a chain without a mark is in none', () => {
  expect(sessionIn([above, given, back()])).toEqual({ ok: true, session: { id: ID, by: laptop.did, key: key.did } })
  expect(sessionIn([above])).toEqual({ ok: true })
  expect(sessionIn([])).toEqual({ ok: true })
})

test.each([
  ['only the link to the key says it', () => [above, given, link(key, laptop, gpu, { meta: { [LAST_LINK]: true } })]],
  ['only the link back says it', () => [above, link(laptop, key, gpu), back()]],
  ['the two name different sessions', () => [above, given, back(OTHER)]],
  ['a link further up names one too', () => [link(gpu, laptop, gpu, marked(ID)), given, back()]],
  ['it was handed on behind the session', () => [above, given, back(), link(laptop, mallory, gpu)]],
  ['what the key gives back could be passed on', () => [above, given, link(key, laptop, gpu, marked(ID))]],
  ['the name is no UUID', () => [above, link(laptop, key, gpu, marked('mine')), back('mine')]],
  ['the name is no text', () => [above, link(laptop, key, gpu, marked(7)), back(7)]],
  ['the name is a list', () => [above, link(laptop, key, gpu, marked([ID])), back([ID])]],
])('a chain in which %s proves no session, and is refused', (_name, chain) => {
  expect(sessionIn(chain())).toMatchObject({ ok: false })
})

test('a mandate behind a session changes nothing of it, and none may name one', () => {
  const mandate = (more: Record<string, unknown> = {}): Delegation =>
    link(laptop, gpu, gpu, { meta: { [MANDATE_META]: new Uint8Array(32), [LAST_LINK]: true, ...more } })
  expect(sessionIn([above, given, back(), mandate()])).toEqual({ ok: true, session: { id: ID, by: laptop.did, key: key.did } })
  expect(sessionIn([above, mandate()])).toEqual({ ok: true })
  for (const chain of [
    [above, mandate({ [SESSION]: ID })],
    [above, given, back(), mandate({ [SESSION]: ID })],
    [above, given, mandate({ [SESSION]: ID })],
  ])
    expect(sessionIn(chain)).toMatchObject({ ok: false })
})

const pass = (over: { root?: Partial<DelegationFields>; leaf?: Partial<DelegationFields>; holder?: Identity } = {}) => {
  const { holder = laptop } = over
  const root = link(holder, key, holder, { cmd: '/task', ...marked(ID), ...over.root })
  return [root, link(key, holder, holder, { cmd: '/task', ...marked(ID, { [LAST_LINK]: true }), ...over.leaf })] as const
}
const seenOf = (links: readonly Delegation[], o: { caller?: Identity; now?: number; revocations?: Revocations; command?: string } = {}) =>
  verifyPass(
    links.map(({ bytes }) => bytes),
    { caller: (o.caller ?? laptop).did, command: o.command ?? '/task/read', now: o.now ?? NOW, revocations: o.revocations ?? new Revocations() },
  )

test('a pass shows in which session a device asks about its own tasks', () => {
  expect(seenOf(pass())).toMatchObject({ ok: true, expiresAt: NOW + 60, session: { id: ID, by: laptop.did, key: key.did } })
})

test('a pass is of no use to another device, after its time, for another command, or once the session is closed', () => {
  const closed = new Revocations()
  const [root, leaf] = pass()
  closed.add(revoke(laptop, root.cid, random).bytes)
  expect(seenOf([root, leaf], { caller: mallory })).toMatchObject({ ok: false, code: 'CHAIN_SUBJECT' })
  expect(seenOf([root, leaf], { now: NOW + 60 })).toMatchObject({ ok: false, code: 'GRANT_EXPIRED' })
  expect(seenOf([root, leaf], { command: '/exec/run' })).toMatchObject({ ok: false, code: 'NOT_COVERED' })
  expect(seenOf([root, leaf], { revocations: closed })).toMatchObject({ ok: false, code: 'REVOKED' })
  expect(seenOf([root])).toMatchObject({ ok: false, code: 'CHAIN_AUDIENCE' })
  expect(seenOf([])).toMatchObject({ ok: false, code: 'NO_GRANT' })
  const unnamed = [link(laptop, key, laptop, { cmd: '/task' }), link(key, laptop, laptop, { cmd: '/task' })]
  expect(seenOf(unnamed)).toMatchObject({ ok: false, code: 'BAD_SESSION' })
  expect(verifyPass([new Uint8Array(9)], { caller: laptop.did, command: '/task/read', now: NOW, revocations: closed })).toMatchObject({ ok: false })
})

test('a pass that mallory made for a session of ours is one of mallory’s', () => {
  expect(seenOf(pass({ holder: mallory }), { caller: mallory })).toMatchObject({ ok: true, session: { by: mallory.did } })
})

test('a link dies with the token it names, when somebody up the chain revoked that one, and with nobody else', () => {
  const [anchor] = pass()
  const bound = link(laptop, key, gpu, marked(ID, { [DIES_WITH]: linkTo(anchor.cid) }))
  const chain = [above, bound, back()]
  const by = (who: Identity): Revocations => {
    const all = new Revocations()
    all.add(revoke(who, anchor.cid, random).bytes)
    return all
  }
  expect(by(laptop).kills(chain)).toMatchObject({ link: { cid: bound.cid } })
  expect(by(gpu).kills(chain)).toMatchObject({ link: { cid: bound.cid } })
  expect(by(mallory).kills(chain)).toBeUndefined()
  expect(by(key).kills(chain), 'the key is below that link').toBeUndefined()
  expect(by(laptop).kills([above, given, back()]), 'a link that names nothing').toBeUndefined()
})

test('whatever stands under the marks of a session, it is read without a throw, and proves a session only in the one form', () => {
  const anything = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(ID), fc.constant(OTHER), fc.constant(null))
  fc.assert(
    fc.property(anything, anything, fc.boolean(), (first, second, isLast) => {
      const chain = [above, link(laptop, key, gpu, marked(first)), link(key, laptop, gpu, marked(second, isLast ? { [LAST_LINK]: true } : {}))]
      const seen = sessionIn(chain)
      expect(seen.ok && seen.session !== undefined).toBe(isLast && first === second && (first === ID || first === OTHER))
    }),
    { numRuns: 60 },
  )
})
