/** A line that breaks and comes back: what it asks for then, what it says again, and when it gives up. */
import { expect, test } from 'vitest'
import { type Accepted, Attach, type Ended, EXEC, TAG } from '../../../protocols/exec/messages.ts'
import { decodeAs, encode } from '../../../protocols/wire.ts'
import { ErrandError } from '../../../src/base/errors.ts'
import { type Frame, FrameLink } from '../../../src/base/frames.ts'
import { memoryLinks } from '../../../src/base/memory-link.ts'
import type { Far, FarSide } from '../../../src/runtime/far.ts'
import { type Hearer, Line } from '../../../src/runtime/line.ts'
import { HandClock, settled } from '../base/hand-clock.ts'
import { bob } from './mesh-world.ts'

const TASK = '0190f3b0-0000-7000-8000-000000000001'
const ACCEPTED: Accepted = { task: TASK, startTime: 1 }
const ENDED: Ended = { exitCode: 0, signal: null, why: 'exit', startTime: 1, endTime: 2, stdoutBytes: 0, stderrBytes: 0 }
const CUT = new ErrandError('LINK_CLOSED', 'cable pulled')

/** The device's end of one stream. */
class Device {
  readonly frames: Frame[] = []

  constructor(readonly link: FrameLink) {
    void this.#collect().catch(() => undefined)
  }

  get tags(): number[] {
    return this.frames.map(({ tag }) => tag)
  }

  /** From where the output is asked for. */
  get from(): number | null | undefined {
    const attach = this.frames.find(({ tag }) => tag === TAG.attach)
    return attach === undefined ? undefined : decodeAs(Attach, attach.payload.subarray(), EXEC.maxFrameBytes).from
  }

  async say(tag: number, value: object): Promise<void> {
    await this.link.write(tag, encode(value))
    await settled()
  }

  async print(text: string): Promise<void> {
    await this.link.write(TAG.stdout, Buffer.from(text))
    await settled()
  }

  async cut(): Promise<void> {
    this.link.abort(CUT)
    await settled()
  }

  async #collect(): Promise<void> {
    for (let frame = await this.link.read(); frame !== undefined; frame = await this.link.read()) this.frames.push(frame)
  }
}

class World {
  readonly clock = new HandClock()
  readonly devices: Device[] = []
  readonly gone = new AbortController()
  /** Why the device cannot be reached. */
  away: ErrandError | undefined
  text = ''
  accepted = 0
  back = 0
  readonly down: number[] = []
  outcome: Ended | undefined
  thrown: unknown
  readonly line: Line

  constructor(from = 0) {
    const hearer: Hearer = {
      output: (_tag, payload) => {
        this.text += Buffer.from(payload.subarray()).toString()
        return undefined
      },
      accepted: () => {
        this.accepted++
        return undefined
      },
      down: (waitMs) => {
        this.down.push(waitMs)
        return undefined
      },
      back: () => {
        this.back++
        return undefined
      },
    }
    const side = { open: () => this.#open(), sign: () => Promise.resolve({ invocation: new Uint8Array(), proofs: [] }) }
    const on = { side: side satisfies Pick<FarSide, 'open' | 'sign'>, clock: this.clock, hearer, signal: this.gone.signal, from }
    this.line = new Line(this.#dial(), { task: TASK, device: bob.did, name: 'bob' }, on)
    void this.line.hear().then(
      (ended) => {
        this.outcome = ended
      },
      (thrown: unknown) => {
        this.thrown = thrown
      },
    )
  }

  get device(): Device {
    const last = this.devices.at(-1)
    if (last === undefined) throw new TypeError('nobody dialled')
    return last
  }

  /** Breaks, and has come back. */
  async breaks(): Promise<void> {
    await this.device.cut()
    await this.waits(300)
  }

  async waits(ms: number): Promise<void> {
    this.clock.advance(ms)
    await settled()
  }

  async #open(): Promise<Far> {
    if (this.away !== undefined) throw this.away
    return await Promise.resolve(this.#dial())
  }

  #dial(): Far {
    const [near, far] = memoryLinks()
    this.devices.push(new Device(new FrameLink(far, EXEC.maxFrameBytes)))
    return { link: new FrameLink(near, EXEC.maxFrameBytes), challenge: new Uint8Array(16), synced: Promise.resolve(), host: null }
  }
}

test('it comes back for what follows the last byte that it heard, and says nothing twice', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  await world.device.print('hello ')
  expect(world.down).toEqual([])
  await world.breaks()
  expect(world.down).toEqual([120_000])
  expect(world.device.from).toBe(6)
  await world.device.say(TAG.accepted, ACCEPTED)
  await world.device.print('again')
  await world.breaks()
  expect(world.device.from).toBe(11)
  await world.device.say(TAG.ended, ENDED)
  expect([world.text, world.accepted, world.outcome]).toEqual(['hello again', 1, ENDED])
})

