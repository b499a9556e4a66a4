/**
 * Members that misuse their place: every frame is crafted here, none by our client. Whatever they send fails closed, is written down
 * where it is an act, and leaves the node well.
 */
import { expect, test } from 'vitest'
import { signDelegation } from '../../src/authority/token.ts'
import { systemRandom } from '../../src/base/clock.ts'
import type { Did } from '../../src/identity/identity.ts'
import { ask, type Crafted, chainTo, command, openFrame } from './support-attack.ts'
import { besieged, didOf, type Siege } from './support-siege.ts'

const NOW = Math.floor(Date.now() / 1_000)

let siege: Siege
besieged((begun) => {
  siege = begun
})

test('the honest request works: what is refused below is refused for the lie in it', async () => {
  const session = await siege.as('carol')
  expect(await ask(session.connection, openFrame(siege.byCarol(session)))).toMatchObject({
    t: 'ended',
    ended: { exitCode: 0, why: 'exit' },
    stdout: Buffer.from('hello\n'),
  })
})

test('a member without rights is refused whatever proof it shows, and each refusal is in the log', async () => {
  const session = await siege.as('mallory')
  const args = command('touch', siege.marker)
  const mine: Crafted = { by: siege.mallory.identity, to: didOf(siege.alice), challenge: session.challenge, args }
  const [root, leaf] = chainTo(siege.carol, siege.alice.did)
  if (root === undefined || leaf === undefined) throw new Error('Carol has no chain')
  const link = (sub: string | null, exp: number | null, cmd = '/'): ReturnType<typeof signDelegation> =>
    signDelegation(siege.mallory.identity, { aud: siege.mallory.identity.did, sub: sub as Did, cmd, pol: [], exp, nonce: systemRandom(16) })
  const attempts: [string, readonly ReturnType<typeof signDelegation>[]][] = [
    ['NO_GRANT', []],
    ['CHAIN_AUDIENCE', [root, leaf]],
    ['CHAIN_AUDIENCE', [root]],
    ['CHAIN_ROOT', [link(siege.alice.did, null)]],
    ['POWERLINE_ROOT', [link(null, null)]],
    ['CHAIN_SUBJECT', [link(siege.mallory.identity.did, null)]],
    ['CHAIN_GAP', [root, link(siege.alice.did, NOW + 3_600)]],
    ['CHAIN_ROOT', [leaf, root]],
  ]
  for (const [reason, chain] of attempts) {
    const answer = await ask(session.connection, openFrame({ ...mine, chain }))
    expect(answer).toMatchObject({ t: 'refused', code: 'DENIED' })
    expect([reason, 'POWERLINE_ROOT'], `${reason}: ${JSON.stringify(answer)}`).toContain(answer.t === 'refused' && answer.reason)
  }
  const denials = await siege.w.audit(siege.alice.home, '--action', 'exec.denied', '--actor', siege.mallory.identity.did)
  expect(denials).toHaveLength(attempts.length)
  expect(denials.every((one) => one.result === 'denied' && String(one['reason']).length > 10 && String(one['command']).includes('touch'))).toBe(true)
})

test('a right for two commands is a right for nothing else, and an invocation holds for one connection, once, now', async () => {
  const session = await siege.as('carol')
  const other = await siege.as('carol')
  const args = (more: Record<string, unknown>): Partial<Crafted> => ({ args: { ...command('echo', 'x'), ...more } })
  const fields = (more: Crafted['fields']): Partial<Crafted> => ({ fields: more ?? {} })
  const { task: _, ...withoutTask } = command('echo')
  const lies: [string, Partial<Crafted>][] = [
    ['POLICY', { args: command('touch', siege.marker) }],
    ['POLICY', { args: command('/bin/echo') }],
    ['POLICY', { args: command('ECHO') }],
    ['POLICY', { args: command('echo\0', 'x') }],
    ['POLICY', args({ env: ['LANG'] })],
    ['POLICY', args({ user: 'root' })],
    ['POLICY', args({ tty: true })],
    ['BAD_ARGS', args({ argv: ['a\0b'] })],
    ['BAD_ARGS', args({ argv: 'x' })],
    ['BAD_ARGS', args({ cwd: '/tmp/../etc' })],
    ['BAD_ARGS', args({ sudo: true })],
    ['BAD_ARGS', args({ timeoutMs: -1 })],
    ['BAD_ARGS', { args: withoutTask }],
    ['WRONG_CHALLENGE', { challenge: other.challenge }],
    ['WRONG_CHALLENGE', { challenge: systemRandom(16) }],
    ['BAD_NONCE', fields({ nonce: session.challenge })],
    ['WRONG_ISSUER', { by: siege.mallory.identity }],
    ['WRONG_SUBJECT', { to: didOf(siege.bob) }],
    ['WRONG_AUDIENCE', fields({ aud: didOf(siege.bob) })],
    ['EXPIRED', fields({ exp: NOW - 600, iat: NOW - 700 })],
    ['TOO_EARLY', fields({ iat: NOW + 900, exp: NOW + 1_000 })],
    ['TTL_TOO_LONG', fields({ exp: NOW + 86_400 })],
    ['TTL_TOO_LONG', fields({ exp: null })],
    ['NOT_COVERED', fields({ cmd: '/exec/tty' })],
    ['NOT_COVERED', fields({ cmd: '/exec' })],
    ['NOT_COVERED', fields({ cmd: '/exec/run-as-root' })],
    ['NOT_COVERED', fields({ cmd: '/' })],
    [
      'MISSING_PROOF',
      fields({ prf: [...chainTo(siege.carol, siege.alice.did).map(({ cid }) => cid), 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'] }),
    ],
    ['UNASKED_PROOF', fields({ prf: [] })],
    ['CHAIN_CYCLE', fields({ prf: chainTo(siege.carol, siege.alice.did).flatMap(({ cid }) => [cid, cid]) })],
  ]
  for (const [reason, lie] of lies) {
    const answer = await ask(session.connection, openFrame(siege.byCarol(session, lie)))
    expect(answer, `${reason} ${JSON.stringify(lie)}`).toMatchObject({ t: 'refused', code: 'DENIED', reason })
  }
  const once = openFrame(siege.byCarol(session))
  expect(await ask(session.connection, once)).toMatchObject({ t: 'ended' })
  expect(await ask(session.connection, once)).toMatchObject({ t: 'refused', reason: 'REPLAYED' })
  expect(await ask(other.connection, once)).toMatchObject({ t: 'refused', reason: 'WRONG_CHALLENGE' })
  expect(await ask(session.connection, openFrame(siege.byCarol(session), { SMUGGLED: 'value' }))).toMatchObject({ t: 'refused', code: 'DENIED' })
  const flipped = Buffer.from(openFrame(siege.byCarol(session)))
  const at = flipped.indexOf('ucan/inv') - 40
  flipped[at] = (flipped[at] ?? 0) ^ 1
  expect(await ask(session.connection, flipped)).toMatchObject({ t: 'refused', reason: expect.stringMatching(/BAD_SIGNATURE|BAD_ALGORITHM/) })
})
