/**
 * What libp2p does for every stream and every small message, and nobody needs: an update of the window for each piece that was read
 * (one encrypted frame, one system call and one wake-up of the other side; Hashicorp's own yamux waits until half a window was read), a
 * write to the peer store that says nothing new, and a dozen loggers that are asked whether stderr is a terminal. Measured:
 * docs/decisions/0012-where-the-time-goes.md.
 */
import type { ComponentLogger, Logger, Peer, PeerId, PeerStore, StreamMuxerFactory } from '@libp2p/interface'

/** Half of yamux's first window: whoever sends always has the other half. */
const HOLD_BYTES = 1 << 17
const DATA = 0
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

/**
 * Holds updates of windows back until there is something to say: half a window was read, or a frame goes anyway. What counts is what was
 * read and not what the update says, for a window that only grows is of no use before somebody fills it.
 */
export class LateWindows {
  /** By open stream: what was read since the last update, and what the updates that were held back say together. */
  readonly #open = new Map<number, { read: number; owed: number }>()

  get size(): number {
    return this.#open.size
  }

  opened(streamID: number): void {
    this.#open.set(streamID, { read: 0, owed: 0 })
  }

  closed(streamID: number): void {
    this.#open.delete(streamID)
  }

  /** A frame has come; anybody can name a stream that there is not. */
  came({ type, streamID, length }: FrameHeader): void {
    const stream = this.#open.get(streamID)
    if (type === DATA && stream !== undefined) stream.read += length
  }

  /** @returns the frame as it is to be sent; undefined: not now. */
  pass(header: FrameHeader): FrameHeader | undefined {
    const { type, flag, streamID } = header
    const stream = this.#open.get(streamID)
    if (type !== WINDOW_UPDATE || stream === undefined || (flag & RST) !== 0) return header
    const length = header.length + stream.owed
    const isHeld = flag === 0 && stream.read < HOLD_BYTES
    stream.owed = isHeld ? length : 0
    if (isHeld) return undefined
    stream.read = 0
    return { ...header, length }
  }
}

/** What of a yamux muxer is used here; libp2p does not declare it. */
interface Muxer {
  sendFrame(header: FrameHeader, data?: unknown): boolean
  handleFrame(frame: { readonly header: FrameHeader }): void
  closeStream(id: number): void
  _newStream(id: number, ...more: unknown[]): unknown
}

/** Streams take `sendFrame` from their muxer when they are made, so it is replaced before there are any. */
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
  return ['sendFrame', 'handleFrame', 'closeStream', '_newStream'].every((name) => typeof Reflect.get(muxer, name) === 'function')
}

function holdWindows(muxer: Muxer): void {
  const late = new LateWindows()
  const { sendFrame, handleFrame, closeStream, _newStream } = muxer
  muxer._newStream = (id, ...more) => {
    const stream = _newStream.call(muxer, id, ...more)
    late.opened(id)
    return stream
  }
  muxer.sendFrame = (header, data) => {
    const now = late.pass(header)
    return now === undefined ? true : sendFrame.call(muxer, now, data)
  }
  muxer.handleFrame = (frame) => {
    late.came(frame.header)
    handleFrame.call(muxer, frame)
  }
  muxer.closeStream = (id) => {
    late.closed(id)
    closeStream.call(muxer, id)
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
