/** The exec-host's socket: what it does for a daemon that stays long, and what it does not do for anybody who says the wrong thing. */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HOST, HOST_TAG } from '../../../protocols/host/frames.ts'
import { encode } from '../../../protocols/wire.ts'
import { Identity } from '../../../src/identity/identity.ts'
import type { CommandOrder, RunningCommand } from '../../../src/tasks/ports.ts'
import { until } from '../../support/until.ts'
import { answerOf, dial, say, socketOf } from './wire.ts'
import { Collector, command, isAsleep, openWorld, orderOf, printed, processCount, run, sh, type World } from './world.ts'

let world: World
let path: string
beforeAll(async () => {
  world = await openWorld({ waits: { openMs: 200, graceMs: 400 } })
  await run(world.executor, sh('true'))
  path = socketOf(world)
})
afterAll(() => world.close())

const failed = (code: string) => expect.objectContaining({ tag: HOST_TAG.failed, value: expect.objectContaining({ code }) })
const orderFrame = (order: CommandOrder): [number, unknown] => [HOST_TAG.order, { v: HOST.version, ...order }]
const go: [number, unknown] = [HOST_TAG.go, new Uint8Array()]
const orderFor = (script: string, more: Partial<CommandOrder> = {}): CommandOrder => orderOf(world.identity, sh(script), more)
const jobs = (): string[] => readdirSync(join(world.directory, 'jobs'))

test('a command that comes long after the last one finds the connection that was opened ahead for it', async () => {
  for (let i = 0; i < 3; i++) expect((await run(world.executor, sh('sleep 0.5; echo late'))).stdout.toString()).toBe('late\n')
})

test('an order with a right invocation runs; the same one again does not, under any id', async () => {
  const order = orderFor('echo once')
  const answers = await say(path, orderFrame(order), go)
  expect(answers.map(({ tag }) => tag)).toEqual([HOST_TAG.started, HOST_TAG.stdout, HOST_TAG.ended])
  expect(await say(path, orderFrame(order), go)).toEqual([failed('TASK_EXISTS')])
  expect(await say(path, orderFrame({ ...order, task: randomUUID() }), go)).toEqual([failed('DENIED')])
})

test('a right for something else starts nothing: other arguments, another task, another caller, another challenge, somebody else’s key', async () => {
  const mark = `sleep ${9_000 + Math.floor(Math.random() * 900)}`
  const right = orderOf(world.identity, sh('true'))
  const stranger = new Identity(new Uint8Array(randomBytes(32)))
  const asked = sh(`exec ${mark}`)
  const wrong: CommandOrder[] = [
    { ...right, spec: asked },
    { ...orderOf(world.identity, asked), task: randomUUID() },
    { ...orderOf(world.identity, asked), spec: { ...asked, cwd: '/tmp' } },
    { ...orderOf(world.identity, asked), spec: { ...asked, env: { ADDED: 'x' } } },
    { ...orderOf(world.identity, asked), spec: { ...asked, timeoutMs: 1 } },
    { ...orderOf(world.identity, asked), spec: { ...asked, stdin: true } },
    orderOf(stranger, asked),
    withWarrant(orderOf(world.identity, asked), { caller: stranger.did }),
    withWarrant(orderOf(world.identity, asked), { challenge: randomBytes(16) }),
    withWarrant(orderOf(world.identity, asked), { invocation: randomBytes(200) }),
    withWarrant(orderOf(stranger, asked), { caller: world.identity.did }),
  ]
  const before = jobs()
  for (const order of wrong) expect(await say(path, orderFrame(order), go)).toEqual([failed('DENIED')])
  expect(processCount(mark)).toBe(0)
  expect(jobs()).toEqual(before)
})

function withWarrant(order: CommandOrder, part: Partial<CommandOrder['warrant']>): CommandOrder {
  return { ...order, warrant: { ...order.warrant, ...part } }
}

test('an order without a warrant, with a field too many, or with an id that is a path is not understood', async () => {
  const { warrant: _none, ...bare } = orderFor('true')
  const outside = join(world.directory, 'escaped')
  for (const order of [bare, { ...orderFor('true'), shell: true }])
    expect(await say(path, [HOST_TAG.order, { v: 1, ...order }], go)).toEqual([failed('BAD_SHAPE')])
  for (const task of ['../escaped', '..', '', '/tmp/escaped', 'a/b', 'a\0b', 'ä', 'x'.repeat(65)]) {
    expect(await say(path, [HOST_TAG.order, { v: 1, ...orderFor('true'), task }], go)).toEqual([failed('BAD_SHAPE')])
    expect(await say(path, [HOST_TAG.follow, { v: 1, task, from: 0 }])).toEqual([failed('BAD_SHAPE')])
  }
  expect(existsSync(outside)).toBe(false)
})

