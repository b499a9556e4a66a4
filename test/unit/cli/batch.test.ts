/** Lines of a batch: how they are read, and that one that is wrong is only that. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { linesIn, MAX_LINE_BYTES } from '../../../src/cli/batch/input.ts'
import { readLine } from '../../../src/cli/batch/line.ts'
import { wordsOf } from '../../../src/cli/batch/words.ts'
import { quoted } from '../../../src/cli/quoted.ts'

const read = (text: string, device?: string): unknown => readLine(text, { n: 3, device })

test.each([
  ['gpu1 -- echo hi', { job: { id: 3, device: 'gpu1', command: ['echo', 'hi'] } }],
  [`gpu1 -- sh -c 'echo "$HOME"; x'`, { job: { id: 3, device: 'gpu1', command: ['sh', '-c', 'echo "$HOME"; x'] } }],
  ['  # a remark', undefined],
  ['', undefined],
  ['gpu1 echo', { id: 3, fault: 'DEVICE -- COMMAND… expected' }],
  ['gpu1 --', { id: 3, fault: 'DEVICE -- COMMAND… expected' }],
  [`gpu1 -- echo 'x`, { id: 3, fault: 'a quote is never closed' }],
  ['{"id":"a","device":"gpu1","command":["ls"],"timeout":"30s"}', { job: { id: 'a', device: 'gpu1', command: ['ls'], timeoutMs: 30_000 } }],
  ['{"device":"gpu1","command":["cat"],"stdin":"in"}', { job: { id: 3, device: 'gpu1', command: ['cat'], stdin: Buffer.from('in') } }],
  ['{"device":"gpu1","command":["cat"],"stdinBase64":"/w=="}', { job: { id: 3, device: 'gpu1', command: ['cat'], stdin: Buffer.from([255]) } }],
  ['{"command":["ls"]}', { id: 3, fault: 'no device' }],
  ['{"id":7,"device":"gpu1"}', { id: 7, fault: 'no command' }],
  ['{"id":7,"device":"gpu1","command":"ls"}', { id: 7, fault: 'command: a list of texts expected' }],
  ['{"id":7,"device":"gpu1","command":["ls"],"timeout":"soon"}', { id: 7, fault: 'timeout: a duration like 30s expected' }],
  ['{"id":', { id: 3, fault: 'no JSON object' }],
])('%j', (text, expected) => {
  expect(read(text)).toEqual(expected)
})

test('a field that is not known is refused by its name, also one that every object has', () => {
  for (const name of ['detach', '__proto__', 'toString'])
    expect(read(`{"device":"a","command":["ls"],"${name}":1}`)).toMatchObject({ fault: expect.stringContaining(name) })
})

test('with a device given, a line of words is the command, and JSON may name another', () => {
  expect(read('echo -- x', 'gpu1')).toEqual({ job: { id: 3, device: 'gpu1', command: ['echo', '--', 'x'] } })
  expect(read('{"command":["ls"]}', 'gpu1')).toEqual({ job: { id: 3, device: 'gpu1', command: ['ls'] } })
  expect(read('{"command":["ls"],"device":"nas"}', 'gpu1')).toEqual({ job: { id: 3, device: 'nas', command: ['ls'] } })
})

test('what errand quotes is cut into the same words again; whatever is typed, it is words or a mistake', async () => {
  const printable = fc.string({ unit: fc.constantFrom(...Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n))) })
  await fc.assert(
    fc.property(fc.array(printable), (words) => {
      expect(wordsOf(words.map((word) => (word === '' ? "''" : quoted(word))).join(' '))).toEqual(words)
    }),
  )
  await fc.assert(fc.property(fc.string(), (text) => void wordsOf(text)))
  await fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => void read(text)))
})

test('lines come whole however their bytes are cut; one that is too long is told, and the next is read', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', ' ', '\n') })), async (chunks) => {
      const text = chunks.join('')
      const wanted = text.endsWith('\n') || text === '' ? text.split('\n').slice(0, -1) : text.split('\n')
      expect(await all(chunks.map((chunk) => Buffer.from(chunk)))).toEqual(wanted)
    }),
  )
  const long = Array.from({ length: 40 }, () => new Uint8Array(1 << 15).fill(97))
  expect(MAX_LINE_BYTES).toBeLessThan(40 << 15)
  expect(await all([...long, Buffer.from('\nnext\n')])).toEqual([undefined, 'next'])
})

async function all(chunks: readonly Uint8Array[]): Promise<(string | undefined)[]> {
  const lines: (string | undefined)[] = []
  for await (const line of linesIn(source(chunks))) lines.push(line)
  return lines
}

async function* source(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}
