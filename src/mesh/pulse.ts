/**
 * Whether the connections that somebody waits on are alive. A link that is cut says nothing: TCP notices after minutes, and when the link
 * is back it waits out a pause as long as the cut. So while a line is open its peer is asked every second that brought no byte, and what
 * stays silent is given up, to be dialled anew. A connection that nobody waits on costs nothing here.
 */
import { type Clock, every } from '../base/clock.ts'

const BEAT_MS = 1_000
/** Beats without a byte, though each of them asked for one. */
const SILENT_BEATS = 3
/** The same while what we send does not get out: on a slow link the answer comes behind all that waits before the question. */
const FULL_BEATS = 15

export interface Beating {
  readonly did: string
  readonly connection: { readonly id: string; readonly status: string; abort(why: Error): void }
}

export interface PulseOn<P extends Beating> {
  readonly clock: Clock
  /** Bytes that have arrived on the connection so far; undefined where nobody counts them. */
  readonly heard: (peer: P) => number | undefined
  /** What was written waits in this process. */
  readonly isFull: (peer: P) => boolean
  /** Makes the peer say something. Resolves when it did. */
  readonly ask: (peer: P) => Promise<unknown>
  readonly log: (event: string, facts: Record<string, unknown>) => void
}

interface Watched<P> {
  readonly peer: P
  waiting: number
  heard: number
  silentBeats: number
}

export class Pulse<P extends Beating> {
  readonly #watched = new Map<string, Watched<P>>()
  readonly #answers = new WeakMap<P, number>()
  #stop: (() => void) | undefined

  constructor(private readonly on: PulseOn<P>) {}

  /** Somebody waits on this connection. The returned function says that they do so no more. */
  watch(peer: P): () => void {
    const { id } = peer.connection
    const watched = this.#watched.get(id) ?? { peer, waiting: 0, heard: this.#heard(peer), silentBeats: 0 }
    watched.waiting++
    this.#watched.set(id, watched)
    this.#stop ??= every(this.on.clock, BEAT_MS, () => this.#beat())
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      watched.waiting--
      if (watched.waiting === 0) this.#watched.delete(id)
      if (this.#watched.size === 0) this.stop()
    }
  }

  /** Something has happened that a connection may not have survived: without a byte in time it is given up. */
  probe(peer: P, { withinMs }: { withinMs: number }): void {
    const before = this.#heard(peer)
    this.#ask(peer)
    this.on.clock.after(withinMs, () => {
      if (this.#heard(peer) === before) this.#giveUp(peer, 'no answer to a probe')
    })
  }

  stop(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  /** Beats are counted and not milliseconds: a process that slept has heard nothing either, and must not blame the others. */
  #beat(): void {
    for (const watched of this.#watched.values()) {
      const heard = this.#heard(watched.peer)
      watched.silentBeats = heard === watched.heard ? watched.silentBeats + 1 : 0
      watched.heard = heard
      if (watched.silentBeats > (this.on.isFull(watched.peer) ? FULL_BEATS : SILENT_BEATS)) this.#giveUp(watched.peer, 'silent')
      else if (watched.silentBeats > 0) this.#ask(watched.peer)
    }
  }

  #heard(peer: P): number {
    return (this.on.heard(peer) ?? 0) + (this.#answers.get(peer) ?? 0)
  }

  #ask(peer: P): void {
    void this.on.ask(peer).then(
      () => this.#answers.set(peer, (this.#answers.get(peer) ?? 0) + 1),
      () => undefined, // silence is what is counted
    )
  }

  #giveUp(peer: P, why: string): void {
    const { connection, did } = peer
    this.#watched.delete(connection.id)
    if (connection.status !== 'open') return
    this.on.log('connection given up', { did, why })
    connection.abort(new Error(`given up: ${why}`))
  }
}
