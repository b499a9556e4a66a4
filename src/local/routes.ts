/** Mounts the routes of the local API: guards first, then decode, ask the runtime, answer. Holds no state and decides nothing. */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { LOCAL } from '../../protocols/local/frames.ts'
import type { AuditRecordView, TaskUpdate } from '../../protocols/local/messages.ts'
import type { Clock } from '../base/clock.ts'
import { ErrandError } from '../base/errors.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { answerOf, type Guard, pathOf } from './door.ts'
import { sendEvents } from './events.ts'
import { addDescription } from './openapi.ts'
import { EVENTS_TYPE, goneOf, LINES_TYPE, type Route } from './route.ts'
import { ROUTES } from './routes-table.ts'

const LINES_BYTES = 1 << 14

/** Where a 500 is told: pino fits. */
export interface LocalLog {
  error(facts: object, text: string): void
}

export interface RoutesOn {
  readonly runtime: Runtime
  readonly guard: Guard
  readonly clock: Clock
  readonly log: LocalLog | undefined
  /** Then answers close their connection: a warm one would hold up the stop. */
  readonly stopping: AbortSignal
}

export function addRoutes(app: FastifyInstance, on: RoutesOn): void {
  const actors = new WeakMap<IncomingMessage, Actor>()
  addGuards(app, on, actors)
  for (const route of ROUTES) {
    const answer = (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => serve(route, on, { request, reply, actor: actorIn(actors, request) })
    app.route({ method: route.method, url: route.path.replace(/\{(\w+)\}/g, ':$1'), handler: answer })
  }
  addDescription(app)
}

async function serve(
  route: Route,
  { runtime: all, stopping, clock }: RoutesOn,
  { request, reply, actor }: { request: FastifyRequest; reply: FastifyReply; actor: Actor },
): Promise<unknown> {
  const runtime = actor.session === undefined ? all : all.inSession(actor.session)
  switch (route.answer.type) {
    case EVENTS_TYPE: {
      const signal = AbortSignal.any([goneOf(reply), stopping])
      return await sendEvents(reply, route.run({ runtime, actor, signal }, request) as AsyncIterable<TaskUpdate>, { signal, clock })
    }
    case LINES_TYPE:
      return await sendLines(reply, route.run({ runtime, actor, signal: stopping }, request) as AsyncIterable<AuditRecordView>)
    default:
      return await route.run({ runtime, actor, signal: stopping }, request)
  }
}

function actorIn(actors: WeakMap<IncomingMessage, Actor>, { raw }: FastifyRequest): Actor {
  const actor = actors.get(raw)
  if (actor === undefined) throw new ErrandError('INTERNAL', 'a request came past the guard')
  return actor
}

function addGuards(app: FastifyInstance, { guard, log, stopping }: RoutesOn, actors: WeakMap<IncomingMessage, Actor>): void {
  // Only JSON: a form or plain text is what a web page could send without asking first.
  app.removeContentTypeParser('text/plain')
  app.addHook('onRequest', async ({ raw }, reply) => {
    reply.header('x-errand-api', String(LOCAL.version))
    actors.set(raw, await guard.admit(raw))
  })
  app.addHook('onSend', async (_request, reply) => {
    if (stopping.aborted) reply.header('connection', 'close')
  })
  app.setErrorHandler(async (error, request, reply) => {
    const { status, body, headers } = answerOf(error)
    if (status >= 500) log?.error({ err: error, method: request.method, path: pathOf(request.url) }, 'local API: a request failed')
    return await reply.code(status).headers(headers).send(body)
  })
  app.setNotFoundHandler(({ method, url }) => {
    throw noSuchRoute(method, url)
  })
}

export function noSuchRoute(method: string | undefined, url: string | undefined): ErrandError {
  return new ErrandError('NO_SUCH_ROUTE', `the local API has no ${method ?? ''} ${pathOf(url)}`, {
    hint: 'see /api/docs, or protocols/local/README.md; is the client newer than this node?',
  })
}

/** The first record is fetched before the status goes out, so that a query that fails at once is answered as an error. */
async function sendLines(reply: FastifyReply, records: AsyncIterable<AuditRecordView>): Promise<FastifyReply> {
  const rows = records[Symbol.asyncIterator]()
  const first = await rows.next()
  return await reply.type(LINES_TYPE).send(Readable.from(linesOf(first, rows), { objectMode: false }))
}

/** Lines in pieces of some 16 KiB: a write per record would cost more than the record. The stream pulls them as fast as its reader reads. */
async function* linesOf(first: IteratorResult<AuditRecordView>, rows: AsyncIterator<AuditRecordView>): AsyncGenerator<string> {
  let text = ''
  try {
    for (let next = first; next.done !== true; next = await rows.next()) {
      text += `${JSON.stringify(next.value)}\n`
      if (text.length < LINES_BYTES) continue
      yield text
      text = ''
    }
  } catch (error) {
    text += `${JSON.stringify(answerOf(error).body)}\n`
  } finally {
    await rows.return?.()
  }
  if (text !== '') yield text
}
