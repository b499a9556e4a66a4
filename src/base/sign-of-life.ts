/**
 * Both ends of a socket that may be cut without a word: each says something every second in which it had nothing else to say, and gives
 * the socket up when the other one says nothing. Beats are counted and not milliseconds: a process that was stopped has heard nothing either.
 */
import { type Clock, every } from './clock.ts'

export const SIGN_EVERY_MS = 1_000
const SILENT_BEATS = 3

export interface SignsOn {
  readonly clock: Clock
  /** Sends a few bytes that mean nothing. */
  readonly say: () => void
  /** False while silence says nothing about the other end: we read nothing ourselves, or it does not know this rule. */
  readonly expects: () => boolean
}

/** What of a socket matters here. */
export interface Showing {
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly writableLength: number
  destroy(): unknown
  once(event: 'close', closed: () => void): unknown
}

/** The returned function ends it; so does the end of the socket. */
export function showSigns(socket: Showing, on: SignsOn): () => void {
  let [read, written, silentBeats] = [socket.bytesRead, socket.bytesWritten, 0]
  const stop = every(on.clock, SIGN_EVERY_MS, () => {
    silentBeats = socket.bytesRead === read && on.expects() ? silentBeats + 1 : 0
    if (silentBeats > SILENT_BEATS) return void socket.destroy()
    if (socket.bytesWritten === written && socket.writableLength === 0) on.say()
    read = socket.bytesRead
    written = socket.bytesWritten
  })
  socket.once('close', stop)
  return stop
}
