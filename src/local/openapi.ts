/** The local API described as OpenAPI 3.1, from the very table that is mounted and the schemas that decode; and served with a page to read. */
import { createHash } from 'node:crypto'
import { type ConversionConfig, toJsonSchema, toJsonSchemaDefs } from '@valibot/to-json-schema'
import type { FastifyInstance } from 'fastify'
import type * as v from 'valibot'
import pack from '../../package.json' with { type: 'json' }
import * as messages from '../../protocols/local/messages.ts'
import * as sessions from '../../protocols/local/sessions.ts'
import * as views from '../../protocols/local/views.ts'
import { ATTACHED, EXAMPLES } from './openapi-examples.ts'
import { pageOf, STYLE } from './openapi-page.ts'
import { JSON_TYPE, type Route } from './route.ts'
import { ROUTES } from './routes-table.ts'

export const DESCRIPTION_PATH = '/api/openapi.json'
export const PAGE_PATH = '/api/docs'

type Schema = v.GenericSchema
type Json = Readonly<Record<string, unknown>>

/** Schemas that have a name of their own in the description. */
const { Fault, ...ofViews } = views
export const NAMED: Readonly<Record<string, Schema>> = {
  ...ofViews,
  Error: Fault,
  ExecRequest: messages.ExecRequest,
  AttachRequest: messages.AttachRequest,
  GrantRequest: messages.GrantRequest,
  ImportGrantRequest: messages.ImportGrantRequest,
  ExportGrantRequest: messages.ExportGrantRequest,
  RevokeRequest: messages.RevokeRequest,
  WhyRequest: messages.WhyRequest,
  InviteRequest: messages.InviteRequest,
  InviteAnswer: messages.InviteAnswer,
  JoinRequest: messages.JoinRequest,
  PairRequest: messages.PairRequest,
  ListenRequest: messages.ListenRequest,
  DownRequest: messages.DownRequest,
  ...sessions,
}

const CONVERT: ConversionConfig = {
  target: 'draft-2020-12',
  typeMode: 'input',
  ignoreActions: ['readonly', 'check'], // a check is code: what it demands, an answer says
  overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
}

const FAULT_STATUS = {
  '400': 'unreadable, or a field does not fit',
  '401': 'a token or a certificate is missing or wrong; only on a TCP address',
  '403': 'refused: rights, Host or Origin',
  '404': 'no such route or thing',
  default:
    'every other error: 409 more than one is meant, 413 too large, 415 not JSON, 422 cannot be met, 429 too often, 500 a fault of the node, 503 it is stopping',
} as const

const FAULTS = Object.fromEntries(
  Object.entries(FAULT_STATUS).map(([status, description]) => [
    status,
    { description, content: { [JSON_TYPE]: { schema: { $ref: '#/components/schemas/Error' } } } },
  ]),
)

/** What is no route of the table: it leaves HTTP, or describes it. */
const OTHERS: Readonly<Record<string, Json>> = {
  '/api/runtime/exec': upgrade('exec', 'Runs one command, or attaches to one, in frames.', 'errand-exec'),
  '/api/runtime/ws': upgrade('ws', 'Runs one command, or attaches to one, over a WebSocket.', 'websocket'),
  [DESCRIPTION_PATH]: plain('describe', 'This description.', JSON_TYPE),
  [PAGE_PATH]: plain('page', 'This description as a page.', 'text/html'),
}

function upgrade(operationId: string, summary: string, protocol: string): Json {
  const parameters = [{ name: 'Upgrade', in: 'header', required: true, schema: { type: 'string', const: protocol } }]
  const description = 'What follows is described in protocols/local/README.md and protocols/local/http.md.'
  const responses = { '101': { description: `speaks ${protocol}` }, ...FAULTS }
  const asks = [{ $ref: '#/components/schemas/ExecRequest' }, { $ref: '#/components/schemas/AttachRequest' }]
  return { get: { operationId, tags: ['runtime'], summary, description, parameters, responses, 'x-first-message': asks } }
}

