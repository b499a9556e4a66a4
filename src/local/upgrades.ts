/** Upgrades of the local API: one guard in front, then the face that the path names. Counts what is open, and ends it when the node stops. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { LOCAL } from '../../protocols/local/messages.ts'
import type { Clock } from '../base/clock.ts'
import { asErrand } from '../base/errors.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { stopping } from './conversation.ts'
import type { Guard } from './door.ts'
import { type FaceParts, hungUp, refuse, serveExec, type Upgrade } from './execface.ts'
import { noSuchRoute } from './routes.ts'
import { serveWebSocket } from './ws-face.ts'

type Face = (on: FaceParts, upgrade: Upgrade) => Promise<void>

const FACES = new Map<string, Face>([
  ['/api/runtime/exec', serveExec],
  [LOCAL.webSocketPath, serveWebSocket],
])

export class Upgrades {
  readonly #open = new Map<Socket, Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(private readonly on: { runtime: Runtime; guard: Guard; clock: Clock }) {}

  /** The listener for the server's `upgrade` event. */
  take(request: IncomingMessage, socket: Socket, head: Uint8Array): void {
    socket.on('error', () => undefined) // A client that hangs up is told apart elsewhere; an unheard 'error' would end the process.
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
    const { runtime, clock, guard } = this.on
    try {
      const actor = await guard.admit(request)
      const serve = this.#faceFor(request)
      await serve(
        { runtime: actor.session === undefined ? runtime : runtime.inSession(actor.session), clock, stopping: this.#stopping.signal },
        { request, socket, head, actor },
      )
    } catch (error) {
      refuse(socket, asErrand(error))
      socket.resume() // what it sent behind its request is nobody's
      await hungUp(socket, clock)
    }
  }

  /** @throws NO_SUCH_ROUTE, STOPPING */
  #faceFor({ method, url = '' }: IncomingMessage): Face {
    const face = method === 'GET' ? FACES.get(url) : undefined
    if (face === undefined) throw noSuchRoute(method, url)
    if (this.#stopping.signal.aborted) throw stopping()
    return face
  }
}
