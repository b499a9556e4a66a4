/** A task: submitted once however often it is asked for, held, ended, and found again with all that was said with it. */
import { v4 as uuid } from 'uuid'
import { expect, test } from 'vitest'
import { until } from '../support/world.ts'
import { type At, codeOf, ended, sh, sofar } from './subject.ts'

export function tasks(at: At): void {
  test('it is submitted, runs and ends, and tells its history in order', async () => {
    const seen = await at.runtime.submitTask({ device: at.device, command: sh('exit 3') })
    expect(seen).toMatchObject({ device: at.device, command: sh('exit 3'), detached: true })
    const over = await ended(at, seen.task)
    expect(over).toMatchObject({ task: seen.task, state: 'FAILED', why: 'exit', exitCode: 3, attempts: 1 })
    const { events = [] } = await at.runtime.getTask(seen.task, { events: true })
    const kinds = events.map((event) => ('t' in event ? event.t : undefined))
    expect(kinds).toEqual(expect.arrayContaining(['submitted', 'started', 'ended']))
    expect(kinds.at(-1)).toBe('ended')
    const seqs = events.map((event) => ('seq' in event ? Number(event.seq) : Number.NaN))
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    expect((await at.runtime.listTasks()).find(({ task }) => task === seen.task)).toMatchObject({ state: 'FAILED', exitCode: 3 })
  })

  test('everything that was said with it comes back with it', async () => {
    const said = {
      ...{ description: 'says hello', input: 'in', prompt: 'greet', agent: 'greeter', parent: uuid(), idempotent: true },
      metadata: { team: 'büro' },
      context: { nested: { list: [1, 'two', null] } },
    }
    const seen = await at.runtime.submitTask({ device: at.device, command: sh('true'), ...said, requestedBy: 'carol', requestTime: '2026-01-01T00:00:00.000Z' })
    const metadata = { team: 'büro', requestedBy: 'carol', requestTime: '2026-01-01T00:00:00.000Z' }
    expect(await ended(at, seen.task)).toMatchObject({ ...said, metadata, state: 'COMPLETED' })
  })

  test('a session that is not open here is not acted in, whatever a request calls it', async () => {
    expect(await codeOf(at.runtime.submitTask({ device: at.device, command: sh('true'), session: 's-1' }))).toBe('NO_SUCH_SESSION')
  })

  test('the same id with the same request is the same task, and runs once; with another it is refused', async () => {
    const id = uuid()
    const request = { device: at.device, id, command: sh('echo once') }
    const [first, second] = [await at.runtime.submitTask(request), await at.runtime.submitTask(request)]
    expect([first.task, second.task]).toEqual([id, id])
    const over = await ended(at, id)
    expect(over).toMatchObject({ state: 'COMPLETED', attempts: 1, stdoutBytes: 5 })
    expect(await at.runtime.submitTask(request)).toMatchObject({ task: id, state: 'COMPLETED' })
    expect(await codeOf(at.runtime.submitTask({ ...request, command: sh('echo other') }))).toBe('TASK_EXISTS')
  })

  test('out of time it is ended, and says so', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('sleep 600'), timeout: 300 })
    expect(await ended(at, task)).toMatchObject({ state: 'FAILED', why: 'timeout' })
  })

  test('tasks are listed in the order of their submission, newest last', async () => {
    const ids: string[] = []
    for (let i = 0; i < 3; i++) ids.push((await at.runtime.submitTask({ device: at.device, command: sh('true') })).task)
    for (const listed of [await at.runtime.listTasks(), await at.runtime.listTasks({ all: true })])
      expect(listed.map(({ task }) => task).filter((task) => ids.includes(task))).toEqual(ids)
  })

  test('its history is told only to whoever asks for it', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('true') })
    expect(await at.runtime.getTask(task)).not.toHaveProperty('events')
    expect((await at.runtime.getTask(task, { events: true })).events?.length).toBeGreaterThan(0)
  })

  test('cancelled, it ends; then it is over, and cannot be cancelled again', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('sleep 600') })
    expect(await at.runtime.cancelTask(task)).toMatchObject({ task, state: 'CANCELLED', why: 'cancelled' })
    expect(await at.runtime.getTask(task)).toMatchObject({ state: 'CANCELLED' })
    expect(await codeOf(at.runtime.cancelTask(task))).toBe('TASK_OVER')
    expect(await codeOf(at.runtime.pauseTask(task))).toBe('TASK_OVER')
    expect(await codeOf(at.runtime.resumeTask(task))).toBe('TASK_OVER')
  })

  test('paused, it waits and prints nothing; resumed, it goes on to its end', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('while ! [ -e /proc/self/errand-stop ]; do printf x; sleep 0.05; done') })
    await until('it prints', async () => (await sofar(at, task)).length > 0)
    expect(await at.runtime.pauseTask(task)).toMatchObject({ state: 'WAITING', why: 'paused' })
    expect(await at.runtime.getTask(task)).toMatchObject({ state: 'WAITING', why: 'paused' })
    const held = (await sofar(at, task)).length
    expect(await at.runtime.resumeTask(task)).toMatchObject({ state: 'RUNNING' })
    await until('it prints again', async () => (await sofar(at, task)).length > held)
    await at.runtime.cancelTask(task)
  })

  test('it is found by the beginning and by the end of its id', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, id: uuid(), command: sh('true') })
    await ended(at, task)
    expect((await at.runtime.getTask(task.slice(0, 8))).task).toBe(task)
    expect((await at.runtime.getTask(task.slice(-8))).task).toBe(task)
  })
}
