/** A WebSocket as a ByteLink: each binary message is one frame, `tag ‖ payload`, without the length that a stream needs. Server side. */
import type { Socket } from 'node:net'
import * as lp from 'it-length-prefixed'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { WebSocket } from 'ws'
import type { ByteLink } from '../base/frames.ts'
import { ReadAhead } from '../base/read-ahead.ts'

/** Close codes of RFC 6455, 7.4.1. */
export const CLOSE = { done: 1_000, stopping: 1_001, unsupported: 1_003 } as const

export interface WsLinkOn {
  readonly socket: WebSocket
  /** What it goes over. */
  readonly wire: Socket
  /** Messages wait unread in the kernel while this much waits for the reader. */
  readonly readAheadBytes: number
}

export class WsLink implements ByteLink {
  readonly source: AsyncIterable<Uint8Array | Uint8ArrayList>
  /** Messages that are not with the kernel yet. */
  #pending = 0
  #flushed: Promise<void> | undefined
  #allFlushed = (): void => undefined

  constructor(private readonly on: WsLinkOn) {
    const { socket, readAheadBytes } = on
    const ahead = new ReadAhead(socket, readAheadBytes)
    this.source = prefixed(ahead.read())
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (!isBinary) socket.close(CLOSE.unsupported, 'binary messages only')
      else ahead.push(data)
    })
    // Whatever ended it, a closed socket is a terminal that was closed: its reader hears the end, and the signal of the face says why.
    socket.on('close', () => ahead.finish())
    socket.on('error', () => ahead.finish())
  }

  /** Frames come whole, one or several. */
  write(bytes: Uint8ArrayList): Promise<void> | undefined {
    const { socket, wire } = this.on
    if (socket.readyState !== socket.OPEN) return undefined
    for (const frame of lp.decode([bytes], { maxDataLength: Number.MAX_SAFE_INTEGER })) this.#send(frame.subarray())
    return wire.writableNeedDrain && this.#pending > 0 ? this.#whenFlushed() : undefined
  }

  async end(): Promise<void> {
    if (this.#pending > 0) await this.#whenFlushed() // only then does the time for the closing handshake begin
    this.on.socket.close(CLOSE.done)
  }

  abort(): void {
    this.on.socket.terminate()
  }

  #send(frame: Uint8Array): void {
    this.#pending++
    this.on.socket.send(frame, () => {
      this.#pending--
      if (this.#pending === 0) this.#allFlushed()
    })
  }

  #whenFlushed(): Promise<void> {
    this.#flushed ??= new Promise((resolve) => {
      this.#allFlushed = () => {
        this.#flushed = undefined
        this.#allFlushed = () => undefined
        resolve()
      }
    })
    return this.#flushed
  }
}

async function* prefixed(frames: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8ArrayList> {
  for await (const frame of frames) yield lp.encode.single(frame)
}
