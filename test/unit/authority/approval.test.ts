/** Rights that ask for people: how they are written, that nothing on their way loses the question, and that the easier right is used. */
import { expect, test } from 'vitest'
import { approvalsIn, approvalsOf, rightMeta } from '../../../src/authority/approval.ts'
import { parseRight, wordsOfRight } from '../../../src/authority/rights.ts'
import { bundleOf } from '../../../src/authority/roles.ts'
import { signDelegation } from '../../../src/authority/token.ts'
import { capabilityOf } from '../../../src/authority/ucan08-rights.ts'
import { Wallet } from '../../../src/authority/wallet.ts'
import { Identity } from '../../../src/identity/identity.ts'

const [device, laptop] = [1, 2].map((n) => new Identity(new Uint8Array(32).fill(n))) as [Identity, Identity]
const NOW = 1_800_000_000

function granted(text: string, o: { exp?: number; nonce?: number } = {}) {
  const { cmd, pol, approvals } = parseRight(text)
  const meta = rightMeta({ approvals })
  const nonce = new Uint8Array(12).fill(o.nonce ?? 1)
  return signDelegation(device, { aud: laptop.did, sub: device.did, cmd, pol, exp: o.exp ?? NOW + 60, nonce, ...(meta === undefined ? {} : { meta }) })
}

test.each([
  ['exec: make; approval', 'exec: make …; approval', 1],
  ['exec: make; approval 1', 'exec: make …; approval', 1],
  ['exec: make; approval 16; tty', 'exec: make …; tty; approval 16', 16],
])('%s is said as %s, and means the same when typed again', (typed, words, approvals) => {
  expect(parseRight(typed).approvals).toBe(approvals)
  expect(wordsOfRight(parseRight(typed))).toBe(words)
  expect(parseRight(words)).toEqual(parseRight(typed))
})

test.each(['approval 0', 'approval 17', 'approval -1', 'approval 1.5', 'approval two', 'approval 1 2', 'approval; approval'])(
  'refused: exec: make; %s',
  (clause) => {
    expect(() => parseRight(`exec: make; ${clause}`)).toThrowError(expect.objectContaining({ code: 'BAD_RIGHT' }))
  },
)

test('a demand that cannot be read is one that nobody meets', () => {
  for (const said of [0, -1, 17, '1', true, null, {}]) expect(approvalsIn({ 'errand/approvals': said })).toBe(Number.POSITIVE_INFINITY)
  expect(approvalsIn(undefined)).toBe(0)
  expect(approvalsOf([granted('exec: make; approval 2'), granted('exec: make')])).toBe(2)
})

test('a role keeps the question of its rights, and two rights that differ in it are two', () => {
  const { rights } = bundleOf('crew', () => ({ can: ['exec: make; approval', 'exec: make; approval 2'], inherits: [], maxMs: null }))
  expect(rights.map(({ approvals }) => approvals)).toEqual([1, 2])
})

test('it does not leave as a token of UCAN 0.8, which could not ask', () => {
  expect(capabilityOf(granted('exec: make; approval'))).toMatchObject({ ok: false, why: expect.stringContaining('errand/approvals') })
})

test('of two rights the one that asks nobody is used, though the other lives longer', () => {
  const wallet = new Wallet()
  const plain = granted('exec: make', { exp: NOW + 30 })
  for (const link of [granted('exec: make; approval', { nonce: 2, exp: NOW + 3_600 }), plain]) wallet.add(link.bytes)
  const found = wallet.find({ issuer: laptop.did, subject: device.did, command: '/exec/run', now: NOW })
  expect(found.ok && found.chain.map(({ cid }) => cid)).toEqual([plain.cid])
})