test('go without an order, a frame nobody knows, and a task that does not run here are refused', async () => {
  expect(await say(path, go)).toEqual([failed('UNSUPPORTED')])
  expect(await say(path, [0x7f, new Uint8Array(3)])).toEqual([failed('UNSUPPORTED')])
  expect(await say(path, [HOST_TAG.follow, { v: 1, task: randomUUID(), from: 0 }])).toEqual([failed('NO_SUCH_TASK')])
})

test('an order that nobody confirms starts nothing, and its id is free again', async () => {
  const order = orderFor('echo ran')
  const silent = dial(path)
  void silent.link.write(HOST_TAG.order, encode({ v: 1, ...order }))
  await silent.closed
  expect(await say(path, orderFrame(order), [HOST_TAG.stdin, new Uint8Array(1)])).toEqual([failed('DENIED')]) // its nonce is used up
  const again = orderFor('echo ran', { task: order.task })
  expect((await say(path, orderFrame(again), go)).at(-1)?.tag).toBe(HOST_TAG.ended)
})

test('one id, one command: neither between order and go nor after its end does a second one get it', async () => {
  const task = randomUUID()
  const first = dial(path)
  void first.link.write(HOST_TAG.order, encode({ v: 1, ...orderFor('sleep 0.2; echo first', { task }) }))
  await until('the first is reserved', async () => jobs().includes(task))
  expect(await say(path, orderFrame(orderFor('echo second', { task })), go)).toEqual([failed('TASK_EXISTS')])
  void first.link.write(HOST_TAG.go)
  const tags: number[] = []
  for (let frame = await first.link.read(); frame !== undefined; frame = await first.link.read()) tags.push(answerOf(frame).tag)
  expect(tags).toEqual([HOST_TAG.started, HOST_TAG.stdout, HOST_TAG.ended])
  await until('its end is recorded', () => JSON.parse(readFileSync(join(world.directory, 'jobs', task, 'job.json'), 'utf8')).ended !== null)
  expect(await say(path, orderFrame(orderFor('echo third', { task })), go)).toEqual([failed('TASK_EXISTS')])
})

test('a frame that is too long, half a frame and no frame at all end their own connection only', async () => {
  const long = connect({ path })
  long.on('error', () => undefined).write(Buffer.from([0x81, 0x80, 0x80, 0x01])) // the length 2 MiB and 1
  const answered = new Promise<Buffer>((resolve) => long.once('data', resolve))
  expect((await answered).toString('latin1')).toContain('BAD_FRAME')
  const half = connect({ path })
  half.write(Buffer.from([0x20, HOST_TAG.order]))
  half.end()
  await new Promise((resolve) => half.once('close', resolve).resume())
  long.destroy()
  expect((await run(world.executor, sh('echo fine'))).stdout.toString()).toBe('fine\n')
})

test('nonsense in the middle of a conversation cuts it off, and the command is ended as one that nobody waits for', async () => {
  const { link, closed } = dial(path)
  void link.write(HOST_TAG.order, encode({ v: 1, ...orderFor('exec sleep 7654') }))
  void link.write(HOST_TAG.go)
  expect((await link.read())?.tag).toBe(HOST_TAG.started)
  void link.write(HOST_TAG.stop, encode({ why: 'because' }))
  await closed
  await until('it is ended', () => processCount('sleep 7654') === 0)
})

test('ten thousand connections that say nothing cost the host nothing it keeps, and commands run beside them', async () => {
  const host = Number((await run(world.executor, sh('echo $PPID'))).stdout)
  const running = await world.executor.start(sh('echo here; exec sleep 100'), new Collector())
  const open: ReturnType<typeof dial>[] = []
  for (let i = 0; i < 10_000; i++) {
    open.push(dial(path))
    if (i % 250 === 0) expect((await run(world.executor, sh('echo beside'))).stdout.toString()).toBe('beside\n')
    if (open.length > 300) open.shift()?.socket.destroy()
  }
  expect(readdirSync(`/proc/${host}/fd`).length).toBeLessThan(600)
  expect((await run(world.executor, sh('echo after'))).stdout.toString()).toBe('after\n')
  for (const { socket } of open) socket.destroy()
  running.stop('cancelled')
  expect((await running.ended).why).toBe('cancelled')
}, 60_000)

test('somebody who attends and leaves does not send the host away from its daemon', async () => {
  const { link, socket } = dial(path)
  void link.write(HOST_TAG.attend, encode({ v: 1 }))
  expect((await link.read())?.tag).toBe(HOST_TAG.attending)
  socket.destroy()
  await until('the host has noticed', async () => (await say(path, [HOST_TAG.follow, { v: 1, task: 'none', from: 0 }])).length === 1)
  expect((await run(world.executor, sh('echo stays'))).stdout.toString()).toBe('stays\n')
})

