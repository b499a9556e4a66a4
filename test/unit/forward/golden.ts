/** Builds the golden bytes of /errand/forward/1 from fixed values. Made anew only on request; see vectors.test.ts. */
import { FORWARD, FORWARD_TAG, FORWARD_WHY } from '../../../protocols/forward/messages.ts'
import { encode } from '../../../protocols/wire.ts'

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
type TagName = keyof typeof FORWARD_TAG

const ID = filled(16, 0xf1)
const OPEN = { invocation: filled(5, 0x11), proofs: [filled(2, 0x22), filled(1, 0x33)], single: true }
const ACCEPTED = { forward: ID, startTime: 1_763_712_000_123, address: '127.0.0.1', port: 22 }
const INCOMING = { forward: ID, address: '::1', port: 40_000 }
const ENDED = { why: 'closed', bytesIn: 1_048_576, bytesOut: 9_007_199_254_740_991, connections: 3 }
const REFUSED = { code: 'DENIED', message: '"localhost:81" is not in {localhost:80}', hint: 'ask for it', source: 'device', fields: { reason: 'POLICY' } }

const WORDS: readonly (readonly [name: string, tag: TagName, value: object])[] = [
  ['a connection on this very stream', 'open', OPEN],
  ['a forward that stays, of a device itself', 'open', { invocation: filled(1, 0x11), proofs: [], single: false }],
  ['connected', 'accepted', ACCEPTED],
  ['held', 'accepted', { ...ACCEPTED, address: '', port: 0 }],
  ['refused', 'refused', REFUSED],
  ['one connection of a forward', 'connect', { forward: ID }],
  ['somebody has connected there', 'incoming', INCOMING],
  ...FORWARD_WHY.map((why): [string, TagName, object] => [`ended: ${why}`, 'ended', { ...ENDED, why }]),
  ['ended, with words', 'ended', { ...ENDED, why: 'revoked', message: 'laptop took it back' }],
]

const RAW: readonly (readonly [name: string, tag: TagName, payload: Uint8Array])[] = [
  ['taken', 'connected', filled(0, 0)],
  ['one byte', 'data', filled(1, 0x41)],
  ['the end of one direction', 'end', filled(0, 0)],
]

const BAD: readonly (readonly [name: string, tag: TagName, code: string, payload: Uint8Array])[] = [
  ['an open that does not say whether it is single', 'open', 'BAD_SHAPE', encode({ invocation: filled(1, 0), proofs: [] })],
  ['nine proofs', 'open', 'BAD_SHAPE', encode({ ...OPEN, proofs: Array(9).fill(filled(1, 0)) })],
  ['a proof of 8,193 bytes', 'open', 'BAD_SHAPE', encode({ ...OPEN, proofs: [filled(8_193, 0)] })],
  ['an invocation of 32,769 bytes', 'open', 'BAD_SHAPE', encode({ ...OPEN, invocation: filled(32_769, 0) })],
  ['a name of 15 bytes', 'connect', 'BAD_SHAPE', encode({ forward: filled(15, 0) })],
  ['a name in text', 'connect', 'BAD_SHAPE', encode({ forward: 'f1' })],
  ['port 65,536', 'incoming', 'BAD_SHAPE', encode({ ...INCOMING, port: 65_536 })],
  ['an address of 65 characters', 'accepted', 'BAD_SHAPE', encode({ ...ACCEPTED, address: 'a'.repeat(65) })],
  ['fewer than no bytes', 'ended', 'BAD_SHAPE', encode({ ...ENDED, bytesIn: -1 })],
  ['an end that this version does not know', 'ended', 'BAD_SHAPE', encode({ ...ENDED, why: 'bored' })],
  ['more behind the map', 'connect', 'NOT_CBOR', Buffer.concat([encode({ forward: ID }), filled(1, 0)])],
]

/** CBOR values as the file shows them. */
function legible(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $hex: hex(value) }
  if (Array.isArray(value)) return value.map(legible)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, legible(inner)]))
}

function varint(value: number): number[] {
  return value > 0x7f ? [(value & 0x7f) | 0x80, ...varint(value >>> 7)] : [value]
}

function framed(tag: TagName, payload: Uint8Array): string {
  return hex(Uint8Array.of(...varint(payload.length + 1), FORWARD_TAG[tag], ...payload))
}

export const golden = {
  protocol: FORWARD.ids[0],
  frames: [
    ...WORDS.map(([name, tag, value]) => ({ name, tag, value: legible(value), payload: hex(encode(value)), frame: framed(tag, encode(value)) })),
    ...RAW.map(([name, tag, payload]) => ({ name, tag, payload: hex(payload), frame: framed(tag, payload) })),
  ],
  refused: BAD.map(([name, tag, code, payload]) => ({ name, tag, code, payload: hex(payload) })),
}
