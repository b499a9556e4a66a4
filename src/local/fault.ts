/** What goes wrong between a client and its node, in the words of the project's errors. Client side only. */

import { LOCAL } from '../../protocols/local/frames.ts'
import type { WireError } from '../base/errors.ts'
import { ErrandError, fromWire } from '../base/errors.ts'

const CONNECT_FAULTS: Readonly<Record<string, (path: string, cause: Error) => ErrandError>> = {
  ENOENT: noNode,
  ECONNREFUSED: noNode,
  ENOTSOCK: noNode,
  ENOTDIR: noNode,
  EACCES: notOurs,
  EPERM: notOurs,
  ECONNRESET: gone,
  EPIPE: gone,
  ENOTFOUND: noNode,
  EHOSTUNREACH: noNode,
  ENETUNREACH: noNode,
  ETIMEDOUT: noNode,
  EAGAIN: (path, cause) =>
    new ErrandError('NODE_BUSY', `the node at ${path} takes no more connections now`, { hint: 'try again in a moment', retryable: true, cause }),
}

/** A failure of the socket, of a request or of a deadline as an ErrandError. */
export function connectionFault(error: unknown, socketPath: string): ErrandError {
  if (error instanceof ErrandError) return error
  if (!(error instanceof Error)) return new ErrandError('NODE_GONE', String(error))
  if (error.name === 'TimeoutError') return silent(error)
  if (error.name === 'AbortError') return cancelled()
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (/^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|EPROTO)/.test(code)) return badCertificate(socketPath, error)
  return CONNECT_FAULTS[code]?.(socketPath, error) ?? new ErrandError('NODE_GONE', `the connection to the node failed: ${error.message}`, { cause: error })
}

export function gone(_path?: string, cause?: Error): ErrandError {
  return new ErrandError('NODE_GONE', 'the node closed the connection before it had answered', { hint: 'is it still running? errand status', cause })
}

export function cancelled(): ErrandError {
  return new ErrandError('CANCELLED', 'cancelled')
}

/** The error in an answer's body, or one made from its status when the body says nothing. */
export function faultOf(status: number, body: string): ErrandError {
  const said = parsed(body)
  if (isRecord(said) && isRecord(said.error)) {
    const { code, message } = said.error
    if (typeof code === 'string' && typeof message === 'string') return fromWire({ ...said.error, code, message })
  }
  return new ErrandError('BAD_ANSWER', `the node answered ${status} without a reason`, { hint: 'are errand and its node of the same version? errand version' })
}

/** An error that came in a frame. */
export function wireFault(wire: WireError): ErrandError {
  return fromWire({ ...wire, code: String(wire.code), message: String(wire.message) })
}

/** @throws NODE_NEWER when the node speaks a local API that this client does not know. */
export function checkVersion(header: string | undefined): void {
  const spoken = Number(header ?? Number.NaN)
  if (spoken <= LOCAL.version) return
  throw Number.isNaN(spoken)
    ? new ErrandError('BAD_ANSWER', 'what answers on the socket is not an errand node')
    : new ErrandError('NODE_NEWER', `the node speaks local API ${spoken}, this client ${LOCAL.version}`, {
        hint: 'update this errand, or restart the node with: errand down; errand up',
      })
}

function noNode(path: string, cause: Error): ErrandError {
  if (/^https?:/.test(path))
    return new ErrandError('NO_NODE', `nothing answers at ${path}`, {
      hint: 'is the node up, and transport.api.listen set there? errand status shows its address',
      fields: { url: path },
      cause,
    })
  return new ErrandError('NO_NODE', 'no node is running here', { hint: 'start it with: errand up', fields: { socket: path }, cause })
}

function badCertificate(url: string, cause: Error): ErrandError {
  return new ErrandError('BAD_CERTIFICATE', `${url} is not trusted: ${cause.message}`, {
    hint: 'give the CA that signed its certificate by `ca`, and ask by a name in it',
    cause,
  })
}

function notOurs(path: string, cause: Error): ErrandError {
  return new ErrandError('NOT_YOUR_NODE', `no access to the node's socket ${path}`, {
    hint: 'it belongs to another user; run errand as that user, or use another --home',
    cause,
  })
}

function silent(cause: Error): ErrandError {
  return new ErrandError('NODE_SILENT', 'the node did not answer in time', {
    hint: 'is it overloaded or stopped? see errand.log in its home',
    retryable: true,
    cause,
  })
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