test('a lifeline that speaks nonsense is cut, so that its daemon knows; what runs goes on', async () => {
  for (const [tag, value] of [
    [HOST_TAG.ticket, encode({ task: 'x', id: randomBytes(16), key: randomBytes(16), address: '127.0.0.1' })],
    [HOST_TAG.ticket, randomBytes(20)],
  ] as const) {
    const { link, closed } = dial(path)
    void link.write(HOST_TAG.attend, encode({ v: 1 }))
    expect((await link.read())?.tag).toBe(HOST_TAG.attending)
    void link.write(tag, value)
    await closed
  }
  expect((await run(world.executor, sh('echo fine'))).stdout.toString()).toBe('fine\n')
})

test('a host tells a daemon of a later version which one it speaks', async () => {
  for (const tag of [HOST_TAG.attend, HOST_TAG.order, HOST_TAG.follow])
    expect(await say(path, [tag, { v: 2, later: 'fields' }])).toEqual([
      { tag: HOST_TAG.failed, value: expect.objectContaining({ code: 'UNSUPPORTED', fields: { version: 1 } }) },
    ])
})

test('an invocation lives for minutes, for the host too: what has waited comes with one that the device has just made', async () => {
  const hourAgo = Math.floor(Date.now() / 1_000) - 3_600
  const tags = await say(path, [HOST_TAG.order, { v: 1, ...orderOf(world.identity, sh('true'), {}, hourAgo) }], [HOST_TAG.go, new Uint8Array()])
  expect(tags.map(({ tag }) => tag)).toEqual([HOST_TAG.failed])
})

test('an attached command whose reader went away is ended after the grace; one whose reader came back goes on', async () => {
  const mark = `sleep 8765.${process.pid}` // nobody else's, on a machine where this runs twice
  const order = (): CommandOrder => orderFor(`echo ready; exec ${mark}`)
  const start = async (): Promise<{ task: string; hangUp: () => void }> => {
    const given = order()
    const { link, socket } = dial(path)
    void link.write(HOST_TAG.order, encode({ v: 1, ...given }))
    void link.write(HOST_TAG.go)
    for (let frame = await link.read(); frame?.tag !== HOST_TAG.stdout; frame = await link.read()) expect(frame?.tag).toBe(HOST_TAG.started)
    return { task: given.task, hangUp: () => socket.destroy() }
  }
  const [left, kept] = [await start(), await start()]
  await until('the shells have become what they run', () => processCount(mark) === 2)
  const reader = dial(path)
  void reader.link.write(HOST_TAG.follow, encode({ v: 1, task: kept.task, from: 0 }))
  expect((await reader.link.read())?.tag).toBe(HOST_TAG.started)
  left.hangUp()
  kept.hangUp()
  await until('the one is ended', () => processCount(mark) === 1)
  await until('it is unknown here', async () => (await say(path, [HOST_TAG.follow, { v: 1, task: left.task, from: 0 }])).length === 1)
  reader.socket.destroy()
  await until('and the other, when its reader left too', () => processCount(mark) === 0)
})

test('output that is held back has no reader: the command goes on while somebody reads elsewhere, and ends after the grace where nobody does', async () => {
  const [taken, alone] = [randomUUID(), randomUUID()]
  const begin = async (task: string): Promise<{ running: RunningCommand; out: Collector }> => {
    const out = new Collector()
    const running = await world.executor.start(sh('echo ready; sleep 1.5; echo done'), out, { task })
    await printed(out, 'ready')
    expect(await running.hold()).toBe(6)
    return { running, out }
  }
  const [first, second] = [await begin(taken), await begin(alone)]
  const elsewhere = new Collector()
  await world.executor.follow(taken, 6, elsewhere)
  expect(await second.running.ended, 'nobody was there for four times the grace').toMatchObject({ why: 'lost' })
  expect(await first.running.ended).toMatchObject({ why: 'exit', stdoutBytes: 11 })
  await printed(elsewhere, 'done')
  expect([first.out.text(1), elsewhere.text(1)]).toEqual(['ready\n', 'done\n'])
})

test('a reader that leaves frees those who waited for it', async () => {
  const task = randomUUID()
  const bytes = 32 << 20 // more than all buffers on the way of the one who does not read
  const out = new Collector()
  const running = await world.executor.start(command('head', ['-c', String(bytes), '/dev/zero']), { output: (_fd, chunk) => out.output(1, chunk) }, { task })
  const stuck = dial(path)
  void stuck.link.write(HOST_TAG.follow, encode({ v: 1, task, from: 0 }))
  await stuck.link.read()
  await until('the command waits for the slow one', () => isAsleep(running.pid))
  expect(out.bytes(1).length).toBeLessThan(bytes)
  stuck.socket.destroy()
  expect((await running.ended).stdoutBytes).toBe(bytes)
  expect(out.bytes(1).length).toBe(bytes)
})
