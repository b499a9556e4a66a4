/**
 * Whether the other end of a WebSocket is still there. A ping that is not answered on a quiet line says no. While output waits to be read
 * it says nothing: a reader may be as slow as it likes, and a machine that is gone is then noticed by TCP itself.
 */
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { type Clock, every } from '../base/clock.ts'

/** A peer that vanished is noticed after two of these at most. Most proxies close what is silent for a minute. */
export const PING_MS = 20_000

/** @returns what ends the watch; the end of the socket does too. */
export function watchLife(socket: WebSocket, wire: Socket, clock: Clock): () => void {
  /** Of the bytes written so far: what a pong has proven to be read. */
  let read = wire.bytesWritten
  let asked: { readonly upTo: number; readonly isQuiet: boolean } | undefined
  socket.on('pong', () => {
    if (asked !== undefined) read = asked.upTo
    asked = undefined
  })
  const look = (): void => {
    if (socket.isPaused) return // its pong may lie unread on our side
    if (asked?.isQuiet === true) return socket.terminate()
    if (asked !== undefined) return
    const isQuiet = wire.bytesWritten === read
    socket.ping()
    asked = { upTo: wire.bytesWritten, isQuiet }
  }
  const stop = every(clock, PING_MS, look)
  socket.once('close', stop)
  return stop
}
