/** Builds the golden bytes of hello, join, sync, member, announce and task from fixed seeds, nonces and times. Made anew only on request; see vectors.test.ts. */
import { SYNC } from '../../../protocols/sync/messages.ts'
import { DOMAIN, type Domain, encode, NO_MESH } from '../../../protocols/wire.ts'
import { signDelegation } from '../../../src/authority/token.ts'
import type { Clock } from '../../../src/base/clock.ts'
import { seal } from '../../../src/identity/envelope.ts'
import { Identity } from '../../../src/identity/identity.ts'
import { digestOf, have, recordId } from '../../../src/registry/records.ts'
import { acceptance } from '../../../src/registry/succession.ts'
import { readCode, writeCode } from '../../../src/runtime/invite-code.ts'
import { makeAsk, readGenesis } from '../../../src/runtime/joining.ts'
import { BAD_CALL_MESSAGES, CALL_MESSAGES } from './golden-call.ts'
import { orderValues, ownerValues } from './golden-orders.ts'
import { BAD_TASK_MESSAGES, TASK_MESSAGES } from './golden-task.ts'
import { legible, type SchemaName } from './shapes.ts'

export const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export const SEEDS = { owner: filled(32, 1), founder: filled(32, 2), joiner: filled(32, 3), invite: filled(32, 4), mallory: filled(32, 5) }
const owner = new Identity(SEEDS.owner)
const founder = new Identity(SEEDS.founder)
const joiner = new Identity(SEEDS.joiner)
const inviteKey = new Identity(SEEDS.invite)
const mallory = new Identity(SEEDS.mallory)

const NOW_MS = 1_800_000_000_000
const NOW = NOW_MS / 1_000
const still: Clock = { now: () => NOW_MS, monotonic: () => 0, after: () => () => undefined }
const fixed = (length: number): Uint8Array => filled(length, 0x77)

export interface SignedRecord {
  readonly name: string
  readonly domain: Domain
  /** Hex; 64 zeroes for the genesis. */
  readonly mesh: string
  readonly signer: keyof typeof SEEDS
  readonly value: unknown
}
const signers = { owner, founder, joiner, invite: inviteKey, mallory }
const sealed = ({ domain, mesh, signer, value }: SignedRecord): Uint8Array => seal(signers[signer], domain, Buffer.from(mesh, 'hex'), value)

const GENESIS = { v: 1, name: 'home', owners: [owner.did], threshold: 1, created: NOW_MS, nonce: filled(16, 0x10) }
const genesisRecord: SignedRecord = { name: 'genesis of a mesh with one owner', domain: DOMAIN.genesis, mesh: hex(NO_MESH), signer: 'owner', value: GENESIS }
export const meshId = readGenesis(sealed(genesisRecord)).id
const mesh = hex(meshId)

