import { expect, test } from 'vitest'
import { refuseChain, refusePolicies } from '../../../src/authority/chain.ts'
import { explain } from '../../../src/authority/explain.ts'
import { Revocations } from '../../../src/authority/revocations.ts'
import { parseRight } from '../../../src/authority/rights.ts'
import { type Delegation, type DelegationFields, signDelegation } from '../../../src/authority/token.ts'
import { Wallet } from '../../../src/authority/wallet.ts'
import { Keyring, type Proof } from '../../../src/runtime/keyring.ts'
import { countingRandom, HandClock } from '../base/hand-clock.ts'
import { device, laptop, mallory, owner } from './door-world.ts'

const clock = new HandClock()
const random = countingRandom()
const NOW = Math.floor(clock.now() / 1_000)
const ARGS = { exe: 'npm', argv: ['test'], cwd: '', env: [], user: '', timeoutMs: 0, maxOutputBytes: 0, tty: false, stdin: false }
const given = (fields: Partial<DelegationFields>): Delegation =>
  signDelegation(device, { aud: owner.did, sub: device.did, cmd: '/exec/run', pol: [], exp: NOW + 7_200, nonce: random(16), ...fields })

function keyring(held: readonly Delegation[], o: { withoutOwner?: boolean } = {}): Keyring {
  const wallet = new Wallet()
  for (const { bytes } of held) wallet.add(bytes)
  return new Keyring({ device: laptop, wallet, revocations: new Revocations(), clock, random, ...(o.withoutOwner === true ? {} : { owner }) })
}

/** What the device says to a proof: undefined when it runs the command. */
function answerTo({ chain }: Proof, args = ARGS): string | undefined {
  const asked = { subject: device.did, invoker: laptop.did, command: '/exec/run', now: NOW }
  const refused = refusePolicies(chain, args)
  return refuseChain(chain, asked, 'profile')?.detail ?? (refused === undefined ? undefined : explain(refused.statement, args))
}

test('a device that holds the owner’s key uses what another gave the owner: everything, or single rights alone', () => {
  for (const fields of [{ cmd: '/', exp: null }, { cmd: '/exec' }, parseRight('exec: sh, npm test')]) {
    const proof = keyring([given(fields)]).prove(device.did, '/exec/run', ARGS)
    expect(answerTo(proof)).toBeUndefined()
    expect(proof.chain).toHaveLength(2)
    expect(proof.doubt).toBeUndefined()
  }
})

test('a command that the owner’s right does not allow is shown with that right, so that the device says what it lacks', () => {
  const proof = keyring([given(parseRight('exec: sh, npm test'))]).prove(device.did, '/exec/run', { ...ARGS, exe: 'rm' })
  expect(proof.doubt).toBe('exe "rm" is not in {sh, npm}')
  expect(answerTo(proof, { ...ARGS, exe: 'rm' })).toBe('exe "rm" is not in {sh, npm}')
})

test('what an owner’s device starts may run for weeks: the hand-down does not end it, however long it has been in use', () => {
  const ring = keyring([given({ cmd: '/', exp: null })])
  for (const passed of [0, 2_800_000, 60_000]) {
    clock.advance(passed)
    const exp = ring.prove(device.did, '/exec/run', ARGS).chain.at(-1)?.exp ?? 0
    expect(exp - Math.floor(clock.now() / 1_000)).toBeGreaterThan(29 * 86_400)
  }
})

test('without the owner’s key the owner’s rights are of no use', () => {
  const proof = keyring([given({})], { withoutOwner: true }).prove(device.did, '/exec/run', ARGS)
  expect(proof).toEqual({ chain: [], doubt: `no grant from ${device.did} reaches ${laptop.did} for /exec/run` })
  expect(keyring([given({ aud: mallory.did })]).prove(device.did, '/exec/run', ARGS).chain).toEqual([])
})

test('the hand-down from the owner is made once for each device and command, and anew before it expires', () => {
  const ring = keyring([given({ cmd: '/', exp: null })])
  const last = (command: string): string | undefined => ring.prove(device.did, command, ARGS).chain.at(-1)?.cid
  const first = last('/exec/run')
  expect(last('/exec/run')).toBe(first)
  expect(last('/audit/read')).not.toBe(first)
  clock.advance(3_000_001)
  expect(last('/exec/run')).not.toBe(first)
})

test('a device uses its own grant before it takes the owner’s power, and the owner’s where its own does not reach', () => {
  const own = given({ aud: laptop.did, ...parseRight('exec: npm test') })
  const both = keyring([own, given({ cmd: '/', exp: null })])
  expect(both.prove(device.did, '/exec/run', ARGS).chain.map(({ cid }) => cid)).toEqual([own.cid])
  expect(both.prove(device.did, '/exec/run', { ...ARGS, exe: 'git' }).chain).toHaveLength(2)
})
