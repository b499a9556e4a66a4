/** A connection of bytes that is none of ours: what a device makes or takes for another one. */
import type { Socket } from 'node:net'
import type { ByteLink } from './frames.ts'
import { SocketLink } from './socket-link.ts'

export interface Pipe extends ByteLink {
  /** The other end. */
  readonly address: string
  readonly port: number
  /** Resolves when nothing can be sent any more, whatever may still be read. */
  readonly closed: Promise<void>
}

/** What is read ahead of who cannot be written to. */
const READ_AHEAD_BYTES = 1 << 18

/** A TCP socket that lets each direction end on its own: it has to be made with `allowHalfOpen`. */
export class SocketPipe extends SocketLink implements Pipe {
  readonly address: string
  readonly port: number
  readonly closed: Promise<void>
  readonly #socket: Socket

  constructor(socket: Socket) {
    super(socket, new Uint8Array(), READ_AHEAD_BYTES)
    this.#socket = socket
    this.address = socket.remoteAddress ?? ''
    this.port = socket.remotePort ?? 0
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.setNoDelay(true)
  }

  /** The other end is told that this was no orderly end. */
  override abort(): void {
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy()
  }
}
