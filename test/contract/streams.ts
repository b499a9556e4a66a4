/** Streams of a task: its output from any offset on, and the changes of all tasks from any cursor on. */
import { v4 as uuid } from 'uuid'
import { expect, test } from 'vitest'
import { until } from '../support/world.ts'
import { type At, changesUntil, collect, cursorOf, ended, isOver, sh, sha256, sofar, tasksIn } from './subject.ts'

export function outputs(at: At): void {
  test('what it prints can be read from any offset, while it runs and when it is over', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('printf abcdef; sleep 0.4; printf ghi') })
    const [whole, part] = [collect(at.runtime.attach(task)), collect(at.runtime.attach(task, { from: 3 }))]
    expect((await whole).stdout).toBe('abcdefghi')
    expect((await part).stdout).toBe('defghi')
    expect((await part).end).toMatchObject({ id: task, exitCode: 0, stdoutBytes: 9 })
    expect((await collect(at.runtime.attach(task, { from: 7 }))).stdout).toBe('hi')
    expect((await collect(at.runtime.attach(task, { from: 9 }))).stdout).toBe('')
  })

  test('what there is by now is given without waiting for the end', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('printf abc; sleep 600') })
    await until('it has printed', async () => (await sofar(at, task)) === 'abc')
    const now = await collect(at.runtime.attach(task, { follow: false }))
    expect(now).toMatchObject({ stdout: 'abc', end: undefined })
    await at.runtime.cancelTask(task)
  })

  test('whoever leaves it leaves it alone', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('printf a; sleep 0.5; printf b') })
    for await (const event of at.runtime.attach(task)) if (event.t === 'printed') break
    const left = new AbortController()
    const quiet = collect(at.runtime.attach(task, { signal: left.signal }))
    left.abort()
    expect((await quiet).end).toBeUndefined()
    expect(await ended(at, task)).toMatchObject({ state: 'COMPLETED', stdoutBytes: 2 })
  })

  test('megabytes arrive as they were printed', async () => {
    const script = 'i=0; while [ $i -lt 40000 ]; do echo "line $i of a long text that fills some fifty bytes"; i=$((i+1)); done'
    const whole = Array.from({ length: 40_000 }, (_, i) => `line ${i} of a long text that fills some fifty bytes\n`).join('')
    const { stdout } = await at.runtime.execute({ device: at.device, command: sh(script) })
    expect([stdout.length, sha256(stdout)]).toEqual([whole.length, sha256(Buffer.from(whole))])
  })
}

export function watches(at: At): void {
  test('the state comes first, then every change, and the last one is the end', async () => {
    const id = uuid()
    const seen = await changesUntil(
      at,
      {},
      { begun: () => at.runtime.submitTask({ device: at.device, id, command: sh('exit 4') }), done: (task) => task.task === id && isOver(task) },
    )
    expect(seen[0]?.t).toBe('state')
    const mine = tasksIn(seen.slice(1)).filter(({ task }) => task === id)
    expect(mine.map(({ state }) => state)).toEqual(expect.arrayContaining(['RUNNING', 'FAILED']))
    expect(mine.at(-1)).toMatchObject({ state: 'FAILED', exitCode: 4 })
  })

  test('from a cursor on it goes on where it was, without the state, and misses nothing', async () => {
    const [first, missed] = [uuid(), uuid()]
    const before = await changesUntil(
      at,
      {},
      { begun: () => at.runtime.submitTask({ device: at.device, id: first, command: sh('true') }), done: (task) => task.task === first && isOver(task) },
    )
    const cursor = cursorOf(before)
    await at.runtime.submitTask({ device: at.device, id: missed, command: sh('true') })
    await ended(at, missed)
    const after = await changesUntil(at, { cursor }, { begun: () => Promise.resolve(), done: (task) => task.task === missed && isOver(task) })
    expect(after[0]?.t).toBe('changed')
    expect(tasksIn(after).some(({ task }) => task === first)).toBe(false)
    expect(tasksIn(after).filter(({ task }) => task === missed).length).toBeGreaterThan(1)
  })

  test('aborted, it ends without an error', async () => {
    const left = new AbortController()
    const kinds: string[] = []
    for await (const { t } of at.runtime.streamTaskUpdates({ signal: left.signal })) {
      kinds.push(t)
      left.abort()
    }
    expect(kinds[0]).toBe('state')
  })
}