const membershipOf = (device: Identity, name: string, own: boolean): object => ({ v: 1, device: device.did, name, kind: 'member', own, at: NOW_MS, proofs: [] })
const founderRecord: SignedRecord = { name: 'the founder', domain: DOMAIN.membership, mesh, signer: 'owner', value: membershipOf(founder, 'laptop', true) }
const GUEST = { ...membershipOf(joiner, 'ci', false), kind: 'guest', until: NOW_MS + 600_000, host: founder.did }
const guestRecord: SignedRecord = { name: 'a guest of ten minutes', domain: DOMAIN.membership, mesh, signer: 'owner', value: GUEST }
const joinerRecord: SignedRecord = {
  name: 'a device that is not the owner’s',
  domain: DOMAIN.membership,
  mesh,
  signer: 'owner',
  value: membershipOf(joiner, 'gpu1', false),
}
const leave = signDelegation(owner, { aud: founder.did, sub: owner.did, cmd: '/mesh/join', pol: [], exp: NOW + 60, nonce: filled(16, 0x11) })
const byAdmin: SignedRecord = {
  name: 'admitted by a device with an owner’s leave',
  domain: DOMAIN.membership,
  mesh,
  signer: 'founder',
  value: { ...membershipOf(joiner, 'gpu1', true), proofs: [leave.bytes] },
}
const successor: SignedRecord = {
  name: 'a device under a new key, which the old one named',
  domain: DOMAIN.membership,
  mesh,
  signer: 'joiner',
  value: {
    ...{ ...membershipOf(inviteKey, 'gpu1', false), at: NOW_MS + 1, proofs: [sealed(joinerRecord)] },
    ...{ succeeds: joiner.did, accepts: acceptance(meshId, inviteKey, joiner.did) },
  },
}
const addrs = ['/ip4/192.168.1.7/tcp/4701', '/ip6/fd00::7/tcp/4701']
const addressRecord: SignedRecord = {
  name: 'where the founder is',
  domain: DOMAIN.address,
  mesh,
  signer: 'founder',
  value: { v: 1, device: founder.did, seq: NOW_MS, addrs },
}
const chained = ownerValues(readGenesis(sealed(genesisRecord)), { first: owner, second: mallory, words: inviteKey })
const orderRecords = [...orderValues({ founder: founder.did, joiner: joiner.did }), ...chained].map(
  ([name, value]): SignedRecord => ({ name, domain: DOMAIN.order, mesh, signer: 'owner', value }),
)
const ANNOUNCED = {
  ...{ v: 1, device: founder.did, seq: NOW_MS, name: 'laptop', labels: { gpu: '8', place: 'büro' }, os: 'linux', arch: 'x64', cpus: 8 },
  ...{ memoryBytes: 34_359_738_368, loadPercent: 142, version: '0.1.0', freeSlots: 256 },
}
const announceRecord: SignedRecord = { name: 'what the founder says of itself', domain: DOMAIN.announce, mesh, signer: 'founder', value: ANNOUNCED }

const proof = signDelegation(founder, { aud: inviteKey.did, sub: founder.did, cmd: '/mesh/join', pol: [], exp: NOW + 600, nonce: filled(16, 0x12) })
const right = { cmd: '/exec/run', pol: [['==', '.exe', 'git']], exp: NOW + 28_800 }
const OFFER = {
  ...{ v: 1, meshName: 'home', inviterName: 'laptop', invite: inviteKey.did, proof: proof.cid, owner: owner.did, name: 'gpu1', kind: 'member', mine: false },
  ...{ asks: [right], admin: false, gives: [], expiresAt: NOW + 600, addrs },
}
const offerRecord: SignedRecord = { name: 'an offer that asks for one right', domain: DOMAIN.offer, mesh, signer: 'founder', value: OFFER }
const guestOffer: SignedRecord = {
  ...{ name: 'an offer for a guest on one device', domain: DOMAIN.offer, mesh, signer: 'founder' },
  value: { ...OFFER, kind: 'guest', asks: [], gives: [right], on: [{ device: founder.did, name: 'laptop' }] },
}
export const inviteCode = writeCode(meshId, SEEDS.invite, sealed(offerRecord))
const CHALLENGE = filled(16, 0xc4)
const ask = makeAsk(readCode(inviteCode), { device: joiner, clock: still, random: fixed, version: '0.1.0', name: 'gpu1', challenge: CHALLENGE })

