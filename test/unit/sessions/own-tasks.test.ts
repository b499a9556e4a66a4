import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OwnTasks } from '../../../src/sessions/own-tasks.ts'

test('a task is found by its id, its beginning and its end, in any case; the newest come first', () => {
  const own = new OwnTasks()
  const ids = ['019aa3c1-0000-7000-8000-00000000000a', '019aa3c1-0000-7000-8000-00000000000b']
  for (const id of ids) own.add(id)
  expect(own.resolve('019AA3C1-0000-7000-8000-00000000000A')).toBe(ids[0])
  expect(own.resolve('00000b')).toBe(ids[1])
  expect(own.newest(1)).toEqual([ids[1]])
  expect(() => own.resolve('019aa3')).toThrow(expect.objectContaining({ code: 'AMBIGUOUS_TASK', message: expect.stringContaining('2 tasks of this session') }))
  for (const odd of ['', '00000', 'zzzzzz', '__proto__']) expect(() => own.resolve(odd)).toThrow(expect.objectContaining({ code: 'NO_SUCH_TASK' }))
})

test('no word finds a task that is not there, and the answer is the same whatever others have', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.uuid(), fc.nat(30), (mine, others, from) => {
      fc.pre(mine !== others)
      const own = new OwnTasks()
      own.add(mine)
      const part = others.slice(from)
      fc.pre(!mine.startsWith(part) && !mine.endsWith(part))
      expect(() => own.resolve(part)).toThrow(expect.objectContaining({ code: 'NO_SUCH_TASK', message: `this session has no task ${part}` }))
    }),
  )
})
