/**
 * Where a node answers, and what a client shows there: the socket of a home, or an address with a token or a certificate. Client side only.
 * What it takes of Node is loaded when it is needed: running a command over a socket needs neither HTTP nor TLS.
 */
import type * as http from 'node:http'
import { connect, type Socket } from 'node:net'
import { SESSION_HEADER, SESSION_TOKEN } from '../../protocols/local/frames.ts'
import { ErrandError } from '../base/errors.ts'

/** The HTTP API of a node on its TCP address (`transport.api.listen`). */
export interface Address {
  /** `https://HOST:PORT`, or `http://` on loopback; `errand status` shows it. */
  readonly url: string
  /** What the node's token file holds; or the token of a session, to act in that one alone. */
  readonly token?: string
  /** A session to act in: its id or its name. */
  readonly session?: string
  /** PEM: who signed the node's certificate, where this system does not know them. */
  readonly ca?: string
  /** PEM: this client's certificate and its key, where the node asks for one. */
  readonly cert?: string
  readonly key?: string
}

export interface Where {
  /** For words: a path, or a URL. */
  readonly name: string
  /** Go with every request. */
  readonly headers: Readonly<Record<string, string>>
  /** The next connection may be opened before it is needed: nobody writes that down. */
  readonly isQuiet: boolean
  /** A connection for one upgrade. */
  open(): Socket
  /** Requests, over connections that are kept. */
  requests(): { readonly send: (o: http.RequestOptions) => http.ClientRequest; readonly close: () => void }
}

const KEPT = { keepAlive: true, maxFreeSockets: 4 }

/** @param session its token, its id or its name. */
export function atSocket(socketPath: string, session?: string): Where {
  return {
    ...{ name: socketPath, headers: { host: 'errand', ...inSession(session) }, isQuiet: true },
    open: () => connect({ path: socketPath }),
    requests() {
      // Not by `import`: that reads every export, and from Node 22 on one of them (WebSocket) loads 25 ms of fetch, TLS and HTTP/2.
      const { Agent, request } = process.getBuiltinModule('node:http')
      const agent = new Agent(KEPT)
      return { send: (o) => request({ ...o, agent, socketPath }), close: () => agent.destroy() }
    },
  }
}

function inSession(session?: string): Readonly<Record<string, string>> {
  if (!session) return {}
  return session.startsWith(SESSION_TOKEN) ? { authorization: `Bearer ${session}` } : { [SESSION_HEADER]: session }
}

/** @throws BAD_ADDRESS */
export function atAddress({ url, token, session, ...tls }: Address): Where {
  const { protocol, hostname, host, port } = parsed(url)
  const isSecure = protocol === 'https:'
  const to = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (isSecure ? 443 : 80)) }
  return {
    ...{ name: url, isQuiet: false, headers: { host, ...inSession(session), ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) } },
    open: () => (isSecure ? process.getBuiltinModule('node:tls').connect({ ...to, ...tls, ...nameOf(to.host) }) : connect(to)),
    requests() {
      const { Agent, request } = isSecure ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http')
      const agent = new Agent({ ...KEPT, ...(isSecure ? tls : {}) })
      return { send: (o) => request({ ...o, ...to, agent }), close: () => agent.destroy() }
    },
  }
}

/** TLS has no word for an address, only for names. */
function nameOf(host: string): { readonly servername?: string } {
  return /^[\d.]+$|:/.test(host) ? {} : { servername: host }
}

function parsed(url: string): URL {
  const seen = URL.canParse(url) ? new URL(url) : undefined
  if (seen === undefined || !/^https?:$/.test(seen.protocol) || seen.pathname !== '/' || seen.search !== '' || seen.username !== '')
    throw new ErrandError('BAD_ADDRESS', `${JSON.stringify(url.slice(0, 128))} is no address of a node`, {
      hint: 'https://HOST:PORT, as errand status shows it',
    })
  if (seen.protocol === 'http:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(seen.hostname))
    throw new ErrandError('BAD_ADDRESS', `${url} would carry everything in the clear`, { hint: 'beyond this machine use https' })
  return seen
}
