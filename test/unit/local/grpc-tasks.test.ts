/** Tasks over gRPC, and what every call has in common: who asks, what is too much, health, reflection, and how the node stops. */
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { credentials } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { TAG } from '../../../protocols/exec/messages.ts'
import type { TaskUpdate, TaskView } from '../../../protocols/local/messages.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import type { Runtime } from '../../../src/runtime/runtime.ts'
import { until } from '../../support/until.ts'
import { all, Caller, failureOf, grpcWorld, type Message } from './grpc-world.ts'
import { accept, DID, end, execs, OUTCOME, STATUS } from './scripted.ts'

const TASKS = '/errand.v1.Tasks'
const EXEC = '/errand.v1.Exec'
const HEALTH = '/grpc.health.v1.Health'
const SECONDS = Date.parse(OUTCOME.startTime) / 1_000

const VIEW: TaskView = {
  ...{ task: OUTCOME.task, state: 'COMPLETED', device: 'gpu1', command: ['npm', 'test'], submittedBy: DID, createdAt: OUTCOME.startTime, why: 'exit' },
  ...{ startedAt: OUTCOME.startTime, endedAt: OUTCOME.endTime, exitCode: 0, signal: null, message: null, attempts: 1, detached: true, place: null },
  ...{ progress: { percent: 0, text: 'half', data: { n: 1 } }, stdoutBytes: 3, stderrBytes: 4, receipt: null },
  ...{ idempotent: true, description: 'tests', input: 'in', prompt: 'do', agent: 'a', session: 's', parent: OUTCOME.task },
  ...{ metadata: { k: 'v' }, context: { deep: [1] } },
}

/** What arrives when nothing is left out. */
const MESSAGE = {
  ...{ id: OUTCOME.task, state: 'COMPLETED', device: 'gpu1', command: ['npm', 'test'], requestedBy: DID, why: 'exit', exitCode: 0, attempts: 1 },
  ...{ requestTime: { seconds: SECONDS }, startTime: { seconds: SECONDS }, endTime: { seconds: SECONDS + 1 }, detached: true, stdoutBytes: 3, stderrBytes: 4 },
  ...{ progress: { percent: 0, text: 'half', dataJson: '{"n":1}' }, idempotent: true, description: 'tests', input: 'in', prompt: 'do', agent: 'a' },
  ...{ session: 's', parent: OUTCOME.task, metadata: { k: 'v' }, contextJson: '{"deep":[1]}' },
}

test('a task is submitted as the runtime knows it; the call’s deadline is not the task’s', async () => {
  const asked: unknown[] = []
  await using w = await grpcWorld({
    submitTask: (...both) => {
      asked.push(both)
      return Promise.resolve(VIEW)
    },
  })
  const request = { device: 'gpu1', command: ['ls'], id: OUTCOME.task, timeout: { seconds: 60 }, session: 's' }
  expect(await w.caller.ask(`${TASKS}/SubmitTask`, request, { deadline: Date.now() + 10_000 })).toMatchObject(MESSAGE)
  expect(asked).toEqual([
    [
      { did: DID, via: 'local' },
      { device: 'gpu1', command: ['ls'], id: OUTCOME.task, timeoutMs: 60_000, session: 's' },
    ],
  ])
  for (const more of [{ stdin: Buffer.from('x') }, { interactive: true }]) {
    expect(await failureOf(w.caller.ask(`${TASKS}/SubmitTask`, { ...request, ...more }))).toMatchObject({ status: 3, code: 'BAD_REQUEST' })
  }
})

test('who asks is the owner of the socket, whatever its metadata says', async () => {
  const actors: unknown[] = []
  const heard = (actor: unknown): Promise<TaskView> => {
    actors.push(actor)
    return Promise.resolve(VIEW)
  }
  await using w = await grpcWorld({ submitTask: heard, cancelTask: heard, pauseTask: heard, resumeTask: heard })
  w.caller.says = { 'x-errand-actor': 'did:key:z6MkSomebody', via: 'remote' }
  await w.caller.ask(`${TASKS}/SubmitTask`, { device: 'gpu1', command: ['ls'] })
  for (const path of [`${TASKS}/CancelTask`, `${EXEC}/Cancel`, `${TASKS}/PauseTask`, `${TASKS}/ResumeTask`]) await w.caller.ask(path, { id: 'abcdef' })
  expect(actors).toEqual(Array(5).fill({ did: DID, via: 'local' }))
  expect(statSync(w.socketPath).mode & 0o777).toBe(0o600)
})

