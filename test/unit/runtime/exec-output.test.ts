/** Which way a command's output goes, with a real exec-host behind it: no caller makes it go more than one way at once, whatever it says how often. */
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TAG } from '../../../protocols/exec/frames.ts'
import { At, Bulk } from '../../../protocols/exec/messages.ts'
import { BULK } from '../../../protocols/host/frames.ts'
import { decodeAs } from '../../../protocols/wire.ts'
import { type Frame, FrameLink } from '../../../src/base/frames.ts'
import { memoryLinks } from '../../../src/base/memory-link.ts'
import { OutputWay } from '../../../src/runtime/exec-output.ts'
import type { OutputSink, RunningCommand } from '../../../src/tasks/ports.ts'
import { until } from '../../support/until.ts'
import { openWorld, sh, type World } from '../exec/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ waits: { ticketMs: 500 } })
})
afterAll(() => world.close())

interface Scene {
  readonly way: OutputWay
  readonly running: RunningCommand
  /** Control frames that the caller got, output apart. */
  readonly told: Frame[]
  printed: number
  follows: number
}

/** A command, which prints without end unless told otherwise, its caller, and what the caller hears. */
async function scene(address: string | null, script = 'exec yes'): Promise<Scene> {
  const task = randomUUID()
  const [near, far] = memoryLinks().map((link) => new FrameLink(link, 1 << 20))
  if (near === undefined || far === undefined) throw new Error('no links')
  const answer: OutputSink = { output: (fd, chunk) => near.write(fd === 1 ? TAG.stdout : TAG.stderr, chunk) }
  const { executor } = world
  const counting = {
    admit: executor.admit.bind(executor),
    expel: executor.expel.bind(executor),
    printed: executor.printed.bind(executor),
    follow: (...asked: Parameters<typeof executor.follow>) => {
      seen.follows++
      return executor.follow(...asked)
    },
  }
  const way = new OutputWay(near, answer, { task, address }, { executor: counting, random: (bytes) => randomBytes(bytes) })
  const running = await executor.start({ ...sh(script), stdin: true }, way.sink, { task })
  const seen: Scene = { way, running, told: [], printed: 0, follows: 0 }
  way.carries(running)
  void (async () => {
    for (let frame = await far.read(); frame !== undefined; frame = await far.read())
      if (frame.tag === TAG.stdout) seen.printed += frame.payload.byteLength
      else seen.told.push(frame)
  })()
  return seen
}

const tags = ({ told }: Scene): number[] => told.map(({ tag }) => tag)
const atOf = (frame: Frame | undefined): number => decodeAs(At, frame?.payload.subarray() ?? new Uint8Array(), 1_024).offset
const stop = async ({ running, way }: Scene): Promise<void> => {
  way.cut()
  running.stop('lost')
  await running.ended
}

test('a lot of output is offered; it moves once, and comes back once, from where the caller says', async () => {
  // Less than what it would be offered again for, in pieces that wait for their turn.
  const script = [2, 4, 2].map((mib) => `head -c ${mib * BULK.afterBytes} /dev/zero; read turn`).join('; ')
  const seen = await scene('127.0.0.1', script)
  const { way, running } = seen
  const next = (): void => void running.stdin(Buffer.from('\n'))
  await until('it is offered', () => seen.told.length > 0)
  expect(decodeAs(Bulk, seen.told[0]?.payload.subarray() ?? new Uint8Array(), 1_024).port).toBeGreaterThan(0)
  for (let i = 0; i < 1_000; i++) void way.moved()
  await until('it has moved', () => seen.told.length > 1)
  const offset = atOf(seen.told[1])
  await until('all before that is here', () => seen.printed >= offset)
  for (let i = 0; i < 1_000; i++) way.resume(offset)
  next()
  await until('it goes on here', () => seen.printed === 6 * BULK.afterBytes)
  for (let i = 0; i < 1_000; i++) void way.moved()
  for (let i = 0; i < 1_000; i++) way.resume(0)
  next()
  await until('it still goes on', () => seen.printed === 8 * BULK.afterBytes)
  expect(tags(seen)).toEqual([TAG.bulk, TAG.bulkMoved])
  expect(seen.follows).toBe(1)
  await stop(seen)
})

test('who did not come while a ticket was good, or came back, is offered the other way again, ever more rarely, and can take it', async () => {
  const seen = await scene('127.0.0.1')
  await until('16 times as much has gone here', () => seen.printed > 17 * BULK.afterBytes)
  await until('it is offered again', () => seen.told.length > 1)
  void seen.way.moved()
  await until('it moves', () => seen.told.length > 2)
  seen.way.resume(atOf(seen.told[2]))
  await until('256 times as much has gone here', () => seen.printed > 257 * BULK.afterBytes)
  await until('it is offered again', () => seen.told.length > 3)
  void seen.way.moved()
  await until('it moves', () => seen.told.length > 4)
  expect(tags(seen)).toEqual([TAG.bulk, TAG.bulk, TAG.bulkMoved, TAG.bulk, TAG.bulkMoved])
  expect(
    new Set(seen.told.filter(({ tag }) => tag === TAG.bulk).map(({ payload }) => Buffer.from(decodeAs(Bulk, payload.subarray(), 1_024).id).toString('hex')))
      .size,
  ).toBe(3)
  await stop(seen)
})

test('who takes what was not offered, or asks to come back without having left, changes nothing', async () => {
  const seen = await scene(null)
  for (let i = 0; i < 1_000; i++) void seen.way.moved()
  for (let i = 0; i < 1_000; i++) seen.way.resume(0)
  await until('it goes on', () => seen.printed > 3 * BULK.afterBytes)
  expect(seen.told).toEqual([])
  expect(seen.follows).toBe(0)
  await stop(seen)
})
