/** The routes of the local API without HTTP: for a program that has the node in its own process, and asks what has no method of its own there. */
import { ErrandError } from '../base/errors.ts'
import { type Asked, JSON_TYPE, type Route } from './route.ts'
import { ROUTES } from './routes-table.ts'

export type Method = Route['method']

/** @throws NO_SUCH_ROUTE for one that there is not, or that answers with a stream. */
export function routed(method: Method, path: string, body: unknown): { readonly route: Route; readonly asked: Asked } {
  const { pathname, searchParams } = new URL(path, 'http://localhost')
  for (const route of ROUTES) {
    const params = route.method === method && route.answer.type === JSON_TYPE ? paramsIn(route.path, pathname) : undefined
    if (params !== undefined) return { route, asked: { method, params, query: Object.fromEntries(searchParams), body, headers: {} } }
  }
  throw new ErrandError('NO_SUCH_ROUTE', `no route ${method} ${pathname.slice(0, 128)} that answers with one document`, {
    hint: '/api/openapi.json lists them',
  })
}

function paramsIn(pattern: string, path: string): Record<string, string> | undefined {
  const [names, parts] = [pattern.split('/'), path.split('/')]
  if (names.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [at, name] of names.entries()) {
    const part = parts[at] ?? ''
    if (name.startsWith('{')) params[name.slice(1, -1)] = decodeURIComponent(part)
    else if (name !== part) return undefined
  }
  return params
}