const membersHeld = [sealed(founderRecord), sealed(joinerRecord)]
const ids = (records: readonly Uint8Array[]): (readonly [string, Uint8Array])[] => records.map((bytes) => [recordId(bytes), bytes] as const)
const digest = (records: readonly Uint8Array[]): Uint8Array => digestOf(ids(records).map(([id]) => id))
const HELLO_VALUE = {
  ...{ t: 'hello', v: 1, version: '0.1.0', mesh: meshId, membership: sealed(founderRecord), challenge: CHALLENGE },
  ...{ protocols: ['/errand/hello/1', '/errand/exec/1', '/errand/sync/1', '/errand/audit/1'], time: NOW_MS },
  digests: { members: digest(membersHeld), addresses: digest([sealed(addressRecord)]), revocations: digest([]) },
}
const FAULT = { t: 'refused', fault: { code: 'NOT_A_MEMBER', message: 'its membership is not signed by an owner of this mesh' } }
const WELCOME = {
  t: 'welcome',
  ...{ genesis: sealed(genesisRecord), membership: sealed(joinerRecord), members: membersHeld, addresses: [sealed(addressRecord)] },
  ...{ delegations: ask.gives, revocations: [] },
}
const PULL = { t: 'pull', set: 'members', have: have(ids(membersHeld), SYNC.idPrefixBytes) }
const message = (name: string, schema: SchemaName, value: object): object => ({ name, schema, value: legible(value), bytes: hex(encode(value)) })
const record = (one: SignedRecord): object => ({ ...one, value: legible(one.value), bytes: hex(sealed(one)) })
const without = (value: object, key: string): object => Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))

/** What must be refused as a message: [name, schema, bytes, code]. */
type BadMessage = readonly [name: string, schema: SchemaName, bytes: Uint8Array, code: string]
const bad = ([name, schema, bytes, code]: BadMessage): object => ({ name, schema, bytes: hex(bytes), code })

/** Map keys in the order b, a: fine CBOR, not canonical. */
const UNSORTED = Uint8Array.of(0xa2, 0x61, 0x74, 0x63, 0x61, 0x63, 0x6b, 0x61, 0x61, 0x00)

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1
  return copy
}

/** What must be refused as a signed record: [name, domain it is opened with, bytes, code]. */
type BadRecord = readonly [name: string, domain: Domain, bytes: Uint8Array, code: string]
const badRecord = ([name, domain, bytes, code]: BadRecord): object => ({
  name,
  domain,
  mesh: domain === DOMAIN.genesis ? hex(NO_MESH) : mesh,
  bytes: hex(bytes),
  code,
})
const otherMesh = seal(owner, DOMAIN.membership, filled(32, 9), founderRecord.value)
const BAD_MEMBERS: readonly BadRecord[] = [
  ['one bit of the signature flipped', DOMAIN.membership, flipped(sealed(founderRecord)), 'BadSignature'],
  ['of another mesh', DOMAIN.membership, otherMesh, 'BadSignature'],
  ['signed for another domain', DOMAIN.membership, seal(owner, DOMAIN.announce, meshId, founderRecord.value), 'BadSignature'],
  ['an address record as a membership', DOMAIN.membership, sealed(addressRecord), 'BadSignature'],
  ['a newer version', DOMAIN.membership, seal(owner, DOMAIN.membership, meshId, { ...membershipOf(joiner, 'gpu1', false), v: 2 }), 'BAD_SHAPE'],
  ['a guest without an end', DOMAIN.membership, seal(owner, DOMAIN.membership, meshId, { ...membershipOf(joiner, 'gpu1', false), kind: 'guest' }), 'BAD_SHAPE'],
  ['a guest without a host', DOMAIN.membership, seal(owner, DOMAIN.membership, meshId, without(GUEST, 'host')), 'BAD_SHAPE'],
  ['a guest that is an owner’s own device', DOMAIN.membership, seal(owner, DOMAIN.membership, meshId, { ...GUEST, own: true }), 'BAD_SHAPE'],
  ['a member with the end of a guest', DOMAIN.membership, seal(owner, DOMAIN.membership, meshId, { ...GUEST, kind: 'member' }), 'BAD_SHAPE'],
  ['a kind that this version does not know', DOMAIN.membership, seal(owner, DOMAIN.membership, meshId, { ...GUEST, kind: 'visitor' }), 'BAD_SHAPE'],
  ['a name with a capital', DOMAIN.membership, seal(owner, DOMAIN.membership, meshId, membershipOf(joiner, 'GPU1', false)), 'BAD_SHAPE'],
  [
    '17 addresses',
    DOMAIN.address,
    seal(founder, DOMAIN.address, meshId, { v: 1, device: founder.did, seq: 1, addrs: Array(17).fill('/ip4/1.2.3.4/tcp/1') }),
    'BAD_SHAPE',
  ],
  ['a mesh without owners', DOMAIN.genesis, seal(owner, DOMAIN.genesis, NO_MESH, { ...GENESIS, owners: [] }), 'BAD_SHAPE'],
  ['a trailing byte', DOMAIN.membership, new Uint8Array([...sealed(founderRecord), 0]), 'NOT_CBOR'],
  ['an envelope of version 2', DOMAIN.membership, encode([2, encode({}), owner.did, filled(64, 0)]), 'BAD_SHAPE'],
]

