/**
 * Attackers: libp2p peers inside the test process. They have the project's keys, codecs and framing, and none of its manners:
 * every frame is the test's own. An attacker that is a member joined honestly, with an invite, and misuses its papers afterwards.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type * as v from 'valibot'
import { Accepted, Ended, EXEC, Refused, TAG } from '../../protocols/exec/messages.ts'
import { HELLO, type Hello, HelloAnswer } from '../../protocols/hello/messages.ts'
import type { Welcome } from '../../protocols/join/messages.ts'
import { decodeAs, encode } from '../../protocols/wire.ts'
import type { ExecRunArgs } from '../../src/authority/commands.ts'
import { type Delegation, decodeDelegation, type InvocationFields, signInvocation } from '../../src/authority/token.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { FrameLink } from '../../src/base/frames.ts'
import { type Did, Identity, peerIdOf } from '../../src/identity/identity.ts'
import { type Host, startHost } from '../../src/mesh/host.ts'
import { askToJoin } from '../../src/mesh/join.ts'
import { byteLink, MessageLink } from '../../src/mesh/streams.ts'
import { readCode } from '../../src/runtime/invite-code.ts'
import { makeAsk } from '../../src/runtime/joining.ts'
import type { Node, World } from '../support/world.ts'

/** What a member has in hand. */
export interface Papers {
  readonly identity: Identity
  readonly meshId: Uint8Array
  readonly membership: Uint8Array
  readonly welcome: Welcome
}

/** Joins like an honest device and keeps the papers. @param words what the invite says besides the name. */
export async function enrol(w: World, inviter: Node, name: string, ...words: string[]): Promise<Papers> {
  const code = readCode((await w.invite(inviter.home, '--name', name, ...words)).code)
  const identity = new Identity(systemRandom(32))
  const { meshId, inviter: did, offer } = code
  const welcome = await askToJoin({
    ...{ identity, meshId, inviterPeerId: peerIdOf(did), addresses: offer.addrs, version: '0.1.0' },
    makeAsk: (challenge) => makeAsk(code, { device: identity, clock: systemClock, random: systemRandom, version: '0.1.0', name, challenge }),
  })
  return { identity, meshId, membership: welcome.membership, welcome }
}

/** A connection whose hello is through. */
export interface Session {
  readonly connection: Connection
  /** What the other side expects in our invocations. */
  readonly challenge: Uint8Array
}

const ANSWER_MS = 15_000

export class Attacker implements AsyncDisposable {
  private constructor(
    readonly host: Host,
    readonly identity: Identity,
    readonly meshId: Uint8Array,
  ) {}

  static async start(meshId: Uint8Array, identity = new Identity(systemRandom(32))): Promise<Attacker> {
    const host = await startHost({ identity, meshId, listen: [], version: '0.1.0', mdns: false, dht: false }, async () => undefined)
    return new Attacker(host, identity, meshId)
  }

  /** A new connection, also when there is one. */
  async dial(address: string): Promise<Connection> {
    return await this.host.dial(multiaddr(address), { force: true, signal: AbortSignal.timeout(10_000) })
  }

  /** One after the other: libp2p makes one of dials to the same peer that are under way together. */
  async dialMany(address: string, count: number): Promise<Connection[]> {
    const connections: Connection[] = []
    while (connections.length < count) connections.push(await this.dial(address))
    return connections
  }

  /** Says hello in whatever words it likes. */
  async hello(connection: Connection, words: Partial<Hello> & Pick<Hello, 'membership'>): Promise<v.InferOutput<typeof HelloAnswer>> {
    const link = await this.messages(connection, HELLO.ids[0], HELLO.maxBytes)
    const none = new Uint8Array(32)
    const digests = { members: none, addresses: none, revocations: none }
    const rest = { challenge: systemRandom(16), protocols: [], digests, time: systemClock.now() }
    await link.send({ t: 'hello', v: 1, version: '0.1.0', mesh: this.meshId, ...rest, ...words })
    const answer = await link.receive(HelloAnswer)
    await link.close()
    return answer
  }

  /** Dials and is let in, as the member that it is. */
  async session(address: string, membership: Uint8Array): Promise<Session> {
    const connection = await this.dial(address)
    const answer = await this.hello(connection, { membership })
    if (answer.t !== 'hello') throw new Error(`not let in: ${answer.fault.message}`)
    return { connection, challenge: answer.challenge }
  }

