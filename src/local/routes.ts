/** The JSON routes of the local API: decode once, ask the runtime, answer. Holds no state and decides nothing. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import * as v from 'valibot'
import type { AuditRecordView } from '../../protocols/local/messages.ts'
import {
  AuditQuery,
  DownRequest,
  ExecRequest,
  GrantRequest,
  InviteRequest,
  JoinRequest,
  ListenRequest,
  LOCAL,
  RevokeRequest,
} from '../../protocols/local/messages.ts'
import { ErrandError } from '../base/errors.ts'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { answerOf, checked, refusalOf } from './door.ts'
import { sendEvents } from './events.ts'

/** A query's values are all text; this one is a number inside. */
const AuditFilters = v.strictObject({
  ...AuditQuery.entries,
  limit: v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'a count'), v.transform(Number))),
})
const NoQuery = v.strictObject({})
const LINES_BYTES = 1 << 14

/** Where a 500 is told: pino fits. */
export interface LocalLog {
  error(facts: object, text: string): void
}

export interface RoutesOn {
  readonly runtime: Runtime
  readonly actor: Actor
  readonly log: LocalLog | undefined
  /** Then answers close their connection: a warm one would hold up the stop. */
  readonly stopping: AbortSignal
}

export function addRoutes(app: FastifyInstance, on: RoutesOn): void {
  addGuards(app, on)
  const { runtime, actor } = on
  const get = (path: string, answer: () => Promise<unknown>): void => {
    app.get(path, async ({ query }) => {
      checked(NoQuery, query)
      return await answer()
    })
  }
  const post = <S extends v.GenericSchema>(path: string, schema: S, answer: (request: v.InferOutput<S>) => Promise<unknown>): void => {
    app.post(path, async ({ body }) => await answer(checked(schema, body ?? {})))
  }
  get('/api/runtime/status', () => runtime.getStatus())
  get('/api/runtime/devices', () => runtime.listDevices())
  get('/api/runtime/agents', () => runtime.listAgents())
  get('/api/runtime/skills', () => runtime.listSkills())
  addTasks(app, on)
  get('/api/runtime/grants', () => runtime.listGrants())
  get('/api/audit/verify', () => runtime.verifyAudit())
  post('/api/runtime/invites', InviteRequest, (request) => runtime.invite(actor, request))
  post('/api/runtime/offers', JoinRequest, (request) => runtime.readOffer(request))
  post('/api/runtime/join', JoinRequest, (request) => runtime.join(actor, request))
  post('/api/runtime/listen', ListenRequest, (request) => runtime.listen(actor, request))
  post('/api/runtime/grants', GrantRequest, (request) => runtime.grant(actor, request))
  post('/api/runtime/revocations', RevokeRequest, (request) => runtime.revoke(actor, request))
  post('/api/runtime/shutdown', DownRequest, (request) => runtime.shutdown(actor, request))
  app.get('/api/audit/events', async ({ query }, reply) => await sendLines(reply, runtime.audit(checked(AuditFilters, query))))
}

const Asked = v.strictObject({ all: v.optional(v.picklist(['true', 'false'])), events: v.optional(v.picklist(['true', 'false'])) })
const TaskPath = v.object({ task: v.pipe(v.string(), v.maxLength(64)) })
const Cursor = v.strictObject({ cursor: v.optional(v.pipe(v.string(), v.regex(/^\d{1,16}$/, 'a cursor'), v.transform(Number))) })
const Nothing = v.strictObject({})

function addTasks(app: FastifyInstance, { runtime, actor, stopping }: RoutesOn): void {
  app.get('/api/runtime/tasks', async ({ query }) => await runtime.listTasks({ all: checked(Asked, query).all === 'true' }))
  app.post('/api/runtime/tasks/submit', async ({ body }) => await runtime.submitTask(actor, checked(ExecRequest, body ?? {})))
  for (const path of ['/api/runtime/tasks/:task', '/api/runtime/tasks/:task/state']) {
    app.get(path, async ({ params, query }) => await runtime.getTask(checked(TaskPath, params).task, { events: checked(Asked, query).events === 'true' }))
  }
  const steer = (what: string, act: (task: string) => Promise<unknown>): void => {
    app.post(`/api/runtime/tasks/:task/${what}`, async ({ params, body }) => {
      checked(Nothing, body ?? {})
      return await act(checked(TaskPath, params).task)
    })
  }
  steer('cancel', (task) => runtime.cancelTask(actor, task))
  steer('pause', (task) => runtime.pauseTask(actor, task))
  steer('resume', (task) => runtime.resumeTask(actor, task))
  app.get('/api/runtime/events', async ({ query, headers }, reply) => {
    const { cursor } = checked(Cursor, query)
    const last = checked(Cursor, headers['last-event-id'] === undefined ? {} : { cursor: headers['last-event-id'] }).cursor
    return await sendEvents(reply, runtime, { cursor: cursor ?? last, stopping })
  })
}

function addGuards(app: FastifyInstance, { log, stopping }: RoutesOn): void {
  // Only JSON: a form or plain text is what a web page could send without asking first.
  app.removeContentTypeParser('text/plain')
  app.addHook('onRequest', async ({ headers }, reply) => {
    reply.header('x-errand-api', String(LOCAL.version))
    const refusal = refusalOf(headers)
    if (refusal !== undefined) throw refusal
  })
  app.addHook('onSend', async (_request, reply) => {
    if (stopping.aborted) reply.header('connection', 'close')
  })
  app.setErrorHandler(async (error, request, reply) => {
    const { status, body } = answerOf(error)
    if (status >= 500) log?.error({ err: error, method: request.method, path: request.url }, 'local API: a request failed')
    return await reply.code(status).send(body)
  })
  app.setNotFoundHandler(({ method, url }) => {
    throw noSuchRoute(method, url)
  })
}

export function noSuchRoute(method: string | undefined, url: string | undefined): ErrandError {
  return new ErrandError('NO_SUCH_ROUTE', `the local API has no ${method ?? ''} ${(url ?? '').slice(0, 256)}`, {
    hint: 'see protocols/local/README.md; is the client newer than this node?',
  })
}

/** The first record is fetched before the status goes out, so that a query that fails at once is answered as an error. */
async function sendLines(reply: FastifyReply, records: AsyncIterable<AuditRecordView>): Promise<FastifyReply> {
  const rows = records[Symbol.asyncIterator]()
  const first = await rows.next()
  return await reply.type('application/x-ndjson').send(Readable.from(linesOf(first, rows), { objectMode: false }))
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
