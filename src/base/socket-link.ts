/** A socket (Unix or TCP) as a ByteLink. Reads ahead only so far; a peer that hangs up is noticed even while nobody reads. */
import type { Socket } from 'node:net'
import type { ByteLink } from './frames.ts'
import { ReadAhead } from './read-ahead.ts'

export class SocketLink implements ByteLink {
  readonly source: AsyncIterable<Uint8Array>
  #drained: Promise<void> | undefined

  /**
   * @param head bytes that arrived before the link was made.
   * @param readAheadBytes the socket is paused while this much waits for the reader. A socket that is not paused reports a hang-up.
   */
  constructor(
    private readonly socket: Socket,
    head: Uint8Array,
    readAheadBytes: number,
  ) {
    const ahead = new ReadAhead(socket, readAheadBytes)
    this.source = ahead.read()
    if (head.length > 0) ahead.push(head)
    socket.on('data', (chunk: Buffer) => ahead.push(chunk))
    socket.on('error', (error) => ahead.finish(error))
    socket.on('end', () => ahead.finish())
    socket.on('close', () => ahead.finish())
  }

  /** Bytes for a socket that is gone are dropped: its reader learns of it by the end of `source`. */
  write(bytes: Iterable<Uint8Array>): Promise<void> | undefined {
    const { socket } = this
    if (!socket.writable) return undefined
    socket.cork()
    for (const part of bytes) socket.write(part)
    socket.uncork()
    return socket.writableNeedDrain ? this.#drain() : undefined
  }

  end(): Promise<void> {
    const { socket } = this
    return new Promise((resolve) => {
      if (socket.destroyed || socket.writableFinished) return resolve()
      socket.once('finish', resolve).once('close', resolve)
      socket.end()
    })
  }

  abort(): void {
    this.socket.destroy()
  }

  #drain(): Promise<void> {
    this.#drained ??= new Promise((resolve) => {
      const done = (): void => {
        this.socket.off('drain', done).off('close', done)
        this.#drained = undefined
        resolve()
      }
      this.socket.on('drain', done).on('close', done)
    })
    return this.#drained
  }
}
