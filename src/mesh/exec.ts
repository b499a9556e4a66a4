/** `/errand/exec/1` on libp2p: opens a stream to another device, hands inbound ones to the door. Carries frames, understands none. */
import type { Connection, Stream } from '@libp2p/interface'
import { EXEC, TAG } from '../../protocols/exec/messages.ts'
import { encode } from '../../protocols/wire.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import type { Did } from '../identity/identity.ts'
import type { Brake } from './brake.ts'
import type { Host } from './host.ts'
import type { Links, Peer } from './links.ts'
import { byteLink, LinkClosed } from './streams.ts'
import { endedByPeer } from './tcp.ts'

/** Who opened an exec stream, as the connection proved it. */
export interface ExecCaller {
  readonly did: Did
  /** What its invocation has to carry. */
  readonly challenge: Uint8Array
  readonly address: string
  /** Resolves when this device has the revocations that the caller knows. */
  readonly synced: Promise<void>
  readonly patience: {
    /** What it is told in the place of a verdict when it was refused too often. */
    readonly over: () => ErrandError | undefined
    /** Told what it is refused with, as soon as that is known. */
    readonly refused: (error: ErrandError) => void
  }
}

export interface ExecDoor {
  /** Serves one command and ends the link. Never rejects. The signal aborts when the stream is gone. */
  serve(link: FrameLink, caller: ExecCaller, o: { signal: AbortSignal }): Promise<void>
}

export async function serveExec(host: Host, on: { links: Links; brake: Brake; door: ExecDoor }): Promise<void> {
  await host.handle(
    [...EXEC.ids],
    async (stream, connection) => {
      const link = new FrameLink(byteLink(stream), EXEC.maxFrameBytes)
      const peer = on.links.peerOn(connection)
      if (peer === undefined) return stream.abort(new Error('exec is served after hello only'))
      const refusal = on.brake.refusal(peer.did)
      if (refusal === undefined) await on.door.serve(link, callerOf(peer, on.brake), { signal: goneSignal(stream, connection) })
      else await refuse(link, refusal)
      // All is said: what still comes is thrown away, or a caller that was refused could fill our memory through every stream it leaves half open.
      await stream.closeRead()
    },
    { maxInboundStreams: EXEC.streamsPerPeer, maxOutboundStreams: EXEC.streamsPerPeer },
  )
}

/** Below the time that an executor waits for the first frame, so that a spare stream is never found cut. */
const SPARE_MS = 7_000
/** For so long after a command a stream is kept ready for the next one. */
const BUSY_MS = 60_000
/** A single command gets the negotiation of the next stream out of its way; in a row of them the next one is waiting already. */
const PREPARE_AFTER_MS = 25
const IN_A_ROW_MS = 50

interface Opened {
  readonly stream: Stream
  readonly link: FrameLink
}

interface Spare extends Opened {
  readonly cancel: () => void
}

/**
 * Opens exec streams. Negotiating one takes a round trip and a millisecond of work on both sides, so while commands keep
 * coming for a device the next stream is opened ahead of its command: one a device, for seconds, used once.
 */
export class ExecStreams {
  readonly #spares = new Map<string, Spare>()
  readonly #lastAt = new Map<Did, number>()

  /** @param on.watch told of each connection while a stream on it is in use. */
  constructor(private readonly on: { readonly clock: Clock; readonly watch: (peer: Peer) => () => void }) {}

  /** @throws LinkClosed when the connection went away meanwhile. */
  async open(peer: Peer, { signal }: { signal: AbortSignal }): Promise<FrameLink> {
    const { link, stream } = this.#take(peer) ?? (await this.#negotiated(peer, signal))
    this.#watchUntilClosed(peer, stream)
    const now = this.on.clock.monotonic()
    const delayMs = now - (this.#lastAt.get(peer.did) ?? Number.NEGATIVE_INFINITY) < IN_A_ROW_MS ? 0 : PREPARE_AFTER_MS
    this.#lastAt.set(peer.did, now)
    this.#prepare(peer, { delayMs, busyUntil: now + BUSY_MS })
    return link
  }

  stop(): void {
    for (const { cancel } of this.#spares.values()) cancel()
    this.#spares.clear()
  }

  #take({ connection }: Peer): Opened | undefined {
    const spare = this.#spares.get(connection.id)
    if (spare === undefined) return undefined
    spare.cancel()
    this.#spares.delete(connection.id)
    return spare.stream.status === 'open' && !spare.stream.readableEnded ? spare : undefined
  }

  /** A connection that died while nobody waited on it is found out here, and not after the negotiation's time. */
  async #negotiated(peer: Peer, signal: AbortSignal): Promise<Opened> {
    const waited = this.on.watch(peer)
    return await this.#negotiate(peer, signal).finally(waited)
  }

