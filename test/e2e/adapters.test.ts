/** Adapters in a node: when they start and stop, what becomes of one that fails, and what the example of docs/adapters.md says to nonsense. */
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { lineAdapter } from '../../docs/examples/line-adapter.ts'
import type { Adapter, createNode as Create, RuntimeClient } from '../../src/node/public.ts'
import { world } from '../support/world.ts'

const { createNode }: { createNode: typeof Create } = await import(new URL('../../dist/index.mjs', import.meta.url).href)
const settings = { 'transport.mdns': false }

/** Writes down when it starts and stops, and that the runtime answers at both moments. */
function witness(name: string, seen: string[]): Adapter {
  const note = async (what: string, runtime: RuntimeClient): Promise<void> => void seen.push(`${what} ${name}: ${(await runtime.getStatus()).ready}`)
  return {
    name,
    start: async (runtime) => {
      await note('start', runtime)
      return () => note('stop', runtime)
    },
  }
}

test('adapters start in their order and stop in the reverse one, with a runtime that answers; after that it answers nobody', async () => {
  await using w = world()
  const seen: string[] = []
  const node = await createNode({ home: w.at('home'), settings, adapters: [witness('a', seen), witness('b', seen)] })
  await node.close()
  expect(seen).toEqual(['start a: true', 'start b: true', 'stop b: true', 'stop a: true'])
  await expect(node.runtime.getStatus()).rejects.toMatchObject({ code: 'NODE_GONE' })
})

test('an adapter that does not start leaves nothing open: the home can be used again at once', async () => {
  await using w = world()
  const seen: string[] = []
  const broken: Adapter = { name: 'broken', start: () => Promise.reject(new Error('the port is taken')) }
  const adapters = [witness('a', seen), broken]
  await expect(createNode({ home: w.at('home'), settings, adapters })).rejects.toMatchObject({
    code: 'ADAPTER_FAILED',
    message: 'the adapter broken did not start: the port is taken',
  })
  expect(seen).toEqual(['start a: true', 'stop a: true'])
  await (await createNode({ home: w.at('home'), settings })).close()
})

/** What the adapter answers to these lines, to the end of the connection. */
async function said(path: string, ...lines: readonly string[]): Promise<{ readonly error?: { readonly code: string }; readonly done?: unknown }[]> {
  const socket = connect(path)
  for (const line of lines) socket.write(`${line}\n`)
  let text = ''
  for await (const part of socket.setEncoding('utf8')) text += String(part)
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

test('the example answers nonsense with an error and hangs up; a stop ends who waits', async () => {
  await using w = world()
  const path = w.at('lines.sock')
  const node = await createNode({ home: w.at('home'), name: 'here', settings, adapters: [lineAdapter(path)] })
  const wrong = ['no JSON', '{"call":"constructor"}', '{"call":"execute"}', '{"call":"getTask"}', '{"stdin":"aGk="}', 'null', '7']
  for (const line of wrong) expect(await said(path, line), line).toMatchObject([{ error: { code: 'BAD_REQUEST', message: expect.stringMatching(/\S/) } }])
  const waiting = said(path, '{"call":"streamTaskUpdates"}')
  const running = said(path, '{"call":"execute","request":{"device":"here","command":["sleep","600"]}}').catch(() => 'cut')
  const { signal } = new AbortController()
  for await (const update of node.runtime.streamTaskUpdates({ signal })) {
    if (update.t === 'changed' ? update.task.state === 'RUNNING' : update.t === 'state' && update.tasks.some(({ state }) => state === 'RUNNING')) break
  }
  await node.close()
  expect(await waiting).toEqual(expect.arrayContaining([expect.objectContaining({ item: expect.objectContaining({ t: 'state' }) })]))
  await running
  await expect(said(path, '{"call":"getStatus"}')).rejects.toMatchObject({ code: expect.stringMatching(/ENOENT|ECONNREFUSED/) })
})
