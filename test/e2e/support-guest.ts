/**
 * A guest that speaks raw libp2p and keeps every byte it is sent: with gossip, DHT and identify of a whole member, a port of its own that it
 * tells everybody, and handlers for all that a device might want to tell it. Its record of what came is what docs/security.md justifies.
 */
import type { Connection, Stream, StreamMiddleware } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import * as v from 'valibot'
import { AUDIT } from '../../protocols/audit/messages.ts'
import { CALL, CALL_TAG } from '../../protocols/call/messages.ts'
import { EXEC, TAG } from '../../protocols/exec/messages.ts'
import { HELLO, type Hello, HelloAnswer } from '../../protocols/hello/messages.ts'
import { Challenge, JOIN, JoinAnswer, type Welcome } from '../../protocols/join/messages.ts'
import { type SetName, SYNC, SyncAnswer, SyncAsk } from '../../protocols/sync/messages.ts'
import { DOMAIN, decodeAs } from '../../protocols/wire.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { seal } from '../../src/identity/envelope.ts'
import { didOfPeerId, Identity } from '../../src/identity/identity.ts'
import { type Host, startHost } from '../../src/mesh/host.ts'
import { MessageLink } from '../../src/mesh/streams.ts'
import type { ReadCode } from '../../src/runtime/invite-code.ts'
import { makeAsk } from '../../src/runtime/joining.ts'
import type { Session } from './support-attack.ts'

/** One stream: who opened it, and all that came on it. */
interface Heard {
  readonly protocol: string
  readonly direction: Stream['direction']
  readonly from: string
  readonly chunks: Buffer[]
  /** Of sync: the set that was asked for. */
  asked?: SetName
}

const none = new Uint8Array(32)
const DEADLINE_MS = 15_000

export class WireGuest implements AsyncDisposable {
  readonly #heard: Heard[] = []
  /** Every connection that somebody opened to this guest: the DIDs. */
  readonly calledBy: string[] = []
  welcome: Welcome | undefined

  private constructor(
    readonly host: Host,
    readonly identity: Identity,
    readonly code: ReadCode,
  ) {}

  static async start(code: ReadCode): Promise<WireGuest> {
    const identity = new Identity(systemRandom(32))
    let guest: WireGuest | undefined
    const options = { identity, meshId: code.meshId, listen: ['/ip4/127.0.0.1/tcp/0'], version: '0.1.0', mdns: false, dht: true }
    const host = await startHost(options, async (made) => {
      guest = new WireGuest(made, identity, code)
      await guest.#listen()
    })
    if (guest === undefined) throw new Error(`no guest on ${host.peerId.toString()}`)
    return guest
  }

  /** Joins on this very host, so that the welcome is part of what was heard. */
  async join(): Promise<Welcome> {
    const connection = await this.dial(this.code.offer.addrs[0] ?? '')
    const link = await this.#link(connection, JOIN.ids[0], JOIN.maxWelcomeBytes)
    const { challenge } = await link.receive(Challenge)
    const how = { device: this.identity, clock: systemClock, random: systemRandom, version: '0.1.0', name: 'wire', challenge }
    await link.send(makeAsk(this.code, how))
    const answer = await link.receive(JoinAnswer)
    if (answer.t === 'refused') throw new Error(answer.fault.message)
    await connection.close()
    this.welcome = answer
    return answer
  }

  async dial(address: string): Promise<Connection> {
    return await this.host.dial(multiaddr(address), { force: true, signal: AbortSignal.timeout(DEADLINE_MS) })
  }

