/** The golden bytes of approvals: intents with their digests, the invocation that approves one, what travels about them, and what must be refused. */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ApprovalArgs, Intent, RightAnswer, RightAsked, WaitingCommand } from '../../../protocols/approval/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import { digestOf } from '../../../src/authority/approval.ts'
import { signInvocation } from '../../../src/authority/token.ts'
import { verifyInvocation } from '../../../src/authority/verify.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { legible, revived } from './shapes.ts'

const FILE = new URL('../../../protocols/approval/vectors.json', import.meta.url)
const MAX_BYTES = 65_536
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

const NOW = 1_800_000_000
const [device, bob, carol] = [1, 2, 3].map((n) => new Identity(filled(32, n))) as [Identity, Identity, Identity]
const ARGS = {
  ...{ exe: 'make', argv: ['deploy'], cwd: '/srv/app', env: ['CI'], user: '', timeoutMs: 600_000, maxOutputBytes: 0, tty: false, stdin: false },
  task: '019aa3c1-0000-7000-8000-000000000001',
}
const intentWith = (more: object): Intent => ({ v: 1, device: device.did, requester: bob.did, command: '/exec/run', args: { ...ARGS, ...more } })
const INTENTS: readonly (readonly [string, Intent])[] = [
  ['a command', intentWith({})],
  ['the same with another argument', intentWith({ argv: ['deploy', '--force'] })],
  ['the same as another task', intentWith({ task: '019aa3c1-0000-7000-8000-000000000002' })],
  ['the same on another device', { ...intentWith({}), device: carol.did }],
  ['the same of another requester', { ...intentWith({}), requester: carol.did }],
  ['an argument that speaks to terminals', intentWith({ argv: ['\u001b[2J\u202e'] })],
]
const CHALLENGE = filled(16, 0xc4)
const yes = signInvocation(device, {
  ...{ sub: device.did, aud: device.did, cmd: '/approval/grant', prf: [], exp: NOW + 60, iat: NOW, nonce: new Uint8Array([...CHALLENGE, ...filled(12, 9)]) },
  args: { request: filled(16, 7), intent: digestOf(intentWith({})), decision: 'approve', reason: '' },
})
const SHAPES = { Intent, ApprovalArgs, WaitingCommand, RightAsked, RightAnswer }
const waiting = { request: filled(16, 7), intent: intentWith({}), why: 'the right asks', need: 2, approvedBy: [carol.did], createdAt: 1, expiresAt: 2 }
const asked = { id: filled(16, 8), device: device.did, can: ['exec: make'], reason: 'to build', forMs: 3_600_000, createdAt: 1 }
const MESSAGES: readonly (readonly [keyof typeof SHAPES, object])[] = [
  ['ApprovalArgs', yes.args],
  ['WaitingCommand', waiting],
  ['RightAsked', asked],
  ['RightAnswer', { id: filled(16, 8), state: 'denied', reason: 'never', grants: [] }],
]
const BAD: readonly (readonly [string, keyof typeof SHAPES, object])[] = [
  ['an approval with a word of its own', 'ApprovalArgs', { ...yes.args, approved: true }],
  ['an approval without a request', 'ApprovalArgs', { ...yes.args, request: new Uint8Array() }],
  ['an approval of half a digest', 'ApprovalArgs', { ...yes.args, intent: filled(16, 1) }],
  ['a decision that is neither', 'ApprovalArgs', { ...yes.args, decision: 'maybe' }],
  ['an intent of a later version', 'Intent', { ...intentWith({}), v: 2 }],
  ['an intent with more in it', 'Intent', { ...intentWith({}), nonce: 1 }],
  ['a right asked for with no right', 'RightAsked', { ...asked, can: [] }],
  ['a reason as long as a book', 'RightAsked', { ...asked, reason: 'x'.repeat(513) }],
]

const golden = {
  protocol: 'approval',
  intents: INTENTS.map(([name, value]) => ({ name, value: legible(value), bytes: hex(encode(value)), digest: hex(digestOf(value)) })),
  approval: { device: device.did, challenge: hex(CHALLENGE), now: NOW, invocation: hex(yes.bytes) },
  messages: MESSAGES.map(([schema, value]) => ({ schema, value: legible(value), bytes: hex(encode(value)) })),
  badMessages: BAD.map(([name, schema, value]) => ({ name, schema, bytes: hex(encode(value)), code: 'BAD_SHAPE' })),
}
if (process.env['ERRAND_WRITE_VECTORS'] === 'approval') writeFileSync(FILE, `${JSON.stringify(golden, null, 2)}\n`)
const written = JSON.parse(readFileSync(FILE, 'utf8')) as typeof golden

test('what we write today is byte for byte what we wrote when the vectors were made', () => expect(JSON.parse(JSON.stringify(golden))).toEqual(written))

test.each(written.intents)('$name has the digest that it had', ({ value, bytes, digest }) => {
  const intent = decodeAs(Intent, bytesOf(bytes), MAX_BYTES)
  expect(intent).toEqual(revived(value))
  expect(hex(digestOf(intent))).toBe(digest)
})

test('no two of them share a digest', () => expect(new Set(written.intents.map(({ digest }) => digest)).size).toBe(written.intents.length))

test('the approval is good at its device, in its time, on its connection', () => {
  const { challenge, now, invocation } = written.approval
  const context = { self: device.did, peer: device.did, now, revocations: { kills: () => undefined }, seen: { take: () => 'new' as const } }
  expect(verifyInvocation(bytesOf(invocation), [], { ...context, challenge: bytesOf(challenge) })).toMatchObject({ ok: true })
  expect(verifyInvocation(bytesOf(invocation), [], { ...context, challenge: filled(16, 1) })).toMatchObject({ ok: false, code: 'WRONG_CHALLENGE' })
})

test.each(written.messages)('$schema is read as it was meant', ({ schema, value, bytes }) => {
  expect(decodeAs(SHAPES[schema], bytesOf(bytes), MAX_BYTES)).toEqual(revived(value))
})

test.each(written.badMessages)('refused: $name', ({ schema, bytes, code }) => {
  expect(() => decodeAs(SHAPES[schema], bytesOf(bytes), MAX_BYTES)).toThrowError(expect.objectContaining({ name: code }))
})
