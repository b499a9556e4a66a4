/**
 * What libp2p does for every stream and every small message, and nobody needs: an update of the window for each piece that was read
 * (one encrypted frame, one system call and one wake-up of the other side; Hashicorp's own yamux waits until half a window was read), a
 * write to the peer store that says nothing new, and a dozen loggers that are asked whether stderr is a terminal. Measured:
 * docs/decisions/0012-where-the-time-goes.md.
 */
import type { ComponentLogger, Logger, Peer, PeerId, PeerStore, StreamMuxerFactory } from '@libp2p/interface'

/** Half of yamux's first window: whoever sends always has the other half. */
const HOLD_BYTES = 1 << 17
const WINDOW_UPDATE = 1
const RST = 8

/** The header of a yamux frame (spec: hashicorp/yamux, spec.md). */
export interface FrameHeader {
  readonly type: number
  readonly flag: number
  readonly streamID: number
  /** Of an update: so many bytes more. */
  readonly length: number
}

/** Holds small updates of windows back until there is something to say: half a window, or a frame that goes anyway. */
export class LateWindows {
  readonly #held = new Map<number, number>()

  /** Streams whose reader owes the other side an update. */
  get size(): number {
    return this.#held.size
  }

  /** @returns the frame as it is to be sent; undefined: not now. */
  pass(header: FrameHeader): FrameHeader | undefined {
    const { type, flag, streamID } = header
    if (type !== WINDOW_UPDATE || streamID === 0) return header
    if ((flag & RST) !== 0) {
      this.#held.delete(streamID)
      return header
    }
    const length = header.length + (this.#held.get(streamID) ?? 0)
    if (flag === 0 && length < HOLD_BYTES) {
      this.#held.set(streamID, length)
      return undefined
    }
    this.#held.delete(streamID)
    return { ...header, length }
  }

  /** The stream is over in both directions. */
  forget(streamID: number): void {
    this.#held.delete(streamID)
  }
}

/** What of a yamux muxer is used here; libp2p does not declare it. */
interface Muxer {
  sendFrame(header: FrameHeader, data?: unknown): boolean
  closeStream(id: number): void
}

/** Streams get `sendFrame` from their muxer when they are made, so it is replaced before there are any. */
export function lateWindows<C>(factory: (components: C) => StreamMuxerFactory): (components: C) => StreamMuxerFactory {
  return (components) => {
    const inner = factory(components)
    const create = inner.createStreamMuxer.bind(inner)
    inner.createStreamMuxer = (connection) => {
      const muxer = create(connection)
      if (isYamux(muxer)) holdWindows(muxer)
      return muxer
    }
    return inner
  }
}

function isYamux(muxer: object): muxer is Muxer {
  return 'sendFrame' in muxer && typeof muxer.sendFrame === 'function' && 'closeStream' in muxer && typeof muxer.closeStream === 'function'
}

function holdWindows(muxer: Muxer): void {
  const late = new LateWindows()
  const [send, close] = [muxer.sendFrame.bind(muxer), muxer.closeStream.bind(muxer)]
  muxer.sendFrame = (header, data) => {
    const now = late.pass(header)
    return now === undefined ? true : send(now, data)
  }
  muxer.closeStream = (id) => {
    late.forget(id)
    close(id)
  }
}

/** libp2p notes at every stream that the peer speaks its protocol. What was noted once is not noted again. */
export function noteOnce(peerStore: PeerStore): void {
  const noted = new Map<string, { readonly protocols: ReadonlySet<string>; readonly peer: Peer }>()
  const { merge, patch, save, delete: remove } = peerStore
  const anew = (id: PeerId): void => void noted.delete(id.toString())
  peerStore.merge = async (id, data, options) => {
    const known = noted.get(id.toString())
    const { protocols, ...more } = data
    const isNote = protocols !== undefined && Object.keys(more).length === 0
    if (isNote && known !== undefined && protocols.every((protocol) => known.protocols.has(protocol))) return known.peer
    const peer = await merge.call(peerStore, id, data, options)
    if (isNote) noted.set(id.toString(), { protocols: new Set(peer.protocols), peer })
    else anew(id)
    return peer
  }
  peerStore.patch = (id, data, options) => {
    anew(id)
    return patch.call(peerStore, id, data, options)
  }
  peerStore.save = (id, data, options) => {
    anew(id)
    return save.call(peerStore, id, data, options)
  }
  peerStore.delete = (id, options) => {
    anew(id)
    return remove.call(peerStore, id, options)
  }
}

/** libp2p's own log, for whoever sets DEBUG; else nothing is made up that nobody reads. */
export function quietLogger(): { logger: ComponentLogger } | Record<never, never> {
  return process.env['DEBUG'] === undefined ? { logger: { forComponent: () => SILENT } } : {}
}

const SILENT: Logger = Object.assign(() => undefined, { error: () => undefined, trace: () => undefined, enabled: false, newScope: () => SILENT })
