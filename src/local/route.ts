/** What a route of the local API is: data that is mounted and described from one place. Decodes once, at its edge. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import * as v from 'valibot'
import type { Actor, Runtime } from '../runtime/runtime.ts'
import { checked } from './door.ts'

export const JSON_TYPE = 'application/json'
export const LINES_TYPE = 'application/x-ndjson'
export const EVENTS_TYPE = 'text/event-stream'

type Schema = v.GenericSchema

/** What a handler is given. */
export interface Call<P, Q, B> {
  readonly runtime: Runtime
  /** Who calls; made by the door's guard, never from a header that anybody can send. */
  readonly actor: Actor
  readonly params: P
  readonly query: Q
  readonly body: B
  /** Of a stream of events: the cursor of the last one that was seen. */
  readonly lastEventId: number | undefined
  /** Aborts when the caller is gone, or the node stops. */
  readonly signal: AbortSignal
}

export interface Answer {
  readonly type: typeof JSON_TYPE | typeof LINES_TYPE | typeof EVENTS_TYPE
  readonly schema: Schema
}

export interface Takes<P extends Schema, Q extends Schema, B extends Schema> {
  readonly params?: P
  readonly query?: Q
  readonly body?: B
}

interface Named {
  readonly method: 'GET' | 'POST'
  /** As OpenAPI writes it: `/api/runtime/tasks/{task}`. */
  readonly path: string
  /** One sentence. */
  readonly does: string
  readonly answer: Answer
}

/** What a route reads of a request. */
export type Asked = Pick<FastifyRequest, 'params' | 'query' | 'body' | 'headers' | 'method'>

export interface Route extends Named, Takes<Schema, Schema, Schema> {
  /** @returns what is sent: a value, or for a stream its items. */
  readonly run: (on: { readonly runtime: Runtime; readonly actor: Actor; readonly signal: AbortSignal }, request: Asked) => unknown
}

/** Closed and empty: whoever sends something here means another route. */
const Nothing = v.strictObject({})
const Cursor = v.optional(v.pipe(v.string(), v.regex(/^\d{1,16}$/, 'a cursor'), v.transform(Number)))

export function route<P extends Schema = typeof Nothing, Q extends Schema = typeof Nothing, B extends Schema = typeof Nothing>(
  of: Named,
  takes: Takes<P, Q, B>,
  run: (call: Call<v.InferOutput<P>, v.InferOutput<Q>, v.InferOutput<B>>) => unknown,
): Route {
  return {
    ...of,
    ...takes,
    run: (on, { params, query, body, headers, method }) =>
      run({
        ...on,
        params: checked(takes.params ?? Nothing, params),
        query: checked(takes.query ?? Nothing, query),
        body: checked(takes.body ?? Nothing, method === 'POST' ? (body ?? {}) : {}),
        lastEventId: of.answer.type === EVENTS_TYPE ? checked(Cursor, headers['last-event-id']) : undefined,
      }),
  }
}

/** What is asked, and what is answered. */
export function get(path: string, does: string, answer: Answer): Named {
  return { method: 'GET', path, does, answer }
}

export function post(path: string, does: string, answer: Answer): Named {
  return { method: 'POST', path, does, answer }
}

export function json(schema: Schema): Answer {
  return { type: JSON_TYPE, schema }
}

/** Aborts when the reader of an answer is gone. */
export function goneOf(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return gone.signal
}
