/** The golden bytes of pair: its messages, one real exchange of OPAQUE, what its key derives, and what must be refused. */
import { readFileSync, writeFileSync } from 'node:fs'
import { client, ready, server } from '@serenity-kit/opaque'
import type * as v from 'valibot'
import { beforeAll, expect, test } from 'vitest'
import { Answer, Finish, Given, PAIR, PAKE_NAMES, PairRefused, STRETCH, Start } from '../../../protocols/pair/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { PairChannel } from '../../../src/runtime/pair-channel.ts'
import { filled, inviteCode, SEEDS } from './golden.ts'
import { RECORDED } from './pair-recorded.ts'
import { legible, revived } from './shapes.ts'

const FILE = new URL('../../../protocols/pair/vectors.json', import.meta.url)
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (of: Uint8Array): string => Buffer.from(of).toString('hex')

const [joiner, inviter] = [new Identity(SEEDS.joiner).did, new Identity(SEEDS.founder).did]
const start: Start = { t: 'start', v: 1, plate: RECORDED.plate, ke1: bytes(RECORDED.ke1) }
const answer: Answer = { t: 'answer', ke2: bytes(RECORDED.ke2) }
const channel = new PairChannel(bytes(RECORDED.sessionKey), { start, answer })
const said = { joiner: { device: joiner, name: 'gpu1' }, inviter: { code: inviteCode } }
const finish: Finish = { t: 'finish', ke3: bytes(RECORDED.ke3), sealed: channel.seal('joiner', encode(said.joiner)) }
const given: Given = { t: 'given', sealed: channel.seal('inviter', encode(said.inviter)) }
const refused = { t: 'refused', fault: { code: 'WRONG_CODE', message: 'the code is wrong, and void now: there is one try for each' } }

const SCHEMAS = {
  Start: { schema: Start, max: PAIR.maxAskBytes },
  Answer: { schema: Answer, max: PAIR.maxBytes },
  Finish: { schema: Finish, max: PAIR.maxAskBytes },
  Given: { schema: Given, max: PAIR.maxBytes },
  PairRefused: { schema: PairRefused, max: PAIR.maxBytes },
} as const
type Name = keyof typeof SCHEMAS

const MESSAGES: readonly (readonly [Name, object])[] = [
  ['Start', start],
  ['Answer', answer],
  ['Finish', finish],
  ['Given', given],
  ['PairRefused', refused],
]
const BAD: readonly (readonly [name: string, schema: Name, value: object])[] = [
  ['number 0', 'Start', { ...start, plate: 0 }],
  ['number 1000', 'Start', { ...start, plate: 1_000 }],
  ['a newer version', 'Start', { ...start, v: 2 }],
  ['KE1 a byte short', 'Start', { ...start, ke1: start.ke1.subarray(1) }],
  ['KE2 a byte long', 'Answer', { ...answer, ke2: filled(321, 1) }],
  ['KE3 as text', 'Finish', { ...finish, ke3: RECORDED.ke3 }],
  ['513 sealed bytes of the joiner', 'Finish', { ...finish, sealed: filled(513, 1) }],
]

const golden = {
  protocol: PAIR.id,
  version: 1,
  note: 'Bytes are hex. In values, {"$hex": …} is a byte string. The exchange of OPAQUE was recorded; clientLoginState and serverLoginState are opaque-ke\'s, in base64url.',
  exchange: RECORDED,
  devices: { joiner, inviter },
  check: channel.check({ joiner, inviter }),
  sealed: said,
  messages: MESSAGES.map(([schema, value]) => ({ schema, value: legible(value), bytes: hex(encode(value)) })),
  badMessages: BAD.map(([name, schema, value]) => ({ name, schema, bytes: hex(encode(value)), code: 'BAD_SHAPE' })),
}
// The one way to make the file: ERRAND_WRITE_VECTORS=pair npx vitest run test/unit/protocols
if (process.env['ERRAND_WRITE_VECTORS'] === 'pair') writeFileSync(FILE, `${JSON.stringify(golden, null, 2)}\n`)
const written: typeof golden = JSON.parse(readFileSync(FILE, 'utf8'))

beforeAll(() => ready)

test('pair: what we write today is byte for byte what we wrote when the vectors were made', () => {
  expect(JSON.parse(JSON.stringify(golden))).toEqual(written)
})

test.each(written.messages)('pair: $schema is read as it was meant', ({ schema, value, bytes: wire }) => {
  const { schema: shape, max } = SCHEMAS[schema]
  expect(decodeAs<v.GenericSchema>(shape, bytes(wire), max)).toEqual(revived(value))
})

test.each(written.badMessages)('pair: refused: $name', ({ schema, bytes: wire, code }) => {
  const { schema: shape, max } = SCHEMAS[schema]
  expect(() => decodeAs<v.GenericSchema>(shape, bytes(wire), max)).toThrowError(expect.objectContaining({ name: code }))
})

test('the recorded exchange still ends in the recorded key, on both sides', () => {
  const { words, clientLoginState, serverLoginState, ke2, ke3, sessionKey } = written.exchange
  const base64url = (of: string): string => Buffer.from(of, 'hex').toString('base64url')
  const keyStretching = { 'argon2id-custom': STRETCH }
  const turned = client.finishLogin({ password: words, clientLoginState, loginResponse: base64url(ke2), identifiers: PAKE_NAMES, keyStretching })
  expect(turned).toMatchObject({ finishLoginRequest: base64url(ke3), sessionKey: base64url(sessionKey) })
  expect(server.finishLogin({ serverLoginState, finishLoginRequest: base64url(ke3), identifiers: PAKE_NAMES })).toEqual({ sessionKey: base64url(sessionKey) })
})
