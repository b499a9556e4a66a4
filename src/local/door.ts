/** What every request passes before the runtime hears of it, and how errors leave: checks of origin, of shape, and statuses. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type * as v from 'valibot'
import { SESSION_HEADER, SESSION_TOKEN } from '../../protocols/local/frames.ts'
import { BadBytes, shapeOf } from '../../protocols/wire.ts'
import type { WireError } from '../base/errors.ts'
import { asErrand, ErrandError } from '../base/errors.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'

/** Stands in front of every request, streams and upgrades included. */
export interface Guard {
  /** Who calls. @throws ErrandError: why there is no answer; where refusals are recorded it is recorded by then. */
  admit(request: IncomingMessage): Promise<Actor>
}

/** Of the socket: whoever can open it acts as this device. A header can only narrow that to a session, and makes nobody somebody else. */
export function ownersGuard(did: string, runtime: Sessions): Guard {
  const actor: Actor = { did, via: 'local' }
  return {
    admit: async ({ headers }) => {
      const refusal = refusalOf(headers)
      if (refusal !== undefined) throw refusal
      const token = bearerIn(headers)
      if (token !== undefined && !isSessionToken(token)) throw new ErrandError('UNAUTHENTICATED', 'this socket knows tokens of sessions only', { hint: TOKENS })
      return await narrowed(actor, headers, runtime)
    },
  }
}

/** Where a token or a name of a session is looked up. */
export type Sessions = { readonly sessions: Pick<Runtime['sessions'], 'enter'> }

const TOKENS = 'leave the Authorization header out, or open a session: errand session open'
const BEARER = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i

export function bearerIn({ authorization }: IncomingHttpHeaders): string | undefined {
  if (authorization === undefined) return undefined
  return BEARER.exec(authorization)?.[1] ?? ''
}

export function isSessionToken(token: string): boolean {
  return token.startsWith(SESSION_TOKEN)
}

/** The same caller in the session that its request names, by a token or in a header. @throws UNAUTHENTICATED, NO_SUCH_SESSION, DENIED when it is over */
export async function narrowed(actor: Actor, headers: IncomingHttpHeaders, { sessions }: Sessions): Promise<Actor> {
  const token = bearerIn(headers)
  const byToken = token !== undefined && isSessionToken(token) ? await byBearer(token, sessions) : undefined
  const named = headers[SESSION_HEADER]
  if (named === undefined) return byToken === undefined ? actor : { ...actor, session: byToken }
  const session = await sessions.enter(String(named))
  if (byToken !== undefined && byToken !== session) throw new ErrandError('DENIED', 'the request names another session than its token')
  return { ...actor, session }
}

async function byBearer(token: string, sessions: Sessions['sessions']): Promise<string> {
  try {
    return await sessions.enter(token)
  } catch (cause) {
    const { code, message, hint } = asErrand(cause)
    if (code === 'DENIED') throw cause
    throw new ErrandError('UNAUTHENTICATED', message, { ...(hint === undefined ? {} : { hint }), cause })
  }
}

const HOSTS = new Set(['errand', 'localhost'])

/**
 * A page in a browser can be made to speak to a local server under a name it controls (DNS rebinding). Browsers reach no Unix socket,
 * but a forwarded one they may; so whoever sends an Origin, or means another host, is refused before anything else.
 */
export function refusalOf(headers: IncomingHttpHeaders): ErrandError | undefined {
  if (headers.origin !== undefined)
    return new ErrandError('FORBIDDEN_ORIGIN', 'requests with an Origin header are not answered', {
      hint: 'this API is for programs of this user, not for web pages',
    })
  if (HOSTS.has(headers.host ?? '')) return undefined
  return new ErrandError('FORBIDDEN_HOST', `requests for host ${JSON.stringify(headers.host ?? '')} are not answered`, { hint: 'send Host: errand' })
}

/** The one decode of a request. @throws ErrandError BAD_REQUEST naming the first field that does not fit. */
export function checked<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  try {
    return shapeOf(schema, value)
  } catch (error) {
    if (error instanceof BadBytes) throw new ErrandError('BAD_REQUEST', error.message, { hint: 'see protocols/local/README.md for the fields', cause: error })
    throw error
  }
}

const STATUS: Readonly<Record<string, number>> = {
  BAD_REQUEST: 400,
  UNAUTHENTICATED: 401,
  BAD_FRAME: 400,
  FORBIDDEN_ORIGIN: 403,
  FORBIDDEN_HOST: 403,
  DENIED: 403,
  NO_SUCH_ROUTE: 404,
  TOO_LARGE: 413,
  BAD_MEDIA_TYPE: 415,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  STOPPING: 503,
}
const STATUS_BY_PREFIX: readonly (readonly [string, number])[] = [
  ['REFUSED_', 403],
  ['UNKNOWN_', 404],
  ['NO_SUCH_', 404],
  ['AMBIGUOUS_', 409],
  ['BAD_', 400],
]

/** What is not listed is a fact the caller has to know, not a fault of the server: 422. */
export function statusOf(code: string): number {
  return STATUS[code] ?? STATUS_BY_PREFIX.find(([prefix]) => code.startsWith(prefix))?.[1] ?? 422
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: { readonly error: WireError }
}

export function answerOf(thrown: unknown): Answer {
  const error = fromFastify(thrown) ?? asErrand(thrown)
  const status = statusOf(error.code)
  return { status, headers: status === 401 ? { 'www-authenticate': 'Bearer realm="errand"' } : {}, body: { error: wireOf(error) } }
}

/** A request's path for people and logs: without its query, which may hold what nobody should keep. */
export function pathOf(url: string | undefined): string {
  return (url ?? '').replace(/[?#].*$/s, '').slice(0, 256)
}

/** An error that came from a device keeps its source; what failed here is errand's. */
export function wireOf(error: ErrandError): WireError {
  const { source, ...fields } = error.fields
  const known = source === 'command' || source === 'device' ? source : 'errand'
  return { ...new ErrandError(error.code, error.message, { fields, ...(error.hint === undefined ? {} : { hint: error.hint }) }).toWire(known) }
}

const FASTIFY: Readonly<Record<string, readonly [code: string, hint: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['TOO_LARGE', 'a request body may have 1 MiB'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['BAD_MEDIA_TYPE', 'send content-type: application/json'],
}

function fromFastify(thrown: unknown): ErrandError | undefined {
  if (thrown instanceof ErrandError || !(thrown instanceof Error)) return undefined
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
  const known = FASTIFY[code]
  if (known !== undefined) return new ErrandError(known[0], thrown.message, { hint: known[1], cause: thrown })
  const status = 'statusCode' in thrown ? thrown.statusCode : undefined
  return typeof status === 'number' && status >= 400 && status < 500 ? new ErrandError('BAD_REQUEST', thrown.message, { cause: thrown }) : undefined
}