const badCodes: readonly (readonly [name: string, code: string])[] = [
  ['the last character missing', inviteCode.slice(0, -1)],
  ['two characters swapped', swapped(inviteCode, 100)],
  ['another prefix', `errand2${inviteCode.slice('errand1'.length)}`],
  ['a character that base58 does not have', `${inviteCode.slice(0, 60)}0${inviteCode.slice(61)}`],
  ['a seed that belongs to another offer', writeCode(meshId, SEEDS.mallory, sealed(offerRecord))],
  ['an offer of another mesh', writeCode(filled(32, 9), SEEDS.invite, sealed(offerRecord))],
  ['an offer signed as something else', writeCode(meshId, SEEDS.invite, seal(founder, DOMAIN.announce, meshId, OFFER))],
]

function swapped(text: string, at: number): string {
  const [a = '', b = ''] = text.slice(at)
  return a === b ? swapped(text, at + 1) : `${text.slice(0, at)}${b}${a}${text.slice(at + 2)}`
}

const NOTE = 'Bytes are hex. In values, {"$hex": …} is a byte string. Seeds are those of the Ed25519 keys (RFC 8032).'
const common = { version: 1, note: NOTE, seeds: Object.fromEntries(Object.entries(SEEDS).map(([name, seed]) => [name, hex(seed)])), mesh }