test('a call that shows a token or names a session is refused: here it could only get more than it asked for', async () => {
  await using w = await grpcWorld({ submitTask: () => Promise.resolve(VIEW) })
  for (const says of [{ authorization: 'Bearer errs_x' }, { 'x-errand-session': 'nightly' }] as Record<string, string>[]) {
    w.caller.says = says
    expect(await failureOf(w.caller.ask(`${TASKS}/SubmitTask`, { device: 'gpu1', command: ['ls'] }))).toMatchObject({ code: 'UNSUPPORTED' })
    expect(await failureOf(w.caller.ask(`${TASKS}/GetStatus`, {}))).toMatchObject({ code: 'UNSUPPORTED' })
  }
})

test('a task is looked up, steered and listed by both services', async () => {
  const asked: unknown[] = []
  const steer = (word: string) => (_actor: unknown, id: string) => {
    asked.push([word, id])
    return Promise.resolve(VIEW)
  }
  await using w = await grpcWorld({
    getTask: (id, o) => {
      asked.push([id, o])
      return Promise.resolve({ ...VIEW, ...(o?.events === true ? { events: [{ t: 'submitted' }] } : {}) })
    },
    listTasks: (o) => {
      asked.push(o)
      return Promise.resolve([VIEW])
    },
    ...{ cancelTask: steer('cancel'), pauseTask: steer('pause'), resumeTask: steer('resume') },
  })
  expect(await w.caller.ask(`${TASKS}/GetTask`, { id: 'abcdef', events: true })).toMatchObject({ ...MESSAGE, eventsJson: ['{"t":"submitted"}'] })
  expect(await w.caller.ask(`${EXEC}/Status`, { id: 'abcdef' })).toMatchObject(MESSAGE)
  expect(await w.caller.ask(`${TASKS}/ListTasks`, { all: true })).toMatchObject({ tasks: [MESSAGE] })
  expect(await w.caller.ask(`${EXEC}/List`, {})).toMatchObject({ tasks: [MESSAGE] })
  for (const path of [`${TASKS}/CancelTask`, `${EXEC}/Cancel`, `${TASKS}/PauseTask`, `${TASKS}/ResumeTask`]) {
    expect(await w.caller.ask(path, { id: 'abcdef' })).toMatchObject(MESSAGE)
  }
  const looked = [['abcdef', { events: true }], ['abcdef', { events: false }], { all: true }, { all: false }]
  expect(asked).toEqual([...looked, ...['cancel', 'cancel', 'pause', 'resume'].map((word) => [word, 'abcdef'])])
})

test('what a task does not have is not there', async () => {
  const { idempotent: _1, description: _2, input: _3, prompt: _4, agent: _5, session: _6, parent: _7, metadata: _8, context: _9, ...bare } = VIEW
  const queued: TaskView = { ...bare, state: 'WAITING', startedAt: null, endedAt: null, exitCode: null, progress: null, place: 3 }
  await using w = await grpcWorld({ getTask: () => Promise.resolve(queued) })
  const task = await w.caller.ask(`${TASKS}/GetTask`, { id: 'abcdef' })
  expect(task).toMatchObject({ state: 'WAITING', place: 3 })
  expect(['startTime', 'endTime', 'exitCode', 'progress', 'signal', 'contextJson', 'prompt'].filter((name) => task[name])).toEqual([])
})

test('of more tasks than a message holds, the newest come, and how many are missing', async () => {
  const tasks = Array.from({ length: 40 }, (_, i) => ({ ...VIEW, description: String(i), input: 'x'.repeat(200_000) }))
  await using w = await grpcWorld({ listTasks: () => Promise.resolve(tasks) })
  const { tasks: got, omitted } = await w.caller.ask(`${TASKS}/ListTasks`, { all: true })
  const said = Array.isArray(got) ? got.map(({ description }: Message) => Number(description)) : []
  expect(said).toEqual(Array.from({ length: 15 }, (_, i) => 25 + i))
  expect(omitted).toBe(25)
})

function updates(...said: TaskUpdate[]): Pick<Runtime, 'streamTaskUpdates'> {
  return {
    async *streamTaskUpdates({ signal }) {
      yield* said
      if (!signal.aborted) await once(signal, 'abort')
    },
  }
}

