/**
 * Who may ask on a TCP address, and who that is. Everything it reads comes from anybody: names before identities, certificate before token.
 * Records every refusal, and every call that changes something before it is answered.
 */
import { createHash, timingSafeEqual, type X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Actor } from '../runtime/runtime.ts'
import { bearerIn, type Guard, isSessionToken, narrowed, pathOf, type Sessions } from './door.ts'
import { DESCRIPTION_PATH, PAGE_PATH } from './openapi.ts'
import { deviceOf } from './tcp-spiffe.ts'

/** One request, for the log: nothing in it is secret. */
export interface CallFacts {
  /** `POST /api/runtime/grants`, without the query. */
  readonly what: string
  /** Address and port of the caller. */
  readonly from: string
  /** DID; this device's own where nobody else is proven. */
  readonly actor: string
  readonly by: 'token' | 'certificate' | 'certificate and token' | 'session' | 'certificate and session' | 'nothing'
}

export interface CallLog {
  refused(facts: Pick<CallFacts, 'what' | 'from'> & { readonly actor?: string; readonly reason: string }): void
  /** Resolves when it is durable. @throws when it cannot be recorded: then nothing is done. */
  called(facts: CallFacts): Promise<void>
}

export interface TcpGuardOn {
  readonly did: string
  /** HOST of HOST:PORT as configured. */
  readonly host: string
  /** Ours, with TLS. */
  readonly certificate: X509Certificate | undefined
  /** What a caller has to bring; nothing at all only on loopback. */
  readonly needs: { readonly token: string | undefined; readonly certificate: boolean }
  /** The DID of a device by the two parts of its SPIFFE ID. @throws ErrandError why it is none of ours. */
  readonly memberOf: (mesh: string, peerId: string) => string
  readonly runtime: Sessions
  readonly log: CallLog
  readonly proven: (socket: Socket) => void
}

export class TcpGuard implements Guard {
  readonly #token: Uint8Array | undefined

  constructor(private readonly on: TcpGuardOn) {
    this.#token = on.needs.token === undefined ? undefined : digestOf(on.needs.token)
  }

  async admit(request: IncomingMessage): Promise<Actor> {
    const what = `${request.method ?? ''} ${pathOf(request.url)}`
    const from = `${plainAddress(request.socket.remoteAddress)}:${request.socket.remotePort ?? ''}`
    let actor: string | undefined
    let session: string | undefined
    try {
      this.#checkHost(request) //          1. before all: a name that is not ours means a page made a browser come here
      this.#checkOrigin(request) //        2. and so does an origin that is not ours
      if (isDescription(request)) return { did: this.on.did, via: 'local' }
      actor = this.#callerBy(request) //   3. the certificate says who
      this.#checkToken(request) //         4. the token says that they may
      session = (await narrowed({ did: this.on.did, via: 'local' }, request.headers, this.on.runtime)).session // 5. and whether in a session only
    } catch (thrown) {
      const error = asErrand(thrown)
      this.on.log.refused({ what, from, ...(actor === undefined ? {} : { actor }), reason: `${error.code}: ${error.message}` })
      throw error
    }
    this.on.proven(request.socket)
    const did = actor ?? this.on.did
    if (request.method !== 'GET' || request.headers.upgrade !== undefined) await this.on.log.called({ what, from, actor: did, by: this.#by(request) })
    return { did, via: 'local', ...(session === undefined ? {} : { session }) }
  }

  #by({ headers }: IncomingMessage): CallFacts['by'] {
    const { token, certificate } = this.on.needs
    if (isSessionToken(bearerIn(headers) ?? '')) return certificate ? 'certificate and session' : 'session'
    if (certificate) return token === undefined ? 'certificate' : 'certificate and token'
    return token === undefined ? 'nothing' : 'token'
  }

  #checkHost({ headers, rawHeaders, socket }: IncomingMessage): void {
    const said = headers.host ?? ''
    const times = rawHeaders.filter((word, i) => i % 2 === 0 && word.toLowerCase() === 'host').length
    if (times === 1 && isOurs(said, { ...this.on, address: plainAddress(socket.localAddress), port: socket.localPort ?? 0 })) return
    throw new ErrandError('FORBIDDEN_HOST', `requests for host ${JSON.stringify(said.slice(0, 256))} are not answered here`, {
      hint: 'ask by the address it listens on, or by a name in its certificate',
    })
  }

  #checkOrigin({ headers }: IncomingMessage): void {
    const { origin, host = '', 'sec-fetch-site': site } = headers
    const own = `${this.on.certificate === undefined ? 'http' : 'https'}://${host}`
    const isOwn = origin === undefined || origin.toLowerCase() === own.toLowerCase()
    if (isOwn && (site === undefined || site === 'same-origin' || site === 'none')) return
    throw new ErrandError('FORBIDDEN_ORIGIN', 'requests from pages of another origin are not answered', {
      hint: `only pages of ${own} may ask; there is no CORS`,
    })
  }

  /** @returns undefined where no certificate is asked for. */
  #callerBy({ socket }: IncomingMessage): string | undefined {
    if (!this.on.needs.certificate) return undefined
    const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
    if (!(socket instanceof TLSSocket) || shown === undefined) throw unauthenticated('this address asks for a client certificate')
    if (!socket.authorized) throw unauthenticated(`the client certificate does not count: ${String(socket.authorizationError)}`)
    const { mesh, peerId } = deviceOf(shown)
    return this.on.memberOf(mesh, peerId)
  }

  /** A session's token stands in the place of the node's, and is looked up in the next step. */
  #checkToken({ headers }: IncomingMessage): void {
    const said = bearerIn(headers)
    if (this.#token === undefined || (said !== undefined && isSessionToken(said))) return
    if (said === undefined || said === '') throw unauthenticated('this address asks for a token')
    // Digests have one length and tell nothing about how much was right, so the comparison takes the same time for every token.
    if (!timingSafeEqual(digestOf(said), this.#token)) throw unauthenticated('the token is not the one of this node')
  }
}

function unauthenticated(message: string): ErrandError {
  return new ErrandError('UNAUTHENTICATED', message, {
    hint: 'send the header "Authorization: Bearer TOKEN", or a client certificate, as the node is configured; never in the address',
  })
}

function digestOf(token: string): Uint8Array {
  return createHash('sha256').update(token).digest()
}

/** What stands in the repository anyway, so that a browser, which has no token to send, can show it. */
function isDescription({ method, url, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade === undefined && (url === DESCRIPTION_PATH || url === PAGE_PATH)
}

export interface Here {
  readonly host: string
  readonly certificate: X509Certificate | undefined
  /** Where this connection arrived. */
  readonly address: string
  readonly port: number
}

/** A name that only we can answer to: the very address, `localhost` there, the configured name, or one that our certificate proves. */
export function isOurs(header: string, { host, certificate, address, port }: Here): boolean {
  const [, said = '', saidPort] = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::(\d{1,5}))?$/i.exec(header) ?? []
  const name = said.replace(/^\[|\]$/g, '').toLowerCase()
  if (name === '' || Number(saidPort ?? (certificate === undefined ? 80 : 443)) !== port) return false
  if (name === address || name === host.toLowerCase()) return true
  if (name === 'localhost') return address === '::1' || address.startsWith('127.')
  return certificate?.checkHost(name) !== undefined || certificate?.checkIP(name) !== undefined
}

/** IPv4 inside IPv6, as a dual-stack socket reports it, becomes IPv4. */
export function plainAddress(address: string | undefined): string {
  return (address ?? '').toLowerCase().replace(/^::ffff:(?=\d+\.)/, '')
}
