/** Every door that bytes of others come in by, as something that takes bytes; and what it may say. A new protocol gets its row here. */

import { readFileSync } from 'node:fs'
import { encode } from '@ipld/dag-cbor'
import * as lp from 'it-length-prefixed'
import type * as v from 'valibot'
import { ANNOUNCE, Announcement } from '../../protocols/announce/messages.ts'
import { APPROVAL, ApprovalArgs, WaitingCommand } from '../../protocols/approval/messages.ts'
import { AUDIT, AuditAnswer, AuditRequest } from '../../protocols/audit/messages.ts'
import { CALL, CALL_TAG, Answer as CallAnswer, Ask as CallAsk } from '../../protocols/call/messages.ts'
import * as exec from '../../protocols/exec/messages.ts'
import * as forward from '../../protocols/forward/messages.ts'
import { HELLO, HelloAnswer } from '../../protocols/hello/messages.ts'
import { HOST } from '../../protocols/host/messages.ts'
import { JOIN, JoinAnswer, Ask as JoinAsk } from '../../protocols/join/messages.ts'
import { AddressRecord, Genesis, Membership } from '../../protocols/member/messages.ts'
import { ORDER, Order } from '../../protocols/member/orders.ts'
import { FinishAnswer, PAIR, Finish as PairFinish, Start as PairStart, StartAnswer } from '../../protocols/pair/messages.ts'
import { SYNC, SyncAnswer, SyncAsk } from '../../protocols/sync/messages.ts'
import { DOMAIN, type Domain, decodeAs } from '../../protocols/wire.ts'
import { EMPTY_TIP, extend, readHead } from '../../src/audit/chain.ts'
import { systemClock } from '../../src/base/clock.ts'
import { ErrandError } from '../../src/base/errors.ts'
import { type ByteLink, FrameLink } from '../../src/base/frames.ts'
import { Conversation } from '../../src/exec/conversation.ts'
import { open } from '../../src/identity/envelope.ts'
import { converse } from '../../src/local/conversation.ts'
import { checked } from '../../src/local/door.ts'
import { NAMED } from '../../src/local/openapi.ts'
import { EXAMPLES } from '../../src/local/openapi-examples.ts'
import { readCode } from '../../src/runtime/invite-code.ts'
import { readShortCode } from '../../src/runtime/pair-code.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import type { Cases } from '../vectors/cases.ts'
import { attemptDecode, type Door, isExpected, jsonIn, text } from './door.ts'
import { tokenDoors } from './doors-tokens.ts'
import { seedsOf, textSeeds } from './seeds.ts'

export function doorsOf(root: string, cases: Cases): readonly Door[] {
  return [...tokenDoors(root, cases), ...messageDoors(root), ...recordDoors(root), ...frameDoors(root), ...localDoors(root)]
}

function messageDoors(root: string): Door[] {
  const door = (name: string, from: string, schemas: readonly v.GenericSchema[], max: number): Door => ({
    name,
    seeds: seedsOf(root, from),
    feed: (bytes) => schemas.map((schema) => decodeAs(schema, bytes, max)),
  })
  return [
    door('hello', 'hello', [HelloAnswer], HELLO.maxBytes),
    door('join: ask', 'join', [JoinAsk], JOIN.maxAskBytes),
    door('join: answer', 'join', [JoinAnswer], JOIN.maxWelcomeBytes),
    door('pair: start', 'pair', [PairStart], PAIR.maxAskBytes),
    door('pair: finish', 'pair', [PairFinish], PAIR.maxAskBytes),
    door('pair: answer', 'pair', [StartAnswer], PAIR.maxBytes),
    door('pair: given', 'pair', [FinishAnswer], PAIR.maxBytes),
    { name: 'short code', seeds: textSeeds(['7-velvet-canoe-piano-fossil', '360 MATC AUDI abov seve']), feed: (bytes) => readShortCode(text(bytes)) },
    door('approval', 'approval', [ApprovalArgs, WaitingCommand], APPROVAL.maxArgsBytes),
    door('sync: ask', 'sync', [SyncAsk], SYNC.maxMessageBytes),
    door('sync: answer', 'sync', [SyncAnswer], SYNC.maxMessageBytes),
    door('audit: request', 'audit', [AuditRequest], AUDIT.maxFrameBytes),
    door('audit: answer', 'audit', [AuditAnswer], AUDIT.maxFrameBytes),
    { name: 'audit: entries', seeds: seedsOf(root, 'audit'), feed: (bytes) => extend(EMPTY_TIP, [bytes]) },
    { name: 'invite code', seeds: textSeeds(codesIn(root)), feed: (bytes) => readCode(text(bytes)) },
    { name: 'audit: head', seeds: seedsOf(root, 'audit'), feed: (bytes) => readHead(new Uint8Array(32).fill(0x22), bytes) },
  ]
}

function recordDoors(root: string): Door[] {
  const mesh = new Uint8Array(32).fill(7)
  const door = (name: string, from: string, schema: v.GenericSchema, domain: Domain): Door => ({
    name,
    seeds: seedsOf(root, from),
    feed: (bytes) => {
      // Signed or not, what lies inside is read: a member can sign anything.
      decodeInside(schema, bytes)
      return open(schema, domain, mesh, bytes)
    },
  })
  return [
    door('membership', 'member', Membership, DOMAIN.membership),
    door('address', 'member', AddressRecord, DOMAIN.address),
    door('genesis', 'member', Genesis, DOMAIN.genesis),
    door('order', 'member', Order, DOMAIN.order),
    door('announcement', 'announce', Announcement, DOMAIN.announce),
  ]
}