test('a watch says the state in pieces that fit, then each change, and gaps', async () => {
  const tasks = Array.from({ length: 40 }, (_, i) => ({ ...VIEW, description: String(i), input: 'x'.repeat(200_000) }))
  const said: TaskUpdate[] = [
    { t: 'state', cursor: 7, tasks },
    { t: 'changed', cursor: 8, event: { t: 'ended' }, task: VIEW },
    { t: 'gap', from: 8, to: 20 },
  ]
  await using w = await grpcWorld(updates(...said))
  const got: Message[] = []
  const call = w.caller.listen(`${TASKS}/StreamTaskUpdates`, {})
  for await (const message of call) if (got.push(message) && message['update'] === 'gap') break
  const states = got.filter((message) => message['update'] === 'state').map(({ state }) => state as Message & { tasks: Message[] })
  expect(states.length).toBeGreaterThan(5)
  expect(states.flatMap((state) => state.tasks.map(({ description }) => Number(description)))).toEqual(tasks.map((_, i) => i))
  expect(states.map(({ complete }) => complete)).toEqual(states.map((_, i) => i === states.length - 1))
  expect(got.slice(states.length)).toMatchObject([{ changed: { cursor: 8, eventJson: '{"t":"ended"}', task: MESSAGE } }, { gap: { from: 8, to: 20 } }])
})

test('a watch goes on from a cursor, also from 0; who leaves it is noticed', async () => {
  const cursors: unknown[] = []
  let left = 0
  await using w = await grpcWorld({
    async *streamTaskUpdates({ cursor, signal }) {
      cursors.push(cursor)
      yield { t: 'gap', from: 0, to: 1 }
      if (!signal.aborted) await once(signal, 'abort')
      left++
    },
  })
  for (const asked of [{}, { cursor: 0 }, { cursor: 41 }]) {
    const call = w.caller.listen(`${TASKS}/StreamTaskUpdates`, asked)
    call.on('error', () => undefined)
    await once(call, 'readable')
    call.cancel()
  }
  await until('all three are noticed', () => left === 3)
  expect(cursors).toEqual([undefined, 0, 41])
})

test('a watcher that does not read stops the node from making updates', async () => {
  let made = 0
  await using w = await grpcWorld({
    async *streamTaskUpdates() {
      for (; ; made++) yield { t: 'changed', cursor: made, event: {}, task: { ...VIEW, input: 'x'.repeat(10_000) } }
    },
  })
  const call = w.caller.listen(`${TASKS}/StreamTaskUpdates`, {})
  call.on('error', () => undefined)
  await once(call, 'readable')
  let before = -1
  await until('no more are made', () => {
    const same = made > 0 && before === made
    before = made
    return same
  })
  expect(made * 10_000).toBeLessThan(4 << 20)
  call.cancel()
})

test('devices, agents, skills and the status come as the runtime says them', async () => {
  const device = {
    ...{ name: 'gpu1', did: DID, peerId: '12D3', online: true, path: 'direct' as const, rttMs: 0, lastSeen: OUTCOME.startTime, labels: { gpu: 'h200' } },
    ...{ addresses: ['/ip4/10.0.0.1/tcp/1'], capabilities: { os: 'linux', arch: 'x64', cpus: 8, memoryBytes: 2 ** 40, load: 0.5, version: '1', freeSlots: 2 } },
  }
  const bare = { ...device, name: 'nas', online: false, path: null, rttMs: null, lastSeen: null, capabilities: null }
  const offered = { id: 'greeter', device: 'gpu1', online: true, description: 'hello' }
  await using w = await grpcWorld({
    ...{ listDevices: () => Promise.resolve([device, bare]), listAgents: () => Promise.resolve([offered]), listSkills: () => Promise.resolve([]) },
    getStatus: () => Promise.resolve({ ...STATUS, tasks: { active: 1, total: 12 } }),
  })
  const { devices } = await w.caller.ask(`${TASKS}/ListDevices`, {})
  expect(devices).toMatchObject([
    { ...device, lastSeen: { seconds: SECONDS } },
    { name: 'nas', online: false },
  ])
  expect(await w.caller.ask(`${TASKS}/ListAgents`, {})).toMatchObject({ offered: [offered] })
  expect((await w.caller.ask(`${TASKS}/ListSkills`, {}))['offered'] ?? []).toEqual([])
  const status = { ready: true, healthy: true, did: DID, meshId: 'bafymesh', meshName: 'home', uptime: { seconds: 12 }, tasksActive: 1, tasksTotal: 12 }
  expect(await w.caller.ask(`${TASKS}/GetStatus`, {})).toMatchObject({ ...status, devicesKnown: 1, preset: 'local', mode: 'local-only' })
})

test('an error’s words are cut to what clients take, also where a cut would halve a character', async () => {
  const fault = new ErrandError('UNKNOWN_DEVICE', '😀'.repeat(5_000), { hint: `a${'😀'.repeat(5_000)}`, fields: { much: 'x'.repeat(5_000) } })
  await using w = await grpcWorld({ getTask: () => Promise.reject(fault) })
  const { status, code, message, hint, fields } = await failureOf(w.caller.ask(`${TASKS}/GetTask`, { id: 'abcdef' }))
  expect({ status, code, fields }).toEqual({ status: 5, code: 'UNKNOWN_DEVICE', fields: {} })
  expect([message.length, hint.length].every((chars) => chars > 500 && chars <= 1_024)).toBe(true)
})

