/**
 * Who is on the line: runs hello on every connection and serves nothing else before it is through.
 * Spec: protocols/hello/README.md.
 */
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { HELLO, Hello, HelloAnswer } from '../../protocols/hello/messages.ts'
import { JOIN } from '../../protocols/join/messages.ts'
import { sameBytes } from '../../protocols/wire.ts'
import type { Clock, Random } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { type Did, didOfPeerId } from '../identity/identity.ts'
import type { Directory, Verdict } from '../registry/directory.ts'
import { type Company, isForGuests, isGuestLine, notForGuests, refuseMeeting } from './company.ts'
import { ended, gateEveryStream, removed } from './gate.ts'
import { MessageLink } from './streams.ts'

/** A device whose hello is through, on one connection. */
export interface Peer {
  readonly did: Did
  readonly connection: Connection
  readonly version: string
  /** What invocations sent to this device must carry. */
  readonly theirChallenge: Uint8Array
  /** What invocations from this device must carry. */
  readonly ourChallenge: Uint8Array
  readonly hello: Hello
  rttMs: number
  /** Resolves when both sides hold the same revocations and members, or when that was tried in vain. */
  synced: Promise<void>
  /** Resolves when what it asks may be judged: `synced`, and on a device that has just come back when somebody else was heard as well. */
  heard: () => Promise<void>
}

type State = { readonly t: 'helloing'; readonly done: Promise<Peer | undefined> } | { readonly t: 'up'; readonly peer: Peer }

export interface LinksOn {
  readonly self: Did
  readonly meshId: Uint8Array
  readonly directory: Directory
  readonly company: Company
  /** A device of this mesh was refused; strangers are nobody's to name. */
  readonly refused: (seen: { readonly did: Did; readonly address: string; readonly code: string; readonly reason: string }) => void
  /** Keeps a membership that a peer shows; what is heard of it now must be known after a restart as well. */
  readonly admitMember: (membership: Uint8Array) => Promise<Verdict>
  /** Orders that show to a device why it is refused, and what such a refusal shows to this one. */
  readonly removals: { readonly of: (did: Did) => Uint8Array[]; readonly learn: (order: Uint8Array) => Promise<unknown> }
  readonly clock: Clock
  readonly random: Random
  readonly log: (event: string, facts: Record<string, unknown>) => void
  /** Everything of a hello that is not bound to the connection. */
  readonly ownHello: (to: Did) => Omit<Hello, 'challenge' | 't' | 'v' | 'mesh' | 'time'>
  /** A stream has passed the gate. */
  readonly reached: (stream: Stream) => void
  readonly onUp: (peer: Peer) => void
  readonly onDown: (did: Did) => void
}

/** Connections that have not said hello yet. 64: a burst of re-joining devices after a restart; a flood beyond it is cut. */
const MAX_UNPROVEN = 64
/** A device that is removed gets nothing from now on; its line stays so long for the order that tells it why. */
const LAST_WORD_MS = 1_000
const BEFORE_HELLO: readonly string[] = [...HELLO.ids, ...JOIN.ids]

export class Links {
  readonly #states = new Map<string, State>()
  readonly #unproven = new Map<string, Connection>()
  readonly #refusals = new Map<string, string>()

  constructor(private readonly on: LinksOn) {}