function frameDoors(root: string): Door[] {
  const schemas: readonly v.GenericSchema[] = [
    exec.Open,
    exec.Accepted,
    exec.Refused,
    exec.StdinCredit,
    exec.Ended,
    exec.At,
    exec.Attach,
    exec.Queued,
    exec.Bulk,
    exec.Detached,
  ]
  const forwards = [forward.OpenForward, forward.AcceptedForward, forward.RefusedForward, forward.Connect, forward.Incoming, forward.EndedForward]
  return [
    {
      name: 'exec frames',
      seeds: seedsOf(root, 'exec'),
      feed: async (bytes) => await everyFrame(bytes, exec.EXEC.maxFrameBytes, schemas),
    },
    { name: 'forward frames', seeds: seedsOf(root, 'forward'), feed: async (bytes) => await everyFrame(bytes, forward.FORWARD.maxFrameBytes, forwards) },
    { name: 'call frames', seeds: CALLS, feed: async (bytes) => await everyFrame(bytes, CALL.maxFrameBytes, [CallAsk, CallAnswer]) },
    {
      name: 'host conversation',
      seeds: seedsOf(root, 'host'),
      feed: async (bytes) => {
        const desk = {
          ...refusesAll,
          bulk: { admit: () => Promise.resolve(null), expel: () => undefined },
          attended: () => () => undefined,
          attending: () => ({ v: 1, pid: 1, jobs: [] }),
        }
        const on = { clock: systemClock, gone: Promise.resolve(), begun: () => undefined, openMs: 1_000 }
        return await new Conversation(desk, new FrameLink(linkOf(bytes), HOST.maxFrameBytes), on).hold()
      },
    },
  ]
}

/** The protocol has no vectors of its own yet. */
const CALLS: readonly Uint8Array[] = [
  { question: 'list', task: '', invocation: new Uint8Array(64), proofs: [] },
  { question: 'why', task: '', events: true, invocation: new Uint8Array(64), proofs: [new Uint8Array(32)] },
].map((ask) => lp.encode.single(Buffer.concat([Uint8Array.of(CALL_TAG.ask), encode(ask)])).subarray())

function localDoors(root: string): Door[] {
  const requests = Object.entries(NAMED).filter(([name]) => name.endsWith('Request'))
  return [
    {
      name: 'local API: JSON',
      seeds: textSeeds(requests.map(([name]) => JSON.stringify(EXAMPLES[name] ?? {}))),
      feed: (bytes) => {
        const value = jsonIn(text(bytes))
        return requests.map(([, schema]) => attempt(() => checked(schema, value)))
      },
    },
    {
      name: 'local API: frames',
      seeds: seedsOf(root, 'local'),
      feed: async (bytes) => {
        const link = new FrameLink(linkOf(bytes), 1 << 20)
        const on = {
          runtime: nobody,
          actor: { did: 'did:key:z', via: 'local' },
          updates: () => none(),
          clock: systemClock,
          stopping: never,
        } as const
        await converse(on, link, never)
      },
    },
  ]
}

/** Outlives every conversation, as the server's does: what hangs on to it is growth. */
const never = new AbortController().signal

/** All that it may ask of the host. */
const refusesAll = {
  prepare: (): never => {
    throw new ErrandError('DENIED', 'nothing runs here')
  },
  start: (): never => {
    throw new ErrandError('DENIED', 'nothing runs here')
  },
  find: () => undefined,
}

/** A runtime that refuses whatever it is asked. */
const nobody: Runtime = new Proxy({} as Runtime, { get: () => () => Promise.reject(new ErrandError('DENIED', 'nobody is here')) })

async function* none(): AsyncGenerator<never> {}

function linkOf(bytes: Uint8Array): ByteLink {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield bytes
  }
  return { source: source(), write: () => undefined, end: () => Promise.resolve(), abort: () => undefined }
}

async function everyFrame(bytes: Uint8Array, max: number, schemas: readonly v.GenericSchema[]): Promise<void> {
  const link = new FrameLink(linkOf(bytes), max)
  // Seventy thousand empty frames are one finding or none.
  for (let left = 64; left > 0; left--) {
    const frame = await link.read()
    if (frame === undefined) return
    const payload = frame.payload.subarray()
    for (const schema of schemas) attempt(() => decodeAs(schema, payload, max))
  }
}

/** One of many schemas may refuse; what is unexpected goes on. */
function attempt(read: () => unknown): void {
  try {
    read()
  } catch (thrown) {
    if (!isExpected(thrown)) throw thrown
  }
}

function decodeInside(schema: v.GenericSchema, bytes: Uint8Array): void {
  const inner = attemptDecode(bytes)
  const payload = Array.isArray(inner) && inner[1] instanceof Uint8Array ? inner[1] : bytes
  attempt(() => decodeAs(schema, payload, ORDER.maxBodyBytes + ANNOUNCE.maxBytes + 65_536))
}

function codesIn(root: string): string[] {
  const file = readFileSync(`${root}/protocols/join/vectors.json`, 'utf8')
  return [...file.matchAll(/"(errand1[1-9A-Za-z]+)"/g)].map((match) => match[1] ?? '')
}
