/**
 * Slows down who is refused too often. Nothing more is read of its connections than its patience bears, so whatever it sends waits in its
 * own buffers, before a stream is negotiated or a signature checked; other peers have connections of their own and notice nothing.
 * Measured and weighed: docs/decisions/0039-who-floods-waits.md.
 */
import type { Socket } from 'node:net'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { type Did, didOfPeerId } from '../identity/identity.ts'
import { Patience } from './patience.ts'
import { socketOf } from './tcp.ts'

/** So much is read at once of a peer that is slowed down: about three requests. */
const SIP_BYTES = 4 << 10
const SIP_EVERY_MS = 50
/** So much of its patience is back when a peer is read freely again. */
const FREE_AT = 20
/** A connection that had to be held for so long is closed. */
const HELD_MS = 30_000
/** Connections of one peer that are held; older ones are closed, for what each has under way stays in memory. */
const MAX_HELD_LINES = 2
/** In refusals: a stream that is cut unseen, or is one of libp2p's own; and a connection, with its handshake, hello and sync. */
const SMALL_COST = 0.25
const DIAL_COST = 2
const WINDOW_UPDATE = 1
const RST = 8

export interface BrakeOn {
  readonly clock: Clock
  /** Only members are counted: strangers have as many keys as they like, and are served nothing. */
  readonly isKnown: (did: Did) => boolean
  /** Told of everything that a peer is refused for this alone; writes it down as far as refusals are. */
  readonly slowed: (seen: { readonly did: Did; readonly address: string; readonly code: string; readonly reason: string }) => void
}

interface Held {
  readonly since: number
  cancel: () => void
}

export class Brake {
  readonly #patience: Patience
  readonly #connections = new Map<Did, Set<Connection>>()
  readonly #held = new Map<Did, Held>()
  /** Streams that came as far as their protocol. */
  readonly #reached = new WeakSet<Stream>()
  readonly #counted = new WeakSet<ErrandError>()
  /** Who was slowed down and has not been quiet since. */
  readonly #slow = new Set<Did>()

  constructor(private readonly on: BrakeOn) {
    this.#patience = new Patience(on.clock)
  }