  async attach(libp2p: Libp2p): Promise<void> {
    gateEveryStream(libp2p, async (stream, connection) => {
      await this.#gate(stream, connection)
      this.on.reached(stream)
    })
    libp2p.addEventListener('connection:open', (event) => this.#opened(event.detail))
    libp2p.addEventListener('connection:close', (event) => this.#closed(event.detail))
    await libp2p.handle([...HELLO.ids], (stream, connection) => this.#answer(stream, connection), { maxInboundStreams: 1, maxOutboundStreams: 1 })
  }

  /** The live connection to a device whose hello is through: the newest, for an older one may be dead without a word. */
  of(did: string): Peer | undefined {
    return this.every().findLast((peer) => peer.did === did)
  }

  all(): Peer[] {
    const byDid = new Map<string, Peer>()
    for (const state of this.#states.values()) if (state.t === 'up' && state.peer.connection.status === 'open') byDid.set(state.peer.did, state.peer)
    return [...byDid.values()]
  }

  /** Every connection whose hello is through; a device may have several. */
  every(): Peer[] {
    return [...this.#states.values()].flatMap((state) => (state.t === 'up' && state.peer.connection.status === 'open' ? [state.peer] : []))
  }

  peerOn(connection: Connection): Peer | undefined {
    const state = this.#states.get(connection.id)
    return state?.t === 'up' ? state.peer : undefined
  }

  /** Ends the lines of devices that are in the mesh no more, and of guests that have nothing here any more; all of them where it is this one that is out. */
  expel(): void {
    for (const { did, connection } of this.every()) {
      const isOver = (): boolean => this.#refusal(did, connection.direction) !== undefined
      if (isOver()) this.on.clock.after(LAST_WORD_MS, () => isOver() && connection.abort(new Error('this device has nothing to say here any more')))
    }
  }

  /** Why the last hello with this device failed, in words. */
  refusalOf(did: string): string | undefined {
    return this.#refusals.get(did)
  }

  /** Waits for the hello of a fresh outgoing connection. @throws NOT_ADMITTED with the other side's reason. */
  async ready(connection: Connection): Promise<Peer> {
    const state = this.#states.get(connection.id)
    const peer = state?.t === 'up' ? state.peer : await state?.done
    if (peer !== undefined) return peer
    const why = this.#refusals.get(didOfPeerId(connection.remotePeer.toString())) ?? 'the connection closed before hello was through'
    throw new ErrandError('NOT_ADMITTED', `the device did not accept this one: ${why}`, { retryable: true })
  }

  #opened(connection: Connection): void {
    if (connection.direction === 'outbound') {
      const done = this.#greet(connection)
      this.#states.set(connection.id, { t: 'helloing', done })
      return
    }
    if (this.#unproven.size >= MAX_UNPROVEN) return connection.abort(new Error('too many connections without hello'))
    this.#unproven.set(connection.id, connection)
    this.on.clock.after(HELLO.deadlineMs, () => {
      if (this.#unproven.has(connection.id) && !connection.streams.some((stream) => JOIN.ids.some((id) => id === stream.protocol))) {
        connection.abort(new Error('no hello in time'))
      }
    })
    // A join may take longer than a hello, but not for ever.
    this.on.clock.after(JOIN.deadlineMs, () => {
      if (this.#unproven.has(connection.id)) connection.abort(new Error('no hello in time'))
    })
  }

  #closed(connection: Connection): void {
    const state = this.#states.get(connection.id)
    this.#states.delete(connection.id)
    this.#unproven.delete(connection.id)
    if (state?.t === 'up' && this.of(state.peer.did) === undefined) this.on.onDown(state.peer.did)
  }

  /** Dialer's side. Resolves to undefined, and closes the connection, when either side says no. */
  async #greet(connection: Connection): Promise<Peer | undefined> {
    const signal = AbortSignal.timeout(HELLO.deadlineMs)
    const startedAt = this.on.clock.monotonic()
    try {
      const link = new MessageLink(await connection.newStream([...HELLO.ids], { signal }), HELLO.maxBytes, signal)
      const to = didOfPeerId(connection.remotePeer.toString())
      const refusal = this.#refusal(to, 'outbound')
      if (refusal !== undefined && refusal.code !== 'REMOVED') throw refusal // to a removed device its removal is shown
      const ours = this.#hello(to)
      await link.send(ours)
      const answer = await link.receive(HelloAnswer)
      if (answer.t === 'refused') {
        for (const order of answer.proof ?? []) await this.on.removals.learn(order)
        throw new ErrandError(answer.fault.code, answer.fault.message)
      }
      const peer = await this.#admit(connection, answer, ours.challenge, this.on.clock.monotonic() - startedAt)
      await link.close()
      return peer
    } catch (thrown) {
      this.#refuse(connection, asErrand(thrown, 'HELLO_FAILED'))
      connection.abort(new Error('hello failed'))
      return undefined
    }
  }

  /** Listener's side. */
  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const signal = AbortSignal.timeout(HELLO.deadlineMs)
    const link = new MessageLink(stream, HELLO.maxBytes, signal)
    let finish: (peer: Peer | undefined) => void = () => {}
    if (this.#states.get(connection.id)?.t === 'up') return link.abort(new Error('hello twice'))
    this.#states.set(connection.id, { t: 'helloing', done: new Promise((resolve) => (finish = resolve)) })
    try {
      const theirs = await link.receive(Hello)
      const ours = this.#hello(didOfPeerId(connection.remotePeer.toString()))
      const peer = await this.#admit(connection, theirs, ours.challenge, 0)
      await link.send(ours)
      await link.close()
      finish(peer)
    } catch (thrown) {
      finish(undefined)
      this.#states.delete(connection.id)
      const error = asErrand(thrown, 'HELLO_FAILED')
      this.#refuse(connection, error)
      const proof = error.code === 'REMOVED' ? this.on.removals.of(didOfPeerId(connection.remotePeer.toString())) : []
      const fault = { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) }
      await link.send({ t: 'refused', fault, ...(proof.length === 0 ? {} : { proof }) }).catch(() => undefined)
      await link.close().catch(() => undefined)
      await connection.close().catch(() => undefined)
    }
  }

  #hello(to: Did): Hello {
    return { t: 'hello', v: 1, mesh: this.on.meshId, challenge: this.on.random(HELLO.challengeBytes), time: this.on.clock.now(), ...this.on.ownHello(to) }
  }

  /** Security order: 1. same mesh, 2. the record is signed by an owner, 3. nobody has removed either side and no guest's time is over, 4. it is the record of the key that Noise proved, 5. a guest has something here. */
  async #admit(connection: Connection, hello: Hello, ourChallenge: Uint8Array, rttMs: number): Promise<Peer> {
    if (!sameBytes(hello.mesh, this.on.meshId)) throw new ErrandError('OTHER_MESH', 'that device belongs to another mesh')
    const verdict = await this.on.admitMember(hello.membership)
    if (connection.status !== 'open') throw new ErrandError('LINK_CLOSED', 'the connection closed during hello', { retryable: true })
    if (verdict === 'refused') throw new ErrandError('NOT_A_MEMBER', 'its membership is not signed by an owner of this mesh')
    const did = didOfPeerId(connection.remotePeer.toString())
    const out = this.#out(did)
    if (out !== undefined) throw out
    const held = this.on.directory.membershipBytes(did)
    if (held === undefined) throw new ErrandError('NOT_A_MEMBER', 'the membership shown is that of another device')
    const refusal = refuseMeeting(this.on.company, did, connection.direction)
    if (refusal !== undefined) throw refusal
    const peer: Peer = {
      did,
      connection,
      version: hello.version,
      theirChallenge: hello.challenge,
      ourChallenge,
      hello,
      rttMs,
      synced: Promise.resolve(),
      heard: () => Promise.resolve(),
    }
    this.#refusals.delete(did)
    this.#unproven.delete(connection.id)
    this.#states.set(connection.id, { t: 'up', peer })
    this.#expelWhenOver(did)
    this.on.onUp(peer)
    return peer
  }

  /** Why one of the two is not in the mesh any more; undefined while both are. */
  #out(did: Did): ErrandError | undefined {
    const { directory, self } = this.on
    if (directory.isRemoved(did)) return removed('this device was')
    if (directory.isRemoved(self)) return removed('the device that answers was')
    const over = directory.overSince(did) ?? directory.overSince(self)
    return over === undefined ? undefined : ended(over)
  }

