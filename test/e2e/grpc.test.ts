/** The gRPC face of a real node, asked by a client that is not ours: Python's, which learns services and messages by reflection. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Status } from '../../protocols/local/messages.ts'
import { grpcClient } from '../../scripts/grpc/client.mjs'
import { jsonOf, type Node, type World, world } from '../support/world.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const PATHS = [
  `errand/v1=${join(ROOT, 'protocols', 'local')}`,
  join(ROOT, 'node_modules', 'grpc-health-check', 'proto'),
  join(ROOT, 'node_modules', '@grpc', 'reflection', 'build', 'proto'),
]
/** Installing the client included. */
const SEEN_MS = 300_000

let w: World
let node: Node
let status: Status
/** What the client saw, by step. */
let seen: Record<string, unknown>

beforeAll(async () => {
  const { python, protoc } = grpcClient()
  w = world()
  node = await w.founder('box', { 'transport.grpc.socket': true })
  status = jsonOf<Status>(await w.errand(node.home, 'status', '--json'))
  mkdirSync(w.at('python'))
  const args = [join(import.meta.dirname, 'grpc-client.py'), status.grpc ?? '', 'box', w.at('python'), JSON.stringify(protoc), ...PATHS]
  const { stdout } = await promisify(execFile)(python, args, { env: w.env, maxBuffer: 1 << 22 })
  seen = JSON.parse(stdout)
}, SEEN_MS)
afterAll(() => w[Symbol.asyncDispose]())

test('the status says where, in the home', () => {
  expect(status.grpc).toBe(`unix:${join(node.home, 'run', 'grpc.sock')}`)
})

test('reflection lists the services, and says of ours what protoc says', () => {
  const { listed, same, wanted } = seen['descriptors'] as Record<string, string[]>
  expect(listed).toEqual(expect.arrayContaining(['errand.v1.Exec', 'errand.v1.Tasks', 'grpc.health.v1.Health']))
  expect(same).toEqual(wanted)
  expect(wanted).toContain('errand/v1/exec.proto')
})

test('health, the status and the device are there', () => {
  expect(seen['views']).toMatchObject({
    status: { ready: true, did: node.did, name: 'box', mesh_name: 'home' },
    devices: { devices: [{ name: 'box', online: true, path: 'self' }] },
    health: Array(3).fill({ status: 'SERVING' }),
  })
})

test('Execute gives input, exit code and both outputs apart', () => {
  const [stdout, stderr] = ['outin', 'err'].map((text) => Buffer.from(text).toString('base64'))
  expect(seen['execute']).toMatchObject({ stdout, stderr, exit_code: 7, why: 'exit', device: 'box', stdout_bytes: '5', stderr_bytes: '3' })
})

test('ExecuteStream gives them as they come', () => {
  expect(seen['stream']).toMatchObject({ stdout: 'out', stderr: 'err', ended: { exit_code: 3 }, offset: 6 })
  expect((seen['stream'] as { kinds: string[] }).kinds.filter((kind) => !kind.startsWith('std'))).toEqual(['accepted', 'ended'])
})

test('ExecuteInteractive is a conversation', () => {
  expect(seen['interactive']).toEqual({ stdout: 'heard one\nheard two\n', exit: 5 })
})

test('Cancel ends a command and Status knows; so do hanging up and a deadline', () => {
  expect(seen['cancelled']).toMatchObject({
    ...{ running: 'RUNNING', task: { state: 'CANCELLED', why: 'cancelled' }, ended: { cancelled: true } },
    again: { status: 'FAILED_PRECONDITION', 'errand-code': 'TASK_OVER' },
  })
  expect(seen['hung_up']).toEqual({ state: 'CANCELLED' })
  expect(seen['deadline']).toMatchObject({ status: 'DEADLINE_EXCEEDED', state: expect.stringMatching(/CANCELLED|FAILED/) })
})

test('a task is handed over, watched, attached to and listed', () => {
  expect(seen['submitted']).toMatchObject({
    ...{ first: 'state', task: { detached: true, description: 'from Python', metadata: { k: 'v' } }, last: { state: 'FAILED', exit_code: 4 } },
    ...{ states: expect.arrayContaining(['RUNNING', 'FAILED']), attached: 'bc', listed: true },
  })
  expect((seen['submitted'] as { events: number }).events).toBeGreaterThan(2)
})

test('it is paused, resumed and cancelled', () => {
  expect(seen['steered']).toEqual(['WAITING', 'RUNNING', 'CANCELLED'])
})

test('an error is a status, with code, hint and fields in its metadata', () => {
  expect(seen['errors']).toMatchObject({
    unknown: { status: 'NOT_FOUND', 'errand-code': 'NO_SUCH_TASK', 'errand-hint-bin': expect.stringMatching(/\S/) },
    device: { status: 'NOT_FOUND', 'errand-code': 'UNKNOWN_DEVICE', 'errand-fields-bin': '{"source":"errand"}' },
    ...{ large: { status: 'RESOURCE_EXHAUSTED' }, bad: { status: 'INVALID_ARGUMENT', 'errand-code': 'BAD_REQUEST' }, method: { status: 'UNIMPLEMENTED' } },
  })
})

test('100 MiB each way arrive, and the node’s memory stays flat while a reader or a command stops', () => {
  expect(seen['flow']).toMatchObject({ output: true, input: true })
  expect((seen['flow'] as { grew_mib: number }).grew_mib).toBeLessThan(64)
})

test('a node that serves no gRPC has no socket for it', async () => {
  const other = await w.founder('plain')
  expect(jsonOf<Status>(await w.errand(other.home, 'status', '--json')).grpc).toBeUndefined()
  expect([other.home, node.home].map((home) => existsSync(join(home, 'run', 'grpc.sock')))).toEqual([false, true])
})

test('a stop leaves no socket that answers, and the next start takes its place', async () => {
  await node.stop()
  node = await w.up(node.home)
  expect(jsonOf<Status>(await w.errand(node.home, 'status', '--json')).grpc).toBe(status.grpc)
})