  async hello(connection: Connection, words: Partial<Hello> = {}): Promise<v.InferOutput<typeof HelloAnswer>> {
    const link = await this.#link(connection, HELLO.ids[0], HELLO.maxBytes)
    await link.send(this.#hello(words))
    const answer = await link.receive(HelloAnswer)
    await link.close()
    return answer
  }

  async session(address: string): Promise<Session> {
    const connection = await this.dial(address)
    const answer = await this.hello(connection)
    if (answer.t !== 'hello') throw new Error(`not let in: ${answer.fault.message}`)
    return { connection, challenge: answer.challenge }
  }

  async sync(connection: Connection, ask: SyncAsk): Promise<SyncAnswer> {
    const signal = AbortSignal.timeout(DEADLINE_MS)
    const stream = await connection.newStream([...SYNC.ids], { signal, maxOutboundStreams: 10_000 })
    const heard = this.#heard.at(-1)
    if (heard !== undefined) heard.asked = ask.set
    const link = new MessageLink(stream, 8 << 20, signal)
    await link.send(ask)
    const answer = await link.receive(SyncAnswer)
    await link.close()
    return answer
  }

  /** Tells who is met where this guest listens. */
  address(): Uint8Array {
    const addrs = this.host.getMultiaddrs().map((one) => one.toString().replace(/\/p2p\/.*$/, ''))
    return seal(this.identity, DOMAIN.address, this.code.meshId, { v: 1, device: this.identity.did, seq: systemClock.now(), addrs })
  }

  /** What came, as the first column of the list in docs/security.md calls it. */
  kinds(): string[] {
    return [...new Set(this.#heard.flatMap(kindsOf))].sort()
  }

  /** Everything that came, one after the other. */
  bytes(): Buffer {
    return Buffer.concat(this.#heard.flatMap(({ chunks }) => [...chunks, Buffer.of(0)]))
  }

  #hello(words: Partial<Hello>): Hello {
    const membership = this.welcome?.membership ?? new Uint8Array(8)
    const digests = { members: none, addresses: none, revocations: none }
    const rest = { challenge: systemRandom(16), protocols: [], digests, time: systemClock.now() }
    return { t: 'hello', v: 1, version: '0.1.0', mesh: this.code.meshId, membership, ...rest, ...words }
  }

  async #link(connection: Connection, protocol: string, maxBytes: number): Promise<MessageLink> {
    const signal = AbortSignal.timeout(DEADLINE_MS)
    return new MessageLink(await connection.newStream([protocol], { signal, maxOutboundStreams: 10_000 }), maxBytes, signal)
  }

  async #listen(): Promise<void> {
    const { components } = this.host as unknown as { components: { registrar: { getMiddleware(protocol: string): StreamMiddleware[] } } }
    components.registrar.getMiddleware = () => [
      (stream, connection, next) => {
        this.#record(stream, connection)
        next(stream, connection)
      },
    ]
    this.host.addEventListener('connection:open', ({ detail }) => {
      if (detail.direction === 'inbound') this.calledBy.push(didOfPeerId(detail.remotePeer.toString()))
    })
    await this.host.handle([...HELLO.ids], (stream) => this.#answerHello(stream))
    await this.host.handle([...SYNC.ids], (stream) => this.#answerSync(stream), { maxInboundStreams: 1_000 })
    await this.host.handle([...EXEC.ids, ...CALL.ids, ...AUDIT.ids], () => undefined)
  }

  #record(stream: Stream, connection: Connection): void {
    const heard: Heard = { protocol: stream.protocol, direction: stream.direction, from: didOfPeerId(connection.remotePeer.toString()), chunks: [] }
    this.#heard.push(heard)
    const dispatch = stream.dispatchEvent.bind(stream)
    stream.dispatchEvent = (event) => {
      const data: unknown = Reflect.get(event, 'data')
      if (event.type === 'message' && data !== undefined) heard.chunks.push(Buffer.from((data as { subarray(): Uint8Array }).subarray()))
      return dispatch(event)
    }
  }

  async #answerHello(stream: Stream): Promise<void> {
    const link = new MessageLink(stream, HELLO.maxBytes, AbortSignal.timeout(DEADLINE_MS))
    await link.receive(HelloAnswer).catch(() => undefined)
    await link.send(this.#hello({})).catch(() => undefined)
    await link.close().catch(() => undefined)
  }

  async #answerSync(stream: Stream): Promise<void> {
    const link = new MessageLink(stream, 8 << 20, AbortSignal.timeout(DEADLINE_MS))
    const ask = await link.receive(SyncAsk).catch(() => undefined)
    const records = ask?.t === 'pull' && ask.set === 'addresses' ? [this.address()] : []
    await link.send(ask?.t === 'push' ? { t: 'ack', accepted: 0, stopped: [] } : { t: 'records', records, more: false }).catch(() => undefined)
    await link.close().catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host.stop()
  }
}

const NAMES: readonly (readonly [ids: readonly string[], name: string])[] = [
  [HELLO.ids, 'hello'],
  [JOIN.ids, 'join'],
  [SYNC.ids, 'sync'],
  [EXEC.ids, 'exec'],
  [CALL.ids, 'call'],
]

function kindsOf(heard: Heard): string[] {
  const bytes = Buffer.concat(heard.chunks)
  if (bytes.length === 0) return []
  if (/\/ping\/1\.0\.0$/.test(heard.protocol)) return ['ping']
  const name = NAMES.find(([ids]) => ids.includes(heard.protocol))?.[1]
  if (name === undefined) return [heard.protocol]
  if (name === 'exec' || name === 'call') return framesIn(bytes).map(([tag = 0]) => `${name} ${tagName(name, tag)}`)
  return framesIn(bytes).map((body) => messageName(name, heard, decodeAs(Message, body, 8 << 20)))
}

const Message = v.object({ t: v.string(), set: v.optional(v.string()), records: v.optional(v.array(v.unknown())) })

function messageName(name: string, { asked }: Heard, { t, set, records }: v.InferOutput<typeof Message>): string {
  if (name !== 'sync') return `${name} ${t}`
  if (t === 'records') return records?.length === 0 ? 'sync records' : `sync records ${asked ?? ''}`
  return set === undefined ? `sync ${t}` : `sync ${t} ${set}`
}

function tagName(name: 'exec' | 'call', tag: number): string {
  const table: Readonly<Record<string, number>> = name === 'exec' ? TAG : CALL_TAG
  return Object.entries(table).find(([, value]) => value === tag)?.[0] ?? `0x${tag.toString(16)}`
}

/** `varint length ‖ body`, one after the other; what was cut in the middle is left out. */
function framesIn(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0
      length += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    if (at + length > bytes.length) break
    frames.push(bytes.subarray(at, at + length))
    at += length
  }
  return frames
}