/** By folder under protocols/. */
export const golden = {
  member: {
    protocol: 'member',
    ...common,
    records: [genesisRecord, founderRecord, joinerRecord, byAdmin, guestRecord, successor, addressRecord, ...orderRecords].map(record),
    badRecords: BAD_MEMBERS.map(badRecord),
  },
  announce: {
    protocol: 'announce',
    ...common,
    records: [record(announceRecord)],
    badRecords: (
      [
        ['a fraction', DOMAIN.announce, seal(founder, DOMAIN.announce, meshId, { ...ANNOUNCED, loadPercent: 1.5 }), 'BAD_SHAPE'],
        ['33 labels', DOMAIN.announce, seal(founder, DOMAIN.announce, meshId, { ...ANNOUNCED, labels: manyLabels(33) }), 'BAD_SHAPE'],
        ['a membership as an announcement', DOMAIN.announce, sealed(founderRecord), 'BadSignature'],
      ] satisfies BadRecord[]
    ).map(badRecord),
  },
  hello: {
    protocol: '/errand/hello/1',
    ...common,
    messages: [message('hello', 'Hello', HELLO_VALUE), message('refused', 'HelloRefused', FAULT)],
    badMessages: (
      [
        ['a challenge of 15 bytes', 'Hello', encode({ ...HELLO_VALUE, challenge: filled(15, 1) }), 'BAD_SHAPE'],
        ['no digests', 'Hello', encode(without(HELLO_VALUE, 'digests')), 'BAD_SHAPE'],
        ['a newer version', 'Hello', encode({ ...HELLO_VALUE, v: 2 }), 'BAD_SHAPE'],
        ['33 protocols', 'Hello', encode({ ...HELLO_VALUE, protocols: Array(33).fill('/x/1') }), 'BAD_SHAPE'],
        ['another tag', 'Hello', encode({ ...HELLO_VALUE, t: 'hi' }), 'BAD_SHAPE'],
        ['a trailing byte', 'Hello', new Uint8Array([...encode(HELLO_VALUE), 0]), 'NOT_CBOR'],
        ['a refusal without a code', 'HelloRefused', encode({ t: 'refused', fault: { message: 'no' } }), 'BAD_SHAPE'],
      ] satisfies BadMessage[]
    ).map(bad),
  },
  join: {
    protocol: '/errand/join/1',
    ...common,
    records: [record(offerRecord), record(guestOffer)],
    code: { text: inviteCode, inviter: founder.did, seed: hex(SEEDS.invite) },
    messages: [
      message('challenge', 'Challenge', { t: 'challenge', challenge: CHALLENGE }),
      message('ask', 'Ask', ask),
      message('welcome', 'Welcome', WELCOME),
      message('refused', 'JoinRefused', {
        t: 'refused',
        fault: { code: 'INVITE_USED', message: 'this code was used', hint: 'ask for a new code: errand invite', source: 'device' },
      }),
    ],
    badCodes: badCodes.map(([name, text]) => ({ name, text, code: 'BAD_INVITE' })),
    badMessages: (
      [
        ['three proofs', 'Ask', encode({ ...ask, proofs: Array(3).fill(filled(1, 0)) }), 'BAD_SHAPE'],
        ['17 gifts', 'Ask', encode({ ...ask, gives: Array(17).fill(filled(1, 0)) }), 'BAD_SHAPE'],
        ['a challenge of 17 bytes', 'Challenge', encode({ t: 'challenge', challenge: filled(17, 0) }), 'BAD_SHAPE'],
        ['a welcome without a genesis', 'Welcome', encode(without(WELCOME, 'genesis')), 'BAD_SHAPE'],
        ['an offer without addresses', 'Offer', encode({ ...OFFER, addrs: [] }), 'BAD_SHAPE'],
        ['an offer of a kind that this version does not know', 'Offer', encode({ ...OFFER, kind: 'visitor' }), 'BAD_SHAPE'],
      ] satisfies BadMessage[]
    ).map(bad),
  },
  sync: {
    protocol: '/errand/sync/1',
    ...common,
    messages: [
      message('pull: everything', 'Pull', { ...PULL, have: new Uint8Array() }),
      message('pull: what is not among these two', 'Pull', PULL),
      message('push: one address', 'Push', { t: 'push', set: 'addresses', records: [sealed(addressRecord)] }),
      message('records: a page, and there is more', 'Records', { t: 'records', records: membersHeld, more: true }),
      message('records: nothing', 'Records', { t: 'records', records: [], more: false }),
      message('ack: two were new and one task was stopped', 'Ack', { t: 'ack', accepted: 2, stopped: ['019aa3c1-0000-7000-8000-000000000001'] }),
      message('refused', 'SyncRefused', { t: 'refused', fault: { code: 'HELLO_FIRST', message: 'sync is served after hello only' } }),
    ],
    badMessages: (
      [
        ['a set that this version does not know', 'Pull', encode({ ...PULL, set: 'skills' }), 'BAD_SHAPE'],
        ['257 records', 'Push', encode({ t: 'push', set: 'members', records: Array(257).fill(filled(1, 0)) }), 'BAD_SHAPE'],
        ['a negative count', 'Ack', encode({ t: 'ack', accepted: -1, stopped: [] }), 'BAD_SHAPE'],
        ['keys out of order', 'Ack', UNSORTED, 'NOT_CANONICAL'],
      ] satisfies BadMessage[]
    ).map(bad),
  },
  call: {
    protocol: '/errand/call/1',
    ...common,
    messages: CALL_MESSAGES.map((one) => message(...one)),
    badMessages: BAD_CALL_MESSAGES.map(bad),
  },
  task: {
    protocol: 'task',
    ...common,
    messages: TASK_MESSAGES.map((one) => message(...one)),
    badMessages: BAD_TASK_MESSAGES.map(bad),
  },
} as const

function manyLabels(n: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: n }, (_, i) => [`label-${i}`, 'x']))
}
