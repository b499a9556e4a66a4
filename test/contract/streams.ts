/** Streams of a task: its output from any offset on, and the changes of all tasks from any cursor on. */
import { v4 as uuid } from 'uuid'
import { expect, test } from 'vitest'
import type { TaskUpdate, TaskView } from '../../protocols/local/messages.ts'
import { until } from '../support/world.ts'
import { type At, changesUntil, collect, cursorOf, ended, isOver, sh, sha256, sofar, tasksIn } from './subject.ts'

const AT_ONCE = 8
const HEAVY_ROUNDS = 12

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

  test('beyond its end there is nothing but the end', async () => {
    const { task } = await at.runtime.submitTask({ device: at.device, command: sh('printf abc') })
    expect(await collect(at.runtime.attach(task, { from: 1_000 }))).toMatchObject({ stdout: '', end: { exitCode: 0, stdoutBytes: 3 } })
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

  test('a cursor that is too old, or of another life, gets a gap and the state anew', async () => {
    for (const from of [0, Number.MAX_SAFE_INTEGER]) {
      const [gap, state] = await first(2, at.runtime.streamTaskUpdates({ cursor: from }))
      expect(gap).toMatchObject({ t: 'gap', from })
      expect(state).toMatchObject({ t: 'state', cursor: gap?.t === 'gap' ? gap.to : undefined })
    }
  })

  test('what a command reports of itself is a change, while it goes on', async () => {
    const id = uuid()
    const report = { percent: 40, text: 'epoch 4' }
    await changesUntil(
      at,
      {},
      {
        begun: () => at.runtime.submitTask({ device: at.device, id, command: sh(`echo '${JSON.stringify(report)}' >&3; sleep 600`) }),
        done: ({ task, progress }) => task === id && progress !== null,
      },
    )
    expect(await at.runtime.getTask(id)).toMatchObject({ state: 'RUNNING', progress: report })
    await at.runtime.cancelTask(id)
  })

  test('aborted before it began, it is empty', async () => {
    expect(await first(1, at.runtime.streamTaskUpdates({ signal: AbortSignal.abort() }))).toEqual([])
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

/**
 * Many changes that weigh much, while a reader stops in the middle. What lies between the node and the reader takes some of them; the rest
 * is more than the node keeps.
 */
export function slowReaders(at: At): void {
  test('who falls behind is told from where to where, and gets the state anew', { timeout: 180_000 }, async () => {
    const updates = at.runtime.streamTaskUpdates()[Symbol.asyncIterator]()
    await updates.next()
    const context = { weight: 'x'.repeat(64_000) }
    const ids: string[] = []
    for (let round = 0; round < HEAVY_ROUNDS; round++) {
      const some = Array.from({ length: AT_ONCE }, () => at.runtime.submitTask({ device: at.device, command: sh('true'), context }))
      ids.push(...(await Promise.all(some)).map(({ task }) => task))
    }
    for (const id of ids) await ended(at, id)
    const kinds = await readUntilOver(updates, String(ids.at(-1)))
    const gap = kinds.indexOf('gap')
    expect(gap).toBeGreaterThan(-1)
    expect(kinds[gap + 1]).toBe('state')
  })
}

/** @returns of which kind the updates were. */
async function readUntilOver(updates: AsyncIterator<TaskUpdate>, task: string): Promise<string[]> {
  const kinds: string[] = []
  for (let next = await updates.next(); next.done !== true; next = await updates.next()) {
    kinds.push(next.value.t)
    if (tasksOf(next.value).some((one) => one.task === task && isOver(one))) break
  }
  await updates.return?.()
  return kinds
}

function tasksOf(update: TaskUpdate): TaskView[] {
  if (update.t === 'gap') return []
  return update.t === 'changed' ? [update.task] : update.tasks
}

async function first(n: number, updates: AsyncIterable<TaskUpdate>): Promise<TaskUpdate[]> {
  const seen: TaskUpdate[] = []
  for await (const update of updates) if (seen.push(update) === n) break
  return seen
}
