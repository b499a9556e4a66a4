import { createHash } from 'node:crypto'
import { Validator } from '@seriousme/openapi-schema-validator'
import Fastify from 'fastify'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { ownersGuard } from '../../../src/local/door.ts'
import { describeApi, NAMED } from '../../../src/local/openapi.ts'
import { EXAMPLES } from '../../../src/local/openapi-examples.ts'
import { pageOf } from '../../../src/local/openapi-page.ts'
import { addRoutes } from '../../../src/local/routes.ts'
import { ask } from './ask.ts'
import { DID, scripted, world } from './scripted.ts'

interface Described {
  readonly openapi: string
  readonly paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>
}

async function described(): Promise<Described> {
  await using it = await world({})
  return JSON.parse((await ask(it.socketPath, { path: '/api/openapi.json' })).body)
}

test('the description is OpenAPI 3.1 by the rules of its standard', async () => {
  const validator = new Validator()
  const seen = await validator.validate(structuredClone({ ...(await described()) }))
  expect(seen).toMatchObject({ valid: true })
  expect(validator.version).toBe('3.1')
  const broken = await new Validator().validate({ ...describeApi(), paths: { '/x': { get: { responses: 'none' } } } })
  expect(broken.valid).toBe(false)
})

test('every route that is served is described, and nothing else is', async () => {
  const app = Fastify({ exposeHeadRoutes: false })
  const served: string[] = []
  app.addHook('onRoute', ({ method, url }) => void served.push(`${String(method)} ${url.replace(/:(\w+)/g, '{$1}')}`))
  addRoutes(app, { runtime: scripted({}), guard: ownersGuard(DID, scripted({})), clock: systemClock, log: undefined, stopping: new AbortController().signal })
  await app.close()
  const { paths } = await described()
  const said = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))
  const upgrades = ['GET /api/runtime/exec', 'GET /api/runtime/ws']
  expect(said.sort()).toEqual([...served, ...upgrades].sort())
  expect(served.length).toBeGreaterThan(20)
})

test('every reference leads somewhere, every operation has its own name and says how it fails', async () => {
  const document = await described()
  const { components } = { components: { schemas: {} as Record<string, unknown> }, ...document }
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? '')
  expect(new Set(references)).toEqual(new Set(Object.keys(components.schemas)))
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length)
  for (const { responses } of operations) expect(JSON.stringify(responses)).toContain('#/components/schemas/Error')
})

test('the schemas carry the caps that decode', async () => {
  const text = JSON.stringify((await described()).paths['/api/audit/events'])
  expect(text).toContain('"name":"since","in":"query","required":false,"schema":{"type":"string","format":"date-time"}')
  expect(JSON.stringify(await described())).toContain('"command":{"type":"array","items":{"type":"string","maxLength":131072},"minItems":1,"maxItems":1024}')
})

test.each(Object.keys(NAMED))('the example of %s is what its schema takes', (name) => {
  const schema = NAMED[name]
  expect(schema).toBeDefined()
  if (schema !== undefined) expect(v.safeParse(schema, EXAMPLES[name]).issues).toBeUndefined()
})

test('an error is answered in the shape that is described', async () => {
  await using it = await world({})
  const answer = await ask(it.socketPath, { path: '/api/runtime/nothing' })
  const { Error: fault } = NAMED
  if (fault !== undefined) expect(v.safeParse(fault, JSON.parse(answer.body)).success).toBe(true)
})

test('the page loads nothing, runs nothing and can be framed by nobody', async () => {
  await using it = await world({})
  const { status, headers, body } = await ask(it.socketPath, { path: '/api/docs' })
  expect(status).toBe(200)
  expect(headers['content-type']).toBe('text/html; charset=utf-8')
  const [, style = ''] = /<style>(.*?)<\/style>/s.exec(body) ?? []
  const hash = createHash('sha256').update(style).digest('base64')
  expect(headers['content-security-policy']).toBe(`default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`)
  expect(body).not.toMatch(/<script|<link|<img|<iframe|\son\w+=|\sstyle=|url\(|@import|src=|https?:\/\//)
  for (const path of Object.keys((await described()).paths)) expect(body).toContain(path)
  expect(body).toContain('/api/runtime/tasks/submit')
})

test('what the page says is text, whatever it holds', () => {
  const evil = '<script>alert("1")</script>'
  const page = pageOf({
    info: { title: evil, version: evil },
    paths: { [evil]: { get: { summary: evil } } },
    components: { schemas: { [evil]: { examples: [evil] } } },
  })
  expect(page).not.toContain('<script')
  expect(page).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;')
})