  attach(libp2p: Libp2p): void {
    libp2p.addEventListener('connection:open', (event) => this.#opened(event.detail))
    libp2p.addEventListener('connection:close', (event) => this.#closed(event.detail))
  }

  stop(): void {
    for (const { cancel } of this.#held.values()) cancel()
    this.#held.clear()
  }

  /** A stream has passed the gate; from here on its protocol says what it was worth. */
  reached(stream: Stream): void {
    this.#reached.add(stream)
  }

  /** What this peer asked got this answer, which counts once however often it is told. A no that is for lack of room, or because this device stops, is nobody's fault. */
  answered(did: Did, error: ErrandError): void {
    const { code, fields } = error
    const isOurs = code === 'DRAINING' || (code === 'TOO_BUSY' && fields['reason'] !== 'RATE')
    if (isOurs || this.#counted.has(error)) return
    this.#counted.add(error)
    this.refused(did)
  }

  /** Something that this peer asked was refused. */
  refused(did: Did, cost = 1): void {
    if (!this.on.isKnown(did)) return
    if (this.#patience.spend(did, cost) < 1) this.#hold(did)
  }

  /** What this peer is told in the place of a verdict while its patience is used up; that it asked is counted. */
  refusal(did: Did): ErrandError | undefined {
    if (!this.isOwing(did)) return undefined
    this.#say(did)
    this.refused(did)
    return tooManyRefusals(this.#patience.waitMs(did, FREE_AT))
  }

  /** Connections cost as well. A peer that was slowed down comes back on no new one before it has been quiet for a while. */
  turnsAway(did: Did): boolean {
    this.refused(did, DIAL_COST)
    return this.isOwing(did)
  }

  /** Whether this device should leave it alone for now. */
  isOwing(did: Did): boolean {
    const left = this.#patience.left(did)
    if (left >= FREE_AT) this.#slow.delete(did)
    return left < 1 || (this.#slow.has(did) && !this.#held.has(did))
  }

  #opened(connection: Connection): void {
    const did = didOfPeerId(connection.remotePeer.toString())
    const lines = this.#connections.get(did) ?? new Set()
    this.#connections.set(did, lines.add(connection))
    this.#guard(connection, did)
    if (this.#held.has(did)) this.#pause(did)
    else if (this.isOwing(did)) this.#hold(did)
  }

  #closed(connection: Connection): void {
    const did = didOfPeerId(connection.remotePeer.toString())
    const lines = this.#connections.get(did)
    lines?.delete(connection)
    if (lines?.size !== 0) return
    this.#connections.delete(did)
    this.#held.get(did)?.cancel()
    this.#held.delete(did) // what it owes is remembered all the same
  }

  /** Of a peer whose patience is used up every new stream is reset before it is one; of the others each stream that came to nothing is counted. */
  #guard(connection: Connection, did: Did): void {
    const muxer = 'muxer' in connection ? connection.muxer : undefined
    if (!isMuxer(muxer)) return
    const incoming = muxer.incomingStream.bind(muxer)
    muxer.incomingStream = (id) => {
      if (!this.isOwing(did)) return incoming(id)
      muxer.sendFrame({ type: WINDOW_UPDATE, flag: RST, streamID: id, length: 0 })
      this.#say(did)
      this.refused(did, SMALL_COST)
    }
    muxer.addEventListener('stream', ({ detail }) => detail.addEventListener('close', () => this.#over(detail, did), { once: true }))
  }

  /** Our own protocols count what they refuse; of libp2p's nobody else does. */
  #over(stream: Stream, did: Did): void {
    if (!this.#reached.has(stream)) this.refused(did)
    else if (!OURS.test(stream.protocol)) this.refused(did, SMALL_COST)
  }

  #hold(did: Did): void {
    if (this.#held.has(did) || !this.#connections.has(did)) return
    this.#slow.add(did)
    this.#held.set(did, { since: this.on.clock.monotonic(), cancel: () => undefined })
    this.#pause(did)
    this.#say(did)
    this.#sipLater(did)
  }

  #say(did: Did): void {
    const [line] = this.#connections.get(did) ?? []
    this.on.slowed({ did, address: line?.remoteAddr.toString() ?? '', code: 'SLOWED', reason: 'it was refused too often, and is read slowly until it stops' })
  }

  #pause(did: Did): void {
    const lines = [...(this.#connections.get(did) ?? [])]
    for (const old of lines.slice(0, -MAX_HELD_LINES)) old.abort(new Error('this peer was refused too often'))
    for (const line of lines.slice(-MAX_HELD_LINES)) socketOf(line)?.pause()
  }

  #sipLater(did: Did): void {
    const held = this.#held.get(did)
    if (held !== undefined) held.cancel = this.on.clock.after(Math.max(SIP_EVERY_MS, this.#patience.waitMs(did)), () => this.#sip(did, held))
  }

  #sip(did: Did, held: Held): void {
    const lines = [...(this.#connections.get(did) ?? [])]
    if (this.#patience.left(did) >= FREE_AT) {
      this.#slow.delete(did)
      this.#held.delete(did)
      for (const line of lines) socketOf(line)?.resume()
      return
    }
    if (this.on.clock.monotonic() - held.since > HELD_MS) {
      for (const line of lines) line.abort(new Error('this peer does not stop'))
      return
    }
    for (const line of lines) sip(socketOf(line))
    this.#sipLater(did)
  }
}

/** Only the protocols of this mesh that count for themselves: those of libp2p that carry the mesh in their names do not. */
const OURS = /^\/errand\/(hello|join|exec|forward|call|sync|audit)\/\d+$/

/** Reading a piece by hand hands it on like any other, though the socket is paused. */
function sip(socket: Socket | undefined): void {
  if (socket === undefined || socket.destroyed) return
  if (!socket.isPaused()) socket.pause()
  socket.read(Math.min(SIP_BYTES, socket.readableLength))
}

function tooManyRefusals(waitMs: number): ErrandError {
  return new ErrandError('TOO_BUSY', 'this device has refused too much of what you asked, and looks at no more for now', {
    ...{ retryable: true, hint: `ask for what you may, or for the right to it, in ${Math.ceil(waitMs / 1_000)} s: errand why tells what is missing` },
    fields: { reason: 'REFUSALS', retryAfterMs: waitMs },
  })
}

/** What of a yamux muxer is used here; libp2p does not declare it. */
interface Muxer {
  incomingStream(id: number): void
  sendFrame(header: { readonly type: number; readonly flag: number; readonly streamID: number; readonly length: number }): boolean
  addEventListener(type: 'stream', listener: (event: { readonly detail: Stream }) => void): void
}

function isMuxer(muxer: unknown): muxer is Muxer {
  return (
    typeof muxer === 'object' &&
    muxer !== null &&
    ['incomingStream', 'sendFrame', 'addEventListener'].every((name) => typeof Reflect.get(muxer, name) === 'function')
  )
}