  #refusal(did: Did, direction: Connection['direction']): ErrandError | undefined {
    return this.#out(did) ?? refuseMeeting(this.on.company, did, direction)
  }

  /** A guest's line ends with its time, though nobody says so then. */
  #expelWhenOver(did: Did): void {
    const { directory, self, clock } = this.on
    const until = directory.member(did)?.until ?? directory.member(self)?.until
    if (until !== undefined) clock.after(Math.max(0, until - clock.now()) + 1, () => this.expel())
  }

  #refuse(connection: Connection, error: ErrandError): void {
    const did = didOfPeerId(connection.remotePeer.toString())
    const why = error.message
    if (connection.direction === 'inbound' && this.on.directory.isKnown(did))
      this.on.refused({ did, address: connection.remoteAddr.toString(), code: error.code, reason: why })
    if (this.#refusals.size > 1_000) this.#refusals.clear()
    this.#refusals.set(did, why)
    this.on.log('hello refused', { did, why })
  }

  #notForGuests(did: Did, connection: Connection, { protocol, direction }: Stream): ErrandError {
    const error = notForGuests(protocol)
    if (direction === 'inbound') this.on.refused({ did, address: connection.remoteAddr.toString(), code: error.code, reason: error.message })
    return error
  }

  /** Before hello: hello and join, nothing else, whoever opens it and whatever it is called. */
  async #gate(stream: Stream, connection: Connection): Promise<void> {
    if (BEFORE_HELLO.includes(stream.protocol)) return
    const did = didOfPeerId(connection.remotePeer.toString())
    const refusal = stream.direction === 'inbound' ? this.#refusal(did, connection.direction) : undefined
    if (refusal !== undefined) throw refusal
    const state = this.#states.get(connection.id)
    const isUp = state?.t === 'up' || (state?.t === 'helloing' && (await state.done) !== undefined)
    if (isUp && isGuestLine(this.on.company, did) && !isForGuests(stream.protocol)) throw this.#notForGuests(did, connection, stream)
    if (isUp) return
    throw new ErrandError('HELLO_FIRST', `"${stream.protocol}" is not served before hello`)
  }
}
