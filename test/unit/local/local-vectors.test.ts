/** protocols/local/vectors.json: written by today's code, and spoken by a real server on both faces. */
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import type { RawData } from 'ws'
import { LOCAL } from '../../../protocols/local/frames.ts'
import { QuickLink } from '../../../src/local/quick-link.ts'
import type { Runtime } from '../../../src/runtime/runtime.ts'
import { webSocketTo } from '../../support/ws-client.ts'
import { FIRST, type GoldenFrame, INPUT, messageOf, payloadOf, TOLD, vectorOf, WRONG } from './local-golden.ts'
import { world } from './scripted.ts'

const FILE = 'protocols/local/vectors.json'

/** What a client writes on the exec face. */
function streamed(frame: GoldenFrame): Uint8Array {
  const written: Uint8Array[] = []
  const pipe = { source: (async function* () {})(), write: (bytes: Iterable<Uint8Array>) => void written.push(...bytes), abort: () => undefined }
  void new QuickLink(pipe, LOCAL.maxFrameBytes).write(frame.tag, payloadOf(frame))
  return Buffer.concat(written)
}

const golden = {
  protocol: 'the local API, version 1',
  frames: [...FIRST, ...INPUT, ...TOLD].map((frame) => vectorOf(frame, streamed(frame))),
  refused: WRONG.map((frame) => vectorOf(frame, streamed(frame))),
}
// The one way to make the file: ERRAND_WRITE_VECTORS=local npx vitest run test/unit/local/local-vectors.test.ts
if (process.env['ERRAND_WRITE_VECTORS'] === 'local') writeFileSync(FILE, `${JSON.stringify(golden, null, 2)}\n`)

test('what we write today is byte for byte what we wrote when the vectors were made', () => {
  expect(JSON.parse(JSON.stringify(golden))).toEqual(JSON.parse(readFileSync(FILE, 'utf8')))
})

/** Hears one first frame and all input, says everything it can. */
function parrot(heard: unknown[]): Partial<Runtime> {
  return {
    async exec(_actor, request, link) {
      heard.push(request)
      for (const { tag } of INPUT) {
        const frame = await link.read()
        heard.push(frame?.tag === tag ? Buffer.from(frame.payload.subarray()).toString('hex') : frame?.tag)
      }
      for (const frame of TOLD) await link.write(frame.tag, payloadOf(frame))
    },
    async attach(_actor, request) {
      heard.push(request)
    },
    async *streamTaskUpdates({ cursor }) {
      heard.push({ cursor })
      yield { t: 'gap', from: 1, to: 9 }
    },
  }
}

test('the WebSocket face hears and says these messages', async () => {
  const heard: unknown[] = []
  await using it = await world(parrot(heard))
  const talk = (...frames: readonly GoldenFrame[]): Promise<string[]> => {
    const socket = webSocketTo({ socketPath: it.socketPath })
    const said: string[] = []
    socket.on('message', (data: RawData) => said.push(Buffer.isBuffer(data) ? data.toString('hex') : ''))
    socket.once('open', () => frames.map((frame) => socket.send(messageOf(frame))))
    return new Promise((resolve, reject) => socket.once('close', () => resolve(said)).once('error', reject))
  }
  const [request, attach, watch] = FIRST
  if (request === undefined || attach === undefined || watch === undefined) throw new Error('the vectors lack a first frame')
  expect(await talk(request, ...INPUT)).toEqual(TOLD.map((frame) => messageOf(frame).toString('hex')))
  expect(await talk(attach)).toEqual([])
  expect(await talk(watch)).toEqual(TOLD.filter(({ name }) => name.startsWith('update')).map((frame) => messageOf(frame).toString('hex')))
  expect(heard).toEqual([request.json, ...INPUT.map(({ bytes }) => bytes), attach.json, watch.json])
  for (const wrong of WRONG) {
    const [said = ''] = await talk(wrong)
    expect([said.slice(0, 2), JSON.parse(Buffer.from(said, 'hex').subarray(1).toString()).code], wrong.name).toEqual(['03', 'BAD_REQUEST'])
  }
})

test('the exec face hears and says these frames', async () => {
  const heard: unknown[] = []
  await using it = await world(parrot(heard))
  const [request] = FIRST
  if (request === undefined) throw new Error('the vectors lack a first frame')
  const socket = connect(it.socketPath)
  socket.write(`GET /api/runtime/exec HTTP/1.1\r\nHost: errand\r\nConnection: Upgrade\r\nUpgrade: ${LOCAL.upgrade}\r\n\r\n`)
  socket.write(Buffer.concat([request, ...INPUT].map(streamed)))
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(Buffer.from(part))
  const all = Buffer.concat(parts)
  expect(all.subarray(all.indexOf('\r\n\r\n') + 4).toString('hex')).toBe(Buffer.concat(TOLD.map(streamed)).toString('hex'))
  expect(heard).toEqual([request.json, ...INPUT.map(({ bytes }) => bytes)])
})
