/** Tasks that outlive what they came from: real nodes from dist. */
import { expect, test } from 'vitest'
import type { TaskView } from '../../protocols/local/messages.ts'
import { jsonOf, until, type World, world } from '../support/world.ts'

const tasksOf = async (w: World, home: string): Promise<TaskView[]> => jsonOf(await w.errand(home, 'ps', '--all', '--json')) as TaskView[]
const briefly = (tasks: readonly TaskView[]): unknown[] => tasks.map(({ command, state, exitCode, why }) => [command.join(' '), state, exitCode, why])

test('what ended is still listed after the daemon was stopped, or killed and started again, as it ended', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  await w.connected(alice.home, 'bob')
  await w.run(alice.home, 'alice', 'true')
  await w.run(alice.home, 'alice', 'sh', '-c', 'exit 3')
  await w.run(alice.home, 'bob', 'echo', 'there')
  const before = await tasksOf(w, alice.home)
  expect(briefly(before)).toEqual([
    ['true', 'COMPLETED', 0, 'exit'],
    ['sh -c exit 3', 'FAILED', 3, 'exit'],
    ['echo there', 'COMPLETED', 0, 'exit'],
  ])
  await alice.stop()
  const again = await w.up(alice.home)
  expect(await tasksOf(w, alice.home)).toEqual(before)
  await again.kill()
  await w.up(alice.home)
  expect(await tasksOf(w, alice.home)).toEqual(before)
  expect(briefly(await tasksOf(w, bob.home))).toEqual([['echo there', 'COMPLETED', 0, 'exit']])
})

test('a command whose daemon was killed is listed as lost after the restart, and the node can be drained', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  await w.run(alice.home, 'alice', 'sh', '-c', `kill -9 ${alice.process.pid}; sleep 600`)
  await alice.process.ended
  const again = await w.up(alice.home)
  const [task] = await until('the task has ended', async () => {
    const tasks = await tasksOf(w, alice.home)
    return tasks.every(({ endedAt }) => endedAt !== null) && tasks
  })
  expect(task).toMatchObject({ state: 'FAILED', why: 'lost' })
  expect((await w.errand(alice.home, 'down', '--drain', '20s')).code).toBe(0)
  expect((await again.process.ended).code).toBe(0)
})