function plain(operationId: string, summary: string, type: string): Json {
  const content = { [type]: { schema: type === JSON_TYPE ? { type: 'object' } : { type: 'string' } } }
  return { get: { operationId, tags: ['description'], summary, security: [], responses: { '200': { description: 'it', content }, default: FAULTS.default } } }
}

export function describeApi(routes: readonly Route[] = ROUTES): Json {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) }
  return {
    openapi: '3.1.1',
    info: {
      title: 'errand: the local API of a node',
      version: pack.version,
      summary: 'Run commands on your own devices.',
      description:
        'On the home’s Unix socket whoever can open it acts as this device. On a TCP address, when one is configured, a token or a client certificate says who calls. Answers may gain fields; requests are closed.',
      license: { name: pack.license, identifier: pack.license },
    },
    servers: [{ url: '/', description: 'the node that serves this' }],
    tags: [{ name: 'runtime' }, { name: 'audit' }, { name: 'description' }],
    security: [{ token: [] }, { certificate: [] }, {}],
    paths: { ...paths, ...OTHERS },
    components: { schemas: componentsOf(), securitySchemes: SECURITY },
  }
}

const SECURITY = {
  token: { type: 'http', scheme: 'bearer', description: 'the content of the token file; on a TCP address only' },
  certificate: { type: 'mutualTLS', description: 'a client certificate with URI SAN spiffe://<mesh>/device/<peer>; on a TCP address only' },
} as const

function componentsOf(): Json {
  const schemas = toJsonSchemaDefs(NAMED, CONVERT)
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, { ...schema, examples: [EXAMPLES[name]] }]))
}

function operationOf({ method, path, does, params, query, body, answer }: Route): Json {
  const parameters = [...parametersOf('path', params), ...parametersOf('query', query), ...(answer.type === 'text/event-stream' ? [LAST_EVENT_ID] : [])]
  const content = { [answer.type]: { schema: schemaOf(answer.schema), ...ATTACHED[path] } }
  return {
    operationId: idOf(method, path),
    tags: [path.split('/')[2] ?? ''],
    summary: does,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: { [JSON_TYPE]: { schema: schemaOf(body) } } } }),
    responses: { '200': { description: ANSWERS[answer.type], content }, ...FAULTS },
  }
}

const ANSWERS = {
  'application/json': 'the answer',
  'application/x-ndjson': 'one record a line; when it fails midway, the last line is an error',
  'text/event-stream': 'an event a change; `id` is the cursor to go on from; a `gap` says that changes are missing, and the state follows anew',
} as const

const LAST_EVENT_ID = { name: 'Last-Event-ID', in: 'header', schema: { type: 'string', pattern: '^\\d{1,16}$' } }

function parametersOf(where: 'path' | 'query', schema: Schema | undefined): Json[] {
  if (schema === undefined) return []
  const { properties = {}, required = [] } = toJsonSchema(schema, CONVERT)
  return Object.entries(properties).map(([name, one]) => ({ name, in: where, required: where === 'path' || required.includes(name), schema: one }))
}

function schemaOf(schema: Schema): Json {
  const { $schema: _, $defs: __, ...rest } = toJsonSchema(schema, { ...CONVERT, definitions: { ...NAMED } })
  return rest
}

function idOf(method: string, path: string): string {
  const words = path
    .split('/')
    .slice(2)
    .flatMap((part) => part.replace(/[{}]/g, ''))
  return [method.toLowerCase(), ...words].join('-')
}

/** Read by browsers: nothing may be loaded or run, and nobody may frame it. */
const PAGE_HEADERS = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const

/** Made at the first request: most nodes are never asked. */
export function addDescription(app: FastifyInstance): void {
  let description: string | undefined
  let page: string | undefined
  app.get(DESCRIPTION_PATH, async (_request, reply) => {
    description ??= JSON.stringify(describeApi())
    return await reply.type(JSON_TYPE).header('x-content-type-options', 'nosniff').send(description)
  })
  app.get(PAGE_PATH, async (_request, reply) => {
    page ??= pageOf(describeApi())
    return await reply.type('text/html; charset=utf-8').headers(PAGE_HEADERS).send(page)
  })
}
