/** Tasks that are handed over and come back to: from any device whose rights allow it, with every byte and everything that was said. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TaskView } from '../../protocols/local/messages.ts'
import { askerOf, refuseOther } from '../../src/authority/mandate.ts'
import { verifyBySpec } from '../../src/authority/verify.ts'
import { readRecord } from '../../src/exec/records.ts'
import { trio } from '../support/mesh.ts'
import { failureOf, jsonOf, type Node, until, type World, world } from '../support/world.ts'
import { goneFromProc } from './support-exec.ts'
import { asking, detach, heard, inState, lines, listed, running, taskOf } from './support-tasks.ts'

let w: World
let alice: Node
let bob: Node
let carol: Node

beforeAll(async () => {
  ;({ w, alice, bob, carol } = await trio({ bob: { config: { 'deployment.spoolBytes': 65_536 } }, carol: { invite: ['--ask', 'exec: true'] } }))
  for (const can of [['/task/read', '/task/logs', 'exec: sleep']]) {
    const words = can.flatMap((one) => ['--can', one])
    const granted = await w.errand(bob.home, 'grant', 'carol', '--on', 'bob', ...words, '--for', '1h')
    if (granted.code !== 0) throw new Error(granted.stderr)
  }
  await w.connected(carol.home, 'alice', 'bob')
}, 120_000)

afterAll(async () => {
  await w[Symbol.asyncDispose]()
})

test('a detached task is seen, and read byte for byte from any offset, on a device that never heard of it', async () => {
  const gate = w.at('gate')
  const script = `seq 1 5000; while ! test -e ${gate}; do sleep 0.1; done; seq 5001 8000; exit 5`
  const ran = await w.errand(alice.home, 'run', 'bob', '--detach', '--json', '--', 'sh', '-c', script)
  const { task } = jsonOf<{ task: string }>(ran)
  const whole = lines(8_000)
  const follows = heard(carol.home, task.slice(-12))
  const soFar = await until('the first part is printed', async () => {
    const { stdout, outcome } = await heard(carol.home, task, { follow: false })
    return outcome === undefined && stdout.length === lines(5_000).length && stdout
  })
  expect(soFar.equals(lines(5_000))).toBe(true)
  expect(await listed(carol.home, task)).toBeUndefined()
  expect(await taskOf(carol.home, task)).toMatchObject({ task, state: 'RUNNING', device: 'bob', submittedBy: 'alice', detached: true })
  const touched = await w.run(bob.home, 'bob', 'touch', gate)
  expect(touched.code).toBe(0)
  const live = await follows
  expect([live.stdout.equals(whole), live.outcome?.exitCode]).toEqual([true, 5])
  for (const from of [0, 1, 12_345, whole.length]) {
    const { stdout, outcome } = await heard(carol.home, task, { from })
    expect([stdout.equals(whole.subarray(from)), outcome?.exitCode], `from ${from}`).toEqual([true, 5])
  }
  for (const { home } of [alice, bob, carol]) expect(await taskOf(home, task)).toMatchObject({ state: 'FAILED', exitCode: 5, stdoutBytes: whole.length })
  const attached = await w.errand(carol.home, 'attach', task.slice(-12), '--from', '12345')
  expect([attached.code, attached.stdout]).toEqual([5, whole.subarray(12_345).toString()])
  expect((await w.errand(alice.home, 'logs', task)).code).toBe(0)
})

test('everything that was said with a task comes back with it, on both devices', async () => {
  const said = {
    ...{ description: 'the tests of the night', input: 'in', prompt: 'do it', agent: 'coder', idempotent: true },
    ...{ parent: '019aa3c1-0000-7000-8000-000000000001', metadata: { team: 'core', build: '7' }, context: { files: ['a', 'b'], depth: 2 } },
  }
  const task = await detach(alice.home, { device: 'bob', command: ['true'], ...said })
  await inState(bob.home, task, 'COMPLETED')
  for (const { home } of [alice, bob, carol]) expect(await taskOf(home, task)).toMatchObject({ ...said, command: ['true'], submittedBy: 'alice' })
  const text = (await w.errand(carol.home, 'task', task)).stdout
  for (const words of ['the tests of the night', 'team=core', 'COMPLETED']) expect(text).toContain(words)
})

test('the same id twice is one task; with another request it is refused', async () => {
  const id = '019aa3c1-0000-7000-8000-0000000000aa'
  const mark = w.at('once')
  const request = { device: 'bob', command: ['sh', '-c', `echo ran >> ${mark}`], id }
  const [first, second] = await Promise.all([asking(alice.home, (c) => c.submit(request)), asking(alice.home, (c) => c.submit(request))])
  expect([first.task, second.task]).toEqual([id, id])
  await inState(alice.home, id, 'COMPLETED')
  expect(await asking(alice.home, (client) => client.submit(request))).toMatchObject({ task: id, state: 'COMPLETED' })
  await expect(asking(alice.home, (client) => client.submit({ ...request, command: ['true'] }))).rejects.toMatchObject({ code: 'TASK_EXISTS' })
  await expect(asking(carol.home, (client) => client.submit({ ...request, command: ['sleep', '0'] }))).rejects.toMatchObject({ code: 'TASK_EXISTS' })
  expect((await w.run(bob.home, 'bob', 'cat', mark)).stdout).toBe('ran\n')
  expect((await w.audit(bob.home, '--action', 'exec.start', '--task', id)).length).toBe(1)
})

test('without a right nobody sees or ends another’s task, and every try is in the log of its device', async () => {
  const mark = 'sleep 86301'
  const task = await detach(alice.home, { device: 'bob', command: ['sleep', '86301'] })
  await until('it runs', () => running(mark).length === 1)
  for (const words of [['cancel'], ['pause']])
    expect(failureOf(await w.errand(carol.home, ...words, task, '--json')), words.join(' ')).toMatchObject({ code: 'DENIED', source: 'device' })
  const denied = await w.audit(bob.home, '--action', 'task.denied')
  expect(denied.map((one) => [one['actorName'], one.task === task])).toEqual(Array(2).fill(['carol', true]))
  expect(running(mark)).toHaveLength(1)
  const given = await w.errand(bob.home, 'grant', 'carol', '--on', 'bob', '--can', '/task/cancel', '--for', '1h')
  expect(given.code).toBe(0)
  const ended = await until('carol has the right', async () => jsonOf<TaskView>(await w.errand(carol.home, 'cancel', task, '--json')))
  expect(ended).toMatchObject({ state: 'CANCELLED', why: 'cancelled' })
  await goneFromProc(mark)
  const theirs = await detach(carol.home, { device: 'bob', command: ['sleep', '86302'] })
  expect(await asking(bob.home, (client) => client.cancel(theirs)), 'the device itself may').toMatchObject({ state: 'CANCELLED' })
  await goneFromProc('sleep 86302')
})

test('a device that may not read anything finds no task of others, by whatever part of its id', async () => {
  const dave = await w.joiner(alice, 'dave', { invite: ['--ask', 'exec: true'] })
  await w.connected(dave.home, 'bob')
  const task = await detach(alice.home, { device: 'bob', command: ['true'] })
  await inState(alice.home, task, 'COMPLETED')
  for (const text of [task, task.slice(-12)])
    for (const words of [['task'], ['logs'], ['attach'], ['cancel']])
      expect(failureOf(await w.errand(dave.home, ...words, text, '--json')), words.join(' ')).toMatchObject({ code: 'NO_SUCH_TASK' })
})

test('output that the spool dropped is counted and said, and what is left is exactly the end', async () => {
  const count = 100_000
  const whole = lines(count)
  const task = await detach(alice.home, { device: 'bob', command: ['seq', '1', String(count)] })
  expect(await inState(alice.home, task, 'COMPLETED')).toMatchObject({ stdoutBytes: whole.length })
  const { stdout, skippedBytes } = await heard(alice.home, task)
  expect(skippedBytes).toBeGreaterThan(0)
  expect(stdout.length + skippedBytes).toBe(whole.length)
  expect(stdout.equals(whole.subarray(skippedBytes))).toBe(true)
  const ran = await w.errand(alice.home, 'logs', task)
  expect([ran.code, ran.stdout === stdout.toString()]).toEqual([0, true])
  expect(ran.stderr).toContain(`${skippedBytes} bytes of output are not kept`)
})

test('tasks that wait for their place when their daemon is killed are run by the next one, in their order and once', async () => {
  await using own = world()
  const home = own.home('queue', { 'deployment.maxConcurrentTasks': 1, 'deployment.queueSize': 8 })
  const node = await own.up(home)
  const log = own.at('order')
  const gate = own.at('open')
  const first = await detach(home, { device: node.name, command: ['sh', '-c', `while ! test -e ${gate}; do sleep 0.1; done; echo 0 >> ${log}`] })
  const waiting: string[] = []
  for (const n of [1, 2, 3]) waiting.push(await detach(home, { device: node.name, command: ['sh', '-c', `echo ${n} >> ${log}; exit ${n}`] }))
  const secret = await detach(home, { device: node.name, command: ['sh', '-c', 'true'], env: { TOKEN: 'x' } })
  for (const [i, task] of waiting.entries()) expect(await inState(home, task, 'WAITING')).toMatchObject({ why: 'queue', place: i + 1 })
  await inState(home, secret, 'WAITING')
  await node.kill()
  await own.up(home)
  expect(await inState(home, first, 'RUNNING')).toMatchObject({ attempts: 1 })
  writeFileSync(gate, '')
  for (const [i, task] of waiting.entries()) expect(await inState(home, task, 'FAILED')).toMatchObject({ why: 'exit', exitCode: i + 1, attempts: 1 })
  expect(readFileSync(log, 'utf8')).toBe('0\n1\n2\n3\n')
  expect(await taskOf(home, secret)).toMatchObject({ state: 'FAILED', why: 'lost', message: expect.stringContaining('environment are not kept') })
})

test('who holds the files of a run can prove offline who asked for exactly it: the executor invoked itself on a mandate that the log names', async () => {
  const task = await detach(alice.home, { device: 'bob', command: ['echo', 'proven'] })
  await inState(alice.home, task, 'COMPLETED')
  const record = await until('the host has written it down', () => readRecord(join(bob.home, 'jobs'), task))
  const [invocation, ...proofs] = [record.invocation, ...record.proofs].map((text) => new Uint8Array(Buffer.from(text, 'base64')))
  const seen = verifyBySpec(invocation ?? new Uint8Array(), proofs, { now: Math.floor(record.startTime / 1_000) })
  if (!seen.ok) throw new Error(seen.detail)
  expect(seen.invocation).toMatchObject({ iss: bob.did, sub: bob.did, cmd: '/exec/run', args: { exe: 'echo', argv: ['proven'], task } })
  expect(askerOf(seen)).toBe(alice.did)
  expect(refuseOther(seen.chain, { subject: seen.invocation.sub, command: '/exec/run', args: seen.invocation.args })).toBeUndefined()
  expect(refuseOther(seen.chain, { subject: seen.invocation.sub, command: '/exec/run', args: { ...seen.invocation.args, argv: ['forged'] } })).toBeDefined()
  const [start] = await w.audit(bob.home, '--action', 'exec.start', '--task', task)
  expect(start).toMatchObject({ actor: alice.did, requestedBy: alice.did, policyApplied: expect.stringContaining(seen.chain.at(-1)?.cid ?? 'none') })
})
