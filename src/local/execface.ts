/** The exec face: an HTTP upgrade turned into frames and handed to the runtime. Knows nothing of commands. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { EXEC } from '../../protocols/exec/messages.ts'
import { LOCAL } from '../../protocols/local/messages.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import { FrameLink } from '../base/frames.ts'
import { SocketLink } from '../base/socket-link.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { converse } from './conversation.ts'
import { answerOf } from './door.ts'

/** How long a client may take to hang up after the last frame. */
const LINGER_MS = 1_000
/** The whole stdin window and its frames fit: an honest client is never paused, so its hang-up is always noticed. */
export const READ_AHEAD_BYTES = EXEC.stdinWindowBytes + LOCAL.maxFrameBytes
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LOCAL.upgrade}\r\nX-Errand-Api: ${LOCAL.version}\r\n\r\n`

export interface FaceParts {
  readonly runtime: Runtime
  readonly clock: Clock
  readonly stopping: AbortSignal
}

/** An upgrade that was let in. */
export interface Upgrade {
  readonly request: IncomingMessage
  readonly socket: Socket
  readonly head: Uint8Array
  readonly actor: Actor
}

/** Resolves when the conversation is over and its connection closed. @throws BAD_REQUEST, before it has switched. */
export async function serveExec(on: FaceParts, { request, socket, head, actor }: Upgrade): Promise<void> {
  if (request.headers.upgrade?.toLowerCase() !== LOCAL.upgrade) throw new ErrandError('BAD_REQUEST', `this route speaks only ${LOCAL.upgrade}`)
  socket.setTimeout(0)
  socket.write(SWITCH)
  const gone = whenGone(socket)
  const link = new FrameLink(new SocketLink(socket, head, READ_AHEAD_BYTES), LOCAL.maxFrameBytes)
  await converse({ ...on, actor }, link, gone)
  await link.end()
  await hungUp(socket, on.clock)
}

/** The client closes first: closing here before it has read everything could cost it the outcome. All was sent before its time begins. */
export async function hungUp(socket: Socket, clock: Clock): Promise<void> {
  const cancel = clock.after(LINGER_MS, () => socket.destroy())
  if (!socket.destroyed && !socket.readableEnded) await new Promise<void>((resolve) => socket.once('end', resolve).once('close', resolve))
  cancel()
  socket.destroy()
}

/** Aborts when the client is gone. Its end of stream counts: the server's sockets stay half open, and a killed client sends nothing else. */
function whenGone(socket: Socket): AbortSignal {
  const gone = new AbortController()
  const abort = (): void => gone.abort(new ErrandError('CLIENT_GONE', 'the client hung up'))
  socket.once('end', abort).once('close', abort)
  return gone.signal
}

/** An answer to an upgrade that is not taken. */
export function refuse(socket: Duplex, error: ErrandError): void {
  const { status, body, headers } = answerOf(error)
  const text = JSON.stringify(body)
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\n${more.join('')}Content-Type: application/json\r\nX-Errand-Api: ${LOCAL.version}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
}
