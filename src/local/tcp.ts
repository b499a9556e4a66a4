/** The local API on a TCP address: the same routes, streams and upgrades behind another guard and tighter bounds. Reads no files. */
import { X509Certificate } from 'node:crypto'
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { LocalLog } from './routes.ts'
import { openFace } from './server.ts'
import { plainAddress, TcpGuard, type TcpGuardOn } from './tcp-guard.ts'

export type { LocalLog } from './routes.ts'
export type { CallLog } from './tcp-guard.ts'

/** Connections at a time, and those of them that have proven nothing yet: of these a new one ends the oldest. */
const MAX_API_CONNECTIONS = 512
const MAX_NEWCOMERS = 128
const MAX_HEADER_BYTES = 16 * 1_024
/** From a connection to its handshake, from its first byte to the last of a request. */
const ARRIVE_MS = 10_000
const LOOK_EVERY_MS = 1_000
const KEEP_ALIVE_MS = 15_000
/** Nothing went either way: longer than any answer takes to come. A stream of events says something every 15 s. */
const SILENT_MS = 180_000

export interface TcpServerOptions extends Omit<TcpGuardOn, 'certificate' | 'proven' | 'runtime'> {
  readonly runtime: Runtime
  readonly port: number
  /** PEM; without it plain HTTP, and then on loopback only. */
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string | undefined } | undefined
  readonly clock: Clock
  readonly logger?: LocalLog
  /** Shorter for tests. */
  readonly arriveMs?: number
}

/** @throws ErrandError API_NEEDS_TLS, API_CERTIFICATE, API_PORT_TAKEN, API_CANNOT_LISTEN. */
export async function startTcpServer(o: TcpServerOptions): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const newcomers = new Newcomers()
  const certificate = o.tls === undefined ? undefined : certificateOf(o.tls.cert)
  const guard = new TcpGuard({ ...o, certificate, proven: (socket) => newcomers.prove(socket) })
  const face = await openFace({ ...o, guard, serverFor: (handler) => serverFor(o, handler) })
  const { server } = face
  server.maxConnections = MAX_API_CONNECTIONS
  server.setTimeout(SILENT_MS)
  server.on('connection', (socket: Socket) => newcomers.add(socket))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => tellBroken(o, error, socket)) // with TLS a failed handshake too
  const { address, port } = await listen(server, o)
  if (o.tls === undefined && !isLoopbackAddress(address)) {
    await face.close()
    throw new ErrandError('API_NEEDS_TLS', `the API would listen without TLS on ${address}, which others can reach`, {
      hint: 'give it a certificate: transport.api.tls.cert and key',
    })
  }
  const host = o.host.includes(':') ? `[${o.host}]` : o.host
  return { url: `${o.tls === undefined ? 'http' : 'https'}://${host}:${port}`, close: face.close }
}

function serverFor({ tls, arriveMs = ARRIVE_MS }: TcpServerOptions, handler: RequestListener): Server {
  const bounds: ServerOptions = {
    ...{ maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: arriveMs, requestTimeout: arriveMs, keepAliveTimeout: KEEP_ALIVE_MS },
    connectionsCheckingInterval: Math.min(LOOK_EVERY_MS, arriveMs),
  }
  if (tls === undefined) return createServer(bounds, handler)
  const { cert, key, clientCa } = tls
  // Who shows no certificate, or a wrong one, is refused by the guard, which can say so and write it down.
  const clients = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false }
  try {
    return createSecureServer({ ...bounds, ...clients, cert, key, minVersion: 'TLSv1.3', handshakeTimeout: arriveMs }, handler)
  } catch (cause) {
    throw badCertificate(cause)
  }
}

function certificateOf(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw badCertificate(cause)
  }
}

function badCertificate(cause: unknown): ErrandError {
  return new ErrandError('API_CERTIFICATE', `the API’s certificate or key cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, {
    hint: 'transport.api.tls.cert, key and clientCa have to be PEM files, and the key that of the certificate',
    cause,
  })
}

/** Bytes that never became a request. Hanging up is no refusal of ours. After a failed handshake the address is not known any more. */
function tellBroken({ log }: TcpServerOptions, { code = '', message }: NodeJS.ErrnoException, { remoteAddress, remotePort }: Socket): void {
  if (code === 'ECONNRESET' || code === 'EPIPE') return
  const from = remoteAddress === undefined ? 'a connection that is gone' : `${plainAddress(remoteAddress)}:${remotePort ?? ''}`
  log.refused({ what: 'no request', from, reason: `${code}: ${message}`.slice(0, 256) })
}

function isLoopbackAddress(address: string): boolean {
  return address === '::1' || plainAddress(address).startsWith('127.')
}

/** Connections that have not proven who they are: so many, and a further one takes the place of the oldest. Idle strangers lock nobody out. */
class Newcomers {
  /** By address and port of the other end: with TLS the socket of a request is not the one that was accepted. */
  readonly #waiting = new Map<string, Socket>()

  add(socket: Socket): void {
    const key = keyOf(socket)
    this.#waiting.set(key, socket)
    socket.once('close', () => this.#waiting.get(key) === socket && this.#waiting.delete(key))
    const [oldest] = this.#waiting
    if (this.#waiting.size <= MAX_NEWCOMERS || oldest === undefined) return
    this.#waiting.delete(oldest[0])
    oldest[1].destroy()
  }

  prove(socket: Socket): void {
    this.#waiting.delete(keyOf(socket))
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${remotePort ?? ''}`
}

async function listen(server: Server, { host, port }: TcpServerOptions): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenFault(`${host}:${port}`, cause)))
    server.listen({ host, port })
  })
  const at = server.address()
  if (at === null || typeof at === 'string') throw new ErrandError('INTERNAL', 'a TCP server without an address')
  return at
}

function listenFault(at: string, cause: NodeJS.ErrnoException): ErrandError {
  return cause.code === 'EADDRINUSE'
    ? new ErrandError('API_PORT_TAKEN', `the API cannot listen on ${at}: something else does`, { hint: 'choose another port; 0 is any free one', cause })
    : new ErrandError('API_CANNOT_LISTEN', `the API cannot listen on ${at}: ${cause.message}`, {
        hint: 'transport.api.listen has to be an address of this machine',
        cause,
      })
}
