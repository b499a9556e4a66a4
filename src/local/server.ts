/** The local API: HTTP on the home's Unix socket, for programs of the same user. No other program of this machine gets in; see protocols/local/README.md. */
import type { RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { LOCAL } from '../../protocols/local/messages.ts'
import type { Clock } from '../base/clock.ts'
import { pause, systemClock } from '../base/clock.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { answerOf, type Guard, ownersGuard } from './door.ts'
import type { LocalLog } from './routes.ts'
import { addRoutes } from './routes.ts'
import { listenOnSocket } from './socket-file.ts'
import { Upgrades } from './upgrades.ts'

export type { LocalLog } from './routes.ts'

export interface LocalServerOptions {
  readonly runtime: Runtime
  /** This device's DID: whoever may open the socket acts as the device. */
  readonly actorDid: string
  /** Must not exist: whoever holds the home removes a stale one first. */
  readonly socketPath: string
  /** Connections at a time; each running command has one. 512: far above what a user runs at once, far below the usual 1,024 descriptors. */
  readonly maxConnections?: number
  readonly logger?: LocalLog
  readonly clock?: Clock
}

/** How long running requests may take to end once the server stops; the rest of the promised second is for the sockets. */
const STOP_GRACE_MS = 800
const REQUEST_MS = 10_000
const KEEP_ALIVE_MS = 60_000

/** @throws ErrandError SOCKET_TAKEN, SOCKET_FAILED. */
export async function startLocalServer(o: LocalServerOptions): Promise<{ close(): Promise<void> }> {
  const face = await openFace({ ...o, guard: ownersGuard(o.actorDid, o.runtime), clock: o.clock ?? systemClock })
  face.server.maxConnections = o.maxConnections ?? 512
  await listenOnSocket(face.server, o.socketPath)
  return { close: face.close }
}

export interface FaceOn {
  readonly runtime: Runtime
  readonly guard: Guard
  readonly clock: Clock
  readonly logger?: LocalLog
  /** Makes the server; without it a plain one. */
  readonly serverFor?: (handler: RequestListener) => Server
}

export interface Face {
  readonly server: Server
  /** Ends what runs, delivers outcomes, closes every connection; within a second. Idempotent. */
  readonly close: () => Promise<void>
}

/** Everything the local API answers, behind one guard, not listening yet. */
export async function openFace({ runtime, guard, clock, logger, serverFor }: FaceOn): Promise<Face> {
  const app: FastifyInstance = Fastify({
    ...{ bodyLimit: LOCAL.maxBodyBytes, requestTimeout: REQUEST_MS, keepAliveTimeout: KEEP_ALIVE_MS, exposeHeadRoutes: false },
    routerOptions: { maxParamLength: 1_024 },
    // A path that cannot be read never comes to a hook; the guard has the first word all the same.
    frameworkErrors: (error, { raw }, reply) =>
      void guard.admit(raw).then(
        () => answerRaw(reply.raw, error),
        (refusal: unknown) => answerRaw(reply.raw, refusal),
      ),
    ...(serverFor === undefined ? {} : { serverFactory: serverFor }),
  })
  const stopping = new AbortController()
  addRoutes(app, { runtime, guard, clock, log: logger, stopping: stopping.signal })
  const upgrades = new Upgrades({ runtime, guard, clock })
  app.server.on('upgrade', (request, socket: Socket, head) => upgrades.take(request, socket, head))
  await app.ready()
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    stopping.abort()
    const closed = new Promise<void>((resolve) => app.server.close(() => resolve()))
    await Promise.race([Promise.all([closed, upgrades.stop()]), pause(clock, STOP_GRACE_MS)])
    upgrades.drop()
    app.server.closeAllConnections()
    await closed
    await app.close()
  }
  return {
    server: app.server,
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

function answerRaw(to: ServerResponse, thrown: unknown): void {
  const { status, headers, body } = answerOf(thrown)
  to.writeHead(status, { ...headers, 'content-type': 'application/json', 'x-errand-api': String(LOCAL.version) }).end(JSON.stringify(body))
}
