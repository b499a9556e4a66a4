import { expect, test } from 'vitest'
import { Accepted, Ended, TAG } from '../../../protocols/exec/messages.ts'
import { decodeAs } from '../../../protocols/wire.ts'
import { FrameLink } from '../../../src/base/frames.ts'
import { Answer } from '../../../src/runtime/answer.ts'
import { HandClock } from '../base/hand-clock.ts'

const ACCEPTED = { task: '0190f3b0-0000-7000-8000-000000000001', startTime: 1_800_000_000_000 }
const ENDED = { exitCode: 0, signal: null, why: 'exit', startTime: 1, endTime: 2, stdoutBytes: 0, stderrBytes: 0 } as const

/** @returns the pieces as they went to the stream, each as the tags of its frames, and the frames themselves. */
function setUp(fails = false) {
  const clock = new HandClock()
  const pieces: Uint8Array[] = []
  const write = (bytes: { slice(): Uint8Array }): undefined => {
    if (fails) throw new Error('the caller is gone')
    pieces.push(bytes.slice())
  }
  const link = new FrameLink({ source: (async function* () {})(), write, end: async () => undefined, abort: () => undefined }, 1_024)
  const framesOf = async (piece: Uint8Array) => {
    const source = (async function* () {
      yield piece
    })()
    const reader = new FrameLink({ source, write: () => undefined, end: async () => undefined, abort: () => undefined }, 1_024)
    const frames = []
    for (let frame = await reader.read(); frame !== undefined; frame = await reader.read()) frames.push(frame)
    return frames
  }
  const tags = async () => await Promise.all(pieces.map(async (piece) => (await framesOf(piece)).map(({ tag }) => tag)))
  return { clock, pieces, framesOf, tags, answer: new Answer(link, clock) }
}

function unexpected(): never {
  throw new Error('the caller is there')
}

test('a command that is over at once is accepted and ended in one piece, and both are whole', async () => {
  const { answer, clock, pieces, framesOf, tags } = setUp()
  answer.acceptedSoon(ACCEPTED, unexpected)
  clock.advance(5)
  await answer.ended(ENDED)
  expect(await tags()).toEqual([[TAG.accepted, TAG.ended]])
  const [accepted, ended] = await framesOf(pieces[0] ?? new Uint8Array())
  expect(decodeAs(Accepted, accepted?.payload.slice() ?? new Uint8Array(), 1_024)).toEqual(ACCEPTED)
  expect(decodeAs(Ended, ended?.payload.slice() ?? new Uint8Array(), 1_024)).toEqual(ENDED)
  expect(clock.pending).toBe(0)
})

test('the first output brings the acceptance along, in front of it; the second goes alone', async () => {
  const { answer, tags } = setUp()
  answer.acceptedSoon(ACCEPTED, unexpected)
  void answer.output(2, Buffer.from('one'))
  void answer.output(1, Buffer.from('two'))
  await answer.ended(ENDED)
  expect(await tags()).toEqual([[TAG.accepted, TAG.stderr], [TAG.stdout], [TAG.ended]])
})

test('a command that goes on is accepted 10 ms later, once', async () => {
  const { answer, clock, tags } = setUp()
  answer.acceptedSoon(ACCEPTED, unexpected)
  clock.advance(9)
  expect(await tags()).toEqual([])
  clock.advance(1)
  expect(await tags()).toEqual([[TAG.accepted]])
  answer.close()
  await answer.ended(ENDED)
  expect(await tags()).toEqual([[TAG.accepted], [TAG.ended]])
})

test('a command whose end cannot be told was accepted all the same', async () => {
  const { answer, clock, tags } = setUp()
  answer.acceptedSoon(ACCEPTED, unexpected)
  answer.close()
  clock.advance(1_000)
  expect(await tags()).toEqual([[TAG.accepted]])
})

test('who waits with stdin is told at once', async () => {
  const { answer, tags } = setUp()
  await answer.accepted(ACCEPTED)
  expect(await tags()).toEqual([[TAG.accepted]])
})

test('a caller that is gone by the time it is told stops the command', async () => {
  const { answer, clock } = setUp(true)
  const lost = new Promise<void>((resolve) => answer.acceptedSoon(ACCEPTED, () => resolve()))
  clock.advance(10)
  await expect(lost).resolves.toBeUndefined()
})

test('what a command prints before its start was told waits for that, in its order', async () => {
  const { answer, tags } = setUp()
  const [first, second] = [answer.output(1, Buffer.from('one')), answer.output(2, Buffer.from('two'))]
  expect(await tags()).toEqual([])
  answer.acceptedSoon(ACCEPTED, unexpected)
  await Promise.all([first, second])
  await answer.ended(ENDED)
  expect(await tags()).toEqual([[TAG.accepted, TAG.stdout], [TAG.stderr], [TAG.ended]])
})
