/** The exec face: an HTTP upgrade turned into frames and handed to the runtime. Decodes the request; knows nothing of commands. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { EXEC, TAG } from '../../protocols/exec/messages.ts'
import { LOCAL } from '../../protocols/local/messages.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import { type Frame, FrameLink } from '../base/frames.ts'
import { SocketLink } from '../base/socket-link.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { serveFirst } from './asked.ts'
import { answerOf, type Guard, wireOf } from './door.ts'
import { noSuchRoute } from './routes.ts'

const OPEN_MS = 10_000
/** How long a client may take to hang up after the last frame. */
const LINGER_MS = 1_000
/** The whole stdin window and its frames fit: an honest client is never paused, so its hang-up is always noticed. */
const READ_AHEAD_BYTES = EXEC.stdinWindowBytes + LOCAL.maxFrameBytes
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LOCAL.upgrade}\r\nX-Errand-Api: ${LOCAL.version}\r\n\r\n`

export class ExecFace {
  readonly #open = new Map<Socket, Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(private readonly on: { runtime: Runtime; guard: Guard; clock: Clock }) {}

  /** The listener for the server's `upgrade` event. */
  take(request: IncomingMessage, socket: Socket, head: Uint8Array): void {
    socket.on('error', () => undefined) // A client that hangs up is told apart below; an unheard 'error' would end the process.
    const done = this.#answer(request, socket, head).finally(() => this.#open.delete(socket))
    this.#open.set(socket, done)
  }

  /** Cancels what runs; resolves when every client has its outcome. */
  async stop(): Promise<void> {
    this.#stopping.abort(stopping())
    await Promise.all(this.#open.values())
  }

  /** Drops every connection that is left. */
  drop(): void {
    for (const socket of this.#open.keys()) socket.destroy()
  }

  async #answer(request: IncomingMessage, socket: Socket, head: Uint8Array): Promise<void> {
    let actor: Actor
    try {
      actor = await this.on.guard.admit(request)
    } catch (error) {
      return refuse(socket, asErrand(error))
    }
    const refusal = this.#refusal(request)
    if (refusal !== undefined) return refuse(socket, refusal)
    socket.setTimeout(0)
    socket.write(SWITCH)
    await this.#serve(socket, head, actor)
  }

  #refusal(request: IncomingMessage): ErrandError | undefined {
    if (request.method !== 'GET' || request.url !== '/api/runtime/exec') return noSuchRoute(request.method, request.url)
    if (request.headers.upgrade?.toLowerCase() !== LOCAL.upgrade) return new ErrandError('BAD_REQUEST', `this route speaks only ${LOCAL.upgrade}`)
    return this.#stopping.signal.aborted ? stopping() : undefined
  }

  async #serve(socket: Socket, head: Uint8Array, actor: Actor): Promise<void> {
    const gone = hungUp(socket)
    const link = new FrameLink(new SocketLink(socket, head, READ_AHEAD_BYTES), LOCAL.maxFrameBytes)
    try {
      const first = await this.#first(link)
      if (first !== undefined) await serveFirst({ runtime: this.on.runtime, actor }, first, link, { signal: AbortSignal.any([gone, this.#stopping.signal]) })
    } catch (error) {
      void link.write(TAG.refused, Buffer.from(JSON.stringify(wireOf(asErrand(error)))))
    }
    await this.#hangUp(socket, link, gone)
  }

  /** @returns undefined when the client left before it had asked. */
  async #first(link: FrameLink): Promise<Frame | undefined> {
    const giveUp = (): void => link.abort(new ErrandError('NO_REQUEST', 'no request came'))
    const cancel = this.on.clock.after(OPEN_MS, giveUp)
    this.#stopping.signal.addEventListener('abort', giveUp, { once: true }) // a connection kept for later must not hold up the stop
    try {
      return await link.read()
    } finally {
      cancel()
      this.#stopping.signal.removeEventListener('abort', giveUp)
    }
  }

  /** The client closes first: closing here before it has read everything could cost it the outcome. */
  async #hangUp(socket: Socket, link: FrameLink, gone: AbortSignal): Promise<void> {
    const cancel = this.on.clock.after(LINGER_MS, () => socket.destroy())
    await link.end()
    if (!gone.aborted) await new Promise((resolve) => gone.addEventListener('abort', resolve, { once: true }))
    cancel()
    socket.destroy()
  }
}

/** Aborts when the client is gone. Its end of stream counts: the server's sockets stay half open, and a killed client sends nothing else. */
function hungUp(socket: Socket): AbortSignal {
  const gone = new AbortController()
  const abort = (): void => gone.abort(new ErrandError('CLIENT_GONE', 'the client hung up'))
  socket.once('end', abort).once('close', abort)
  return gone.signal
}

function stopping(): ErrandError {
  return new ErrandError('STOPPING', 'the node is stopping', { hint: 'start it again with: errand up', retryable: true })
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