test('a fault of the node says no more than that, and is logged', async () => {
  const logged: unknown[] = []
  const logger = { error: (facts: object) => logged.push(facts) }
  await using w = await grpcWorld({ getTask: () => Promise.reject(new Error('/etc/secret is unreadable')) }, { logger })
  const failed = await failureOf(w.caller.ask(`${TASKS}/GetTask`, { id: 'abcdef' }))
  expect(failed).toMatchObject({ status: 13, code: 'INTERNAL' })
  expect(JSON.stringify(failed)).not.toContain('at ')
  expect(logged).toMatchObject([{ path: `${TASKS}/GetTask` }])
})

test('a message that is small on the wire and large behind it is refused', async () => {
  await using w = await grpcWorld({})
  using caller = new Caller(`unix:${w.socketPath}`, credentials.createInsecure(), { 'grpc.default_compression_algorithm': 2 })
  const bomb = { device: 'gpu1', command: ['cat'], stdin: Buffer.alloc(3 << 20) }
  expect(await failureOf(caller.ask(`${EXEC}/Execute`, bomb))).toMatchObject({ status: 8 })
  const call = caller.talk(`${EXEC}/ExecuteInteractive`)
  call.write({ stdin: Buffer.alloc(3 << 20) })
  expect(await failureOf(all(call))).toMatchObject({ status: 8 })
})

test('health answers for the node and each service; a watcher hears of the stop', async () => {
  await using w = await grpcWorld({})
  for (const service of ['', 'errand.v1.Exec', 'errand.v1.Tasks'])
    expect(await w.caller.ask(`${HEALTH}/Check`, { service })).toMatchObject({ status: 'SERVING' })
  expect(await failureOf(w.caller.ask(`${HEALTH}/Check`, { service: 'errand.v1.Other' }))).toMatchObject({ status: 5 })
  const said: unknown[] = []
  const call = w.caller.listen(`${HEALTH}/Watch`, { service: 'errand.v1.Exec' })
  call.on('data', ({ status }: Message) => said.push(status)).on('error', () => undefined)
  await until('it serves', () => said.length === 1)
  await w.stop()
  await until('it stopped', () => said.length === 2)
  expect(said).toEqual(['SERVING', 'NOT_SERVING'])
})

test.each(['v1', 'v1alpha'])('reflection %s lists the services and gives their files with what they import', async (version) => {
  await using w = await grpcWorld({})
  const asking = async (question: Message): Promise<Message> => {
    const call = w.caller.talk(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`)
    call.end(question)
    return (await all(call))[0] ?? {}
  }
  const listed = await asking({ listServices: '*' })
  const names = ['errand.v1.Exec', 'errand.v1.Tasks', 'grpc.health.v1.Health']
  expect(listed).toMatchObject({ listServicesResponse: { service: expect.arrayContaining(names.map((name) => ({ name }))) } })
  const found = await asking({ fileContainingSymbol: 'errand.v1.Exec' })
  const { fileDescriptorProto = [] } = found['fileDescriptorResponse'] as { fileDescriptorProto?: Uint8Array[] }
  const text = fileDescriptorProto.map(String).join()
  for (const word of ['errand/v1/exec.proto', 'ExecuteInteractive', 'work_dir', 'google/protobuf/timestamp.proto']) expect(text).toContain(word)
})

test('a stop cancels what runs, tells its outcome, lets watchers go, and is over within a second', async () => {
  await using w = await grpcWorld({
    ...updates({ t: 'gap', from: 0, to: 1 }),
    ...execs(async (_request, link, signal) => {
      await accept(link)
      const frame = await link.read()
      expect([frame?.tag, signal.aborted]).toEqual([TAG.cancel, false])
      await end(link, { exitCode: null, signal: 'SIGTERM', why: 'cancelled' })
    }),
  })
  const command = w.caller.listen(`${EXEC}/ExecuteStream`, { device: 'gpu1', command: ['sleep'] })
  await once(command, 'readable')
  const watch = w.caller.listen(`${TASKS}/StreamTaskUpdates`, {})
  await once(watch, 'readable')
  const [told, left] = [all(command), failureOf(all(watch))]
  const began = performance.now()
  await Promise.all([w.stop(), w.stop()])
  expect(performance.now() - began).toBeLessThan(1_500)
  expect((await told).at(-1)).toMatchObject({ ended: { why: 'cancelled', cancelled: true } })
  expect(await left).toMatchObject({ status: 14, code: 'STOPPING' })
})