  #watchUntilClosed(peer: Peer, stream: Stream): void {
    const waited = this.on.watch(peer)
    if (stream.status !== 'open') waited()
    else stream.addEventListener('close', waited, { once: true })
  }

  async #negotiate(peer: Peer, signal: AbortSignal): Promise<Opened> {
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(EXEC.openMs)])
      const stream = await peer.connection.newStream([...EXEC.ids], { signal: bounded })
      return { stream, link: new FrameLink(byteLink(stream), EXEC.maxFrameBytes) }
    } catch (cause) {
      throw new LinkClosed(cause)
    }
  }

  #prepare(peer: Peer, { delayMs, busyUntil }: { delayMs: number; busyUntil: number }): void {
    this.on.clock.after(delayMs, () => {
      if (peer.connection.status !== 'open' || this.#spares.has(peer.connection.id)) return
      void this.#negotiate(peer, AbortSignal.timeout(EXEC.openMs)).then(
        ({ stream, link }) => this.#keep(peer, { stream, link }, busyUntil),
        () => undefined, // the next command negotiates for itself, and says what is wrong
      )
    })
  }

  #keep(peer: Peer, { stream, link }: { stream: Stream; link: FrameLink }, busyUntil: number): void {
    const { id } = peer.connection
    const drop = (): void => {
      this.#spares.delete(id)
      stream.abort(new Error('not needed any more'))
      if (this.on.clock.monotonic() < busyUntil) this.#prepare(peer, { delayMs: 0, busyUntil })
    }
    if (this.#spares.has(id)) return stream.abort(new Error('one spare is enough'))
    this.#spares.set(id, { stream, link, cancel: this.on.clock.after(SPARE_MS, drop) })
  }
}

/** An exec stream that this device opened. */
export interface OpenedExec {
  readonly link: FrameLink
  /** What our invocation has to carry. */
  readonly challenge: Uint8Array
  readonly synced: Promise<void>
  /** The IP address of the device; null when it is reached through another one. */
  readonly host: string | null
}

export function openedOn(peer: Peer, link: FrameLink): OpenedExec {
  const address = peer.connection.remoteAddr.toString()
  const host = address.includes('/p2p-circuit') ? null : (/^\/ip[46]\/([^/]+)\//.exec(address)?.[1] ?? null)
  return { link, challenge: peer.theirChallenge, synced: peer.synced, host }
}

export function callerOf(peer: Peer, brake: Brake): ExecCaller {
  const { did, ourChallenge: challenge, connection } = peer
  const patience = { over: () => brake.refusal(did), refused: (error: ErrandError) => brake.answered(did, error) }
  return { did, challenge, address: connection.remoteAddr.toString(), synced: peer.heard(), patience }
}

/** Before anything of the request is read. */
async function refuse(link: FrameLink, refusal: ErrandError): Promise<void> {
  await Promise.resolve(link.write(TAG.refused, encode(refusal.toWire('device')))).catch(() => undefined)
  await link.end().catch(() => undefined)
}

/**
 * Aborts when the stream was reset or its connection lost; a stream that closed in order aborts too, when all is over anyway.
 * `left` in the reason's fields: it was the other side that ended it, and not the link between.
 */
export function goneSignal(stream: Stream, connection: Connection): AbortSignal {
  const gone = new AbortController()
  const say = (isOurs: boolean, cause?: Error): void => {
    const left = !isOurs && (connection.status === 'open' || endedByPeer(connection))
    gone.abort(new ErrandError('LINK_CLOSED', 'the connection to the caller closed', { retryable: true, cause, fields: { left } }))
  }
  if (stream.status !== 'open') say(false)
  stream.addEventListener('close', (event) => say(event.local === true, event.error), { once: true })
  return gone.signal
}