test('what was skipped counts as heard, and so does what lies before the place where it began', async () => {
  const world = new World(100)
  await world.device.say(TAG.accepted, ACCEPTED)
  await world.device.say(TAG.at, { offset: 1_000 })
  await world.device.print('four')
  await world.breaks()
  expect(world.device.from).toBe(1_004)
})

test('output that takes another way is not asked for again, until it is to come here again', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  await world.device.say(TAG.bulkMoved, { offset: 0 })
  await world.breaks()
  expect(world.device.from).toBeNull()
  await world.device.say(TAG.accepted, ACCEPTED)
  world.away = new ErrandError('NO_ROUTE', 'bob cannot be reached')
  await world.device.cut()
  await world.line.say(TAG.resumeAt, encode({ offset: 4_096 })) // while it is down
  world.away = undefined
  await world.waits(300)
  expect(world.device.from).toBe(4_096)
})

test('who reads its output elsewhere is told that the line was cut, and only they', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  await world.breaks()
  expect(world.back).toBe(0)
  await world.device.say(TAG.bulkMoved, { offset: 0 })
  await world.breaks()
  expect(world.back).toBe(1)
})

test('it gives up when the device has waited long enough, and not before', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  world.away = new ErrandError('NO_ROUTE', 'bob cannot be reached')
  await world.device.cut()
  for (let waited = 0; waited < 119_700; waited += 300) await world.waits(300)
  expect(world.thrown).toBeUndefined()
  await world.waits(300)
  expect(world.thrown).toMatchObject({ code: 'LINK_LOST', fields: { task: TASK }, message: expect.stringContaining('bob') })
})

test('a device that is back within that time is found', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  world.away = new ErrandError('NO_ROUTE', 'bob cannot be reached')
  await world.device.cut()
  for (let waited = 0; waited < 90_000; waited += 300) await world.waits(300)
  world.away = undefined
  await world.waits(300)
  expect(world.devices).toHaveLength(2)
  await world.device.say(TAG.ended, ENDED)
  expect(world.outcome).toEqual(ENDED)
})

test('a refusal is the last word, also to a line that came back', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  await world.breaks()
  await world.device.say(TAG.refused, { code: 'NO_SUCH_TASK', message: 'never heard of it' })
  expect(world.thrown).toMatchObject({ code: 'NO_SUCH_TASK' })
  await world.waits(60_000)
  expect(world.devices).toHaveLength(2)
})

test('a line that breaks before the command was accepted does not come back: nothing may run there', async () => {
  const world = new World()
  await world.breaks()
  expect(world.thrown).toMatchObject({ code: 'LINK_LOST' })
  expect(world.devices).toHaveLength(1)
})

test('whoever asked is gone: nobody comes back', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  world.away = new ErrandError('NO_ROUTE', 'bob cannot be reached')
  await world.device.cut()
  world.gone.abort()
  await settled()
  expect(world.thrown).toMatchObject({ code: expect.stringMatching(/CANCELLED|LINK_LOST/) })
})

test('a cancel, the end of the input and input that came while it was down are said when it is back', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  await world.line.say(TAG.stdin, Buffer.from('taken'))
  await settled()
  await world.device.say(TAG.stdinCredit, { bytes: 5 })
  world.away = new ErrandError('NO_ROUTE', 'bob cannot be reached')
  await world.device.cut()
  await world.line.say(TAG.stdin, Buffer.from('later'))
  await world.line.say(TAG.stdinEnd)
  await world.line.say(TAG.cancel)
  world.away = undefined
  await world.waits(300)
  expect(world.device.tags).toEqual([TAG.attach, TAG.stdin, TAG.stdinEnd, TAG.cancel])
  expect(Buffer.from(world.device.frames[1]?.payload.subarray() ?? []).toString()).toBe('later')
})

test('with input under way it gives up at once: nobody can say how much of it the command got', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  await world.line.say(TAG.stdin, Buffer.from('where?'))
  await world.breaks()
  expect(world.thrown).toMatchObject({ code: 'LINK_LOST', message: expect.stringContaining('input') })
  expect(world.devices).toHaveLength(1)
})

test('who leaves says so and stays until it was heard; a device that does not answer is left after 2 s', async () => {
  const world = new World()
  await world.device.say(TAG.accepted, ACCEPTED)
  world.gone.abort()
  world.line.leave()
  await world.waits(1_999)
  expect([world.device.tags, world.thrown]).toEqual([[TAG.cancel], undefined])
  await world.waits(1)
  expect(world.thrown).toMatchObject({ code: 'CANCELLED' })
})
