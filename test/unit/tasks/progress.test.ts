import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Progress } from '../../../protocols/task/messages.ts'
import { progressOf } from '../../../protocols/task/progress.ts'
import { shapeOf } from '../../../protocols/wire.ts'

test('a report is read as it was meant', () => {
  expect(progressOf('{"percent": 40, "text": "12 of 30", "data": {"files": 12, "half": 0.5}}')).toEqual({
    percent: 40,
    text: '12 of 30',
    data: { files: 12, half: 0.5 },
  })
  expect(progressOf('{"percent": 99.9, "later": true}')).toEqual({ percent: 99 })
  expect(progressOf(JSON.stringify({ text: 'x'.repeat(300) }))).toEqual({ text: 'x'.repeat(256) })
})

test.each([
  ['nothing', ''],
  ['no JSON', '40 %'],
  ['no object', '40'],
  ['an empty object', '{}'],
  ['nothing that is known', '{"later": 1}'],
  ['more than all', '{"percent": 101}'],
  ['less than nothing', '{"percent": -1}'],
  ['a number as text', '{"percent": "40"}'],
  ['too much data', JSON.stringify({ data: { x: 'x'.repeat(2_100) } })],
  ['too long a line', JSON.stringify({ percent: 1, pad: 'x'.repeat(4_100) })],
  ['endless nesting', `{"data":{"a":${'['.repeat(2_000)}${']'.repeat(2_000)}}}`],
])('%s is no report', (_, line) => expect(progressOf(line)).toBeUndefined())

test('whatever a command writes, what is taken of it can be kept', async () => {
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ percent: fc.double(), text: fc.string({ unit: 'binary' }), data: fc.jsonValue() }).map((one) => JSON.stringify(one)),
  )
  await fc.assert(
    fc.property(line, (text) => {
      const report = progressOf(text)
      if (report !== undefined) expect(shapeOf(Progress, report)).toEqual(report)
    }),
    { numRuns: 500 },
  )
})
