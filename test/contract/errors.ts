/** Errors: one code on every face, and what to do about it. */
import { v4 as uuid } from 'uuid'
import { expect, test } from 'vitest'
import { until } from '../support/world.ts'
import { type At, codeOf, collect, ended, isOver, NO_SUCH_COMMAND, sh } from './subject.ts'

const long = 'x'.repeat(70_000)
const lines = (n: number): string[] => Array.from({ length: n }, () => 'x'.repeat(100_000))

export function errors(at: At): void {
  test.each<[string, string, () => Promise<unknown>]>([
    ['a command without a right', 'DENIED', () => at.runtime.execute({ ...at.denied })],
    ['a task without a right', 'DENIED', () => at.runtime.submitTask({ ...at.denied })],
    ['a command that does not exist', 'COMMAND_NOT_FOUND', () => at.runtime.execute({ device: at.device, command: [NO_SUCH_COMMAND] })],
    ['a task whose command does not exist', 'COMMAND_NOT_FOUND', () => at.runtime.submitTask({ device: at.device, command: [NO_SUCH_COMMAND] })],
    ['a device that nobody knows', 'UNKNOWN_DEVICE', () => at.runtime.execute({ device: 'nobodys-device', command: sh('true') })],
    ['a task for one', 'UNKNOWN_DEVICE', () => at.runtime.submitTask({ device: 'nobodys-device', command: sh('true') })],
    ['a task that nobody knows', 'NO_SUCH_TASK', () => at.runtime.getTask(uuid())],
    ['cancelling one', 'NO_SUCH_TASK', () => at.runtime.cancelTask(uuid())],
    ['pausing one', 'NO_SUCH_TASK', () => at.runtime.pauseTask(uuid())],
    ['resuming one', 'NO_SUCH_TASK', () => at.runtime.resumeTask(uuid())],
    ['too little of an id', 'BAD_TASK', () => at.runtime.getTask('abc')],
    ['attaching to it', 'BAD_TASK', () => collect(at.runtime.attach('abc'))],
    ['what no id can be', 'BAD_REQUEST', () => at.runtime.cancelTask('x'.repeat(100))],
    ['a request without a command', 'BAD_REQUEST', () => at.runtime.submitTask(JSON.parse('{}'))],
    ['a command that has none', 'BAD_REQUEST', () => at.runtime.execute(JSON.parse('{"device":"here"}'))],
    ['a directory that is not there', 'BAD_CWD', () => at.runtime.execute({ device: at.device, command: sh('true'), workDir: '/no/such/place' })],
    ['a task in one', 'BAD_CWD', () => at.runtime.submitTask({ device: at.device, command: sh('true'), workDir: '/no/such/place' })],
    ['a context above its cap', 'BAD_REQUEST', () => at.runtime.submitTask({ device: at.device, command: sh('true'), context: { long } })],
    ['a command with one', 'BAD_REQUEST', () => at.runtime.execute({ device: at.device, command: sh('true'), context: { long } })],
    ['more than goes into a request', 'TOO_LARGE', () => at.runtime.execute({ device: at.device, command: ['sh', '-c', 'true', ...lines(3)] })],
    ['more than goes over a line', 'TOO_LARGE', () => at.runtime.submitTask({ device: at.device, command: ['sh', '-c', 'true', ...lines(3)] })],
    ['more than any of it', 'TOO_LARGE', () => at.runtime.submitTask({ device: at.device, command: ['sh', '-c', 'true', ...lines(12)] })],
    ['an offset that is none', 'BAD_REQUEST', () => collect(at.runtime.attach(uuid(), { from: -1 }))],
    ['a cursor that is none', 'BAD_REQUEST', () => at.runtime.streamTaskUpdates({ cursor: -1 })[Symbol.asyncIterator]().next()],
    ['input that is said to go on, and cannot', 'UNSUPPORTED', () => at.runtime.execute({ device: at.device, command: sh('true'), interactive: true })],
    ['attaching to one', 'NO_SUCH_TASK', () => collect(at.runtime.attach(uuid()))],
    ['a request that is none', 'BAD_REQUEST', () => at.runtime.submitTask({ device: at.device, command: [] })],
    ['an id that is none', 'BAD_REQUEST', () => at.runtime.execute({ device: at.device, id: 'mine', command: sh('true') })],
  ])('%s: %s, with a message and a hint', async (_what, code, ask) => {
    const error: unknown = await ask().then(
      () => 'no error',
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: code, code, message: expect.stringMatching(/\S/), hint: expect.stringMatching(/\S/) })
  })

  test('a part of an id that two tasks share names neither', async () => {
    const shared = uuid().slice(0, 8)
    for (const last of ['a', 'b'])
      await ended(at, (await at.runtime.submitTask({ device: at.device, id: `${shared}-0000-4000-8000-00000000000${last}`, command: sh('true') })).task)
    expect(await codeOf(at.runtime.getTask(shared))).toBe('AMBIGUOUS_TASK')
  })

  test('a command under the id of a task that is known does not run', async () => {
    const id = uuid()
    await at.runtime.execute({ device: at.device, id, command: sh('true') })
    expect(await codeOf(at.runtime.execute({ device: at.device, id, command: sh('true') }))).toBe('TASK_EXISTS')
    expect(await at.runtime.getTask(id)).toMatchObject({ state: 'COMPLETED', attempts: 1 })
  })

  test('a call that is cancelled before it began says so', async () => {
    const signal = AbortSignal.abort()
    expect(await codeOf(at.runtime.execute({ device: at.device, command: sh('true') }, { signal }))).toBe('CANCELLED')
    expect(await codeOf(at.runtime.getStatus({ signal }))).toBe('CANCELLED')
  })

  test('more output than was allowed for is an error, and ends the command', async () => {
    const id = uuid()
    expect(await codeOf(at.runtime.execute({ device: at.device, id, command: sh('yes') }, { maxOutputBytes: 10_000 }))).toBe('OUTPUT_TOO_LARGE')
    await until('it has ended', async () => isOver(await at.runtime.getTask(id)))
  })
}