  async messages(connection: Connection, protocol: string, maxBytes: number): Promise<MessageLink> {
    const signal = AbortSignal.timeout(ANSWER_MS)
    return new MessageLink(await connection.newStream([protocol], { signal, maxOutboundStreams: 10_000 }), maxBytes, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host.stop()
  }
}

/** Protocols that a node registers, in its own words: multistream's `ls`. */
export async function protocolsOf(connection: Connection): Promise<string[]> {
  const raw: Stream = await Reflect.get(connection, 'muxer').createStream({}) // not newStream: that one negotiates by itself
  const line = lpStream(raw)
  const o = { signal: AbortSignal.timeout(ANSWER_MS) }
  await line.write(Buffer.from('/multistream/1.0.0\n'), o)
  await line.read(o)
  await line.write(Buffer.from('ls\n'), o)
  const listed = Buffer.from((await line.read(o)).subarray()).toString()
  raw.abort(new Error('seen enough'))
  return listed.split('\n').flatMap((name) => /\/[\x21-\x7e]+$/.exec(name)?.[0] ?? [])
}

/** Opens a protocol, says something, and reports what came back: bytes, or a reset. */
export async function probe(connection: Connection, protocol: string, say = Buffer.alloc(64, 1)): Promise<{ bytes: number; reset: boolean }> {
  try {
    const stream = await connection.newStream([protocol], { signal: AbortSignal.timeout(ANSWER_MS), maxOutboundStreams: 10_000 })
    return await new Promise((resolve) => {
      let bytes = 0
      stream.addEventListener('message', (event) => {
        bytes += event.data.byteLength
        resolve({ bytes, reset: false }) // before the abort, which closes the stream at once
        stream.abort(new Error('answered'))
      })
      stream.addEventListener('close', (event) => resolve({ bytes, reset: event.error !== undefined }))
      if (stream.status !== 'open') resolve({ bytes, reset: true })
      else stream.send(say)
    })
  } catch {
    return { bytes: 0, reset: true }
  }
}

/** Arguments of `/exec/run`, every field declared. */
export function command(exe: string, ...argv: string[]): ExecRunArgs {
  return { exe, argv, cwd: '', env: [], user: '', timeoutMs: 0, maxOutputBytes: 0, tty: false, stdin: false, task: crypto.randomUUID() }
}

export interface Crafted {
  readonly by: Identity
  readonly to: Did
  readonly challenge: Uint8Array
  readonly args: Readonly<Record<string, unknown>>
  readonly chain?: readonly Delegation[]
  /** Whatever else the token is to say, or to say differently. */
  readonly fields?: Partial<InvocationFields>
}

/** A signed `open` frame; valid unless the test says otherwise. */
export function openFrame({ by, to, challenge, args, chain = [], fields = {} }: Crafted, env: Readonly<Record<string, string>> = {}): Uint8Array {
  const now = Math.floor(systemClock.now() / 1_000)
  const nonce = Buffer.concat([challenge, systemRandom(16)])
  const invocation = signInvocation(by, {
    sub: to,
    aud: to,
    cmd: '/exec/run',
    args,
    prf: chain.map(({ cid }) => cid),
    nonce,
    exp: now + 60,
    iat: now,
    ...fields,
  })
  return encode({ invocation: invocation.bytes, proofs: chain.map(({ bytes }) => bytes), env })
}

export type Answer =
  | { readonly t: 'refused'; readonly code: string; readonly message: string; readonly reason: unknown }
  | { readonly t: 'ended'; readonly ended: Ended; readonly stdout: Buffer }
  /** The stream ended or was reset without a word. */
  | { readonly t: 'cut' }

export class ExecStream {
  private constructor(
    readonly link: FrameLink,
    readonly stream: Stream,
  ) {}

  static async open(connection: Connection, withinMs = ANSWER_MS): Promise<ExecStream> {
    const stream = await connection.newStream([...EXEC.ids], { signal: AbortSignal.timeout(withinMs), maxOutboundStreams: 10_000 })
    return new ExecStream(new FrameLink(byteLink(stream), EXEC.maxFrameBytes), stream)
  }

  /** Reads to the end; `onAccepted` runs when the command does. */
  async answer(onAccepted: (task: string) => void = () => undefined): Promise<Answer> {
    const stdout: Uint8Array[] = []
    try {
      for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) {
        const payload = frame.payload.subarray()
        if (frame.tag === TAG.stdout) stdout.push(payload)
        if (frame.tag === TAG.accepted) onAccepted(decodeAs(Accepted, payload, 1 << 16).task)
        if (frame.tag === TAG.ended) return { t: 'ended', ended: decodeAs(Ended, payload, 1 << 16), stdout: Buffer.concat(stdout) }
        if (frame.tag === TAG.refused) {
          const { code, message, fields } = decodeAs(Refused, payload, 1 << 16)
          return { t: 'refused', code, message, reason: fields?.['reason'] }
        }
      }
    } catch {
      // Reset: the same as an end without a word.
    }
    return { t: 'cut' }
  }
}

/** Opens a stream, sends one `open`, and reads what becomes of it; a stream that takes longer is reset. */
export async function ask(connection: Connection, open: Uint8Array, withinMs = ANSWER_MS): Promise<Answer> {
  const stream = await ExecStream.open(connection, withinMs)
  const cancel = systemClock.after(withinMs, () => stream.stream.abort(new Error('no answer in time')))
  await stream.link.write(TAG.open, open)
  const answer = await stream.answer().finally(cancel)
  await stream.stream.close().catch(() => undefined)
  return answer
}

export function delegationsOf({ welcome }: Papers): Delegation[] {
  return welcome.delegations.map((bytes) => decodeDelegation(bytes))
}

/** The chain that a giving invite brought: from the device's root over the owner to whoever joined. */
export function chainTo(papers: Papers, device: string): Delegation[] {
  const links = delegationsOf(papers)
  const root = links.find(({ iss, sub }) => iss === device && sub === device)
  const leaf = links.find(({ aud }) => aud === papers.identity.did)
  if (root === undefined || leaf === undefined) throw new Error('these papers hold no right on that device')
  return [root, leaf]
}
