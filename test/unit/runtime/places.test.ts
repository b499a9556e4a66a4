/** Places and the queue behind them. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Leave, Places } from '../../../src/runtime/places.ts'
import { HandClock, settled } from '../base/hand-clock.ts'

const QUEUE_TIMEOUT_MS = 1_000

/** Somebody who asked for a place, and what became of it. */
class Asker {
  readonly places: number[] = []
  readonly #gone = new AbortController()
  leave: Leave | undefined
  refusal: unknown
  readonly settled: Promise<void>

  constructor(
    places: Places,
    readonly onSeated: (asker: Asker) => void = () => undefined,
  ) {
    this.settled = places.take({ moved: (place) => this.places.push(place), signal: this.#gone.signal }).then(
      (leave) => {
        this.leave = leave
        this.onSeated(this)
      },
      (thrown: unknown) => {
        this.refusal = thrown
      },
    )
  }

  go(): void {
    this.#gone.abort(new Error('went away'))
  }
}

function placesOf(bounds: { atOnce: number; queueSize: number }): { clock: HandClock; places: Places } {
  const clock = new HandClock()
  return { clock, places: new Places({ clock, bounds: { ...bounds, queueTimeoutMs: QUEUE_TIMEOUT_MS } }) }
}

type Step = { readonly t: 'ask' | 'leave' | 'go' | 'wait'; readonly n: number }
const steps = fc.array(fc.record({ t: fc.constantFrom<Step['t']>('ask', 'ask', 'leave', 'go', 'wait'), n: fc.nat(20) }), { maxLength: 60 })

/** Everybody who ever asked for a place. */
class Crowd {
  readonly askers: Asker[] = []
  readonly seated: Asker[] = []
  readonly #left = new Set<Asker>()

  constructor(
    private readonly places: Places,
    private readonly clock: HandClock,
  ) {}

  get waiting(): Asker[] {
    return this.askers.filter(({ leave, refusal }) => leave === undefined && refusal === undefined)
  }

  get sitting(): Asker[] {
    return this.seated.filter((asker) => !this.#left.has(asker))
  }

  async step({ t, n }: Step): Promise<void> {
    if (t === 'ask') this.askers.push(new Asker(this.places, (asker) => this.seated.push(asker)))
    else if (t === 'leave') this.#leave(pick(this.sitting, n))
    else if (t === 'go') pick(this.waiting, n)?.go()
    else this.clock.advance(n * 20)
    await settled()
  }

  async goHome(): Promise<void> {
    for (const asker of this.waiting) asker.go()
    await Promise.all(this.askers.map((asker) => asker.settled))
    for (const asker of this.sitting) this.#leave(asker)
  }

  #leave(asker: Asker | undefined): void {
    if (asker === undefined) return
    this.#left.add(asker)
    asker.leave?.()
    asker.leave?.() // twice gives nothing away
  }
}

function pick<T>(from: readonly T[], n: number): T | undefined {
  return from[n % Math.max(1, from.length)]
}

test('never more than there are places, first come first served, never a longer queue, and nobody is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 4 }), steps, async (atOnce, queueSize, script) => {
      const { clock, places } = placesOf({ atOnce, queueSize })
      const crowd = new Crowd(places, clock)
      for (const step of script) {
        await crowd.step(step)
        const { sitting, waiting } = crowd
        expect(sitting.length).toBeLessThanOrEqual(atOnce)
        expect(waiting.length).toBeLessThanOrEqual(queueSize)
        expect(waiting.length === 0 || sitting.length === atOnce, 'nobody waits beside a free place').toBe(true)
        expect(waiting.map((asker) => asker.places.at(-1))).toEqual(waiting.map((_, i) => i + 1))
      }
      expect(crowd.seated, 'in the order of asking').toEqual(crowd.askers.filter((asker) => crowd.seated.includes(asker)))
      await crowd.goHome()
      expect([places.free, places.waiting]).toEqual([atOnce, 0])
    }),
    { numRuns: 60 },
  )
})

test('a full queue and a wait that is too long are TOO_BUSY, and may be tried again', async () => {
  const { clock, places } = placesOf({ atOnce: 1, queueSize: 1 })
  const leave = places.tryTake()
  const [waits, turned] = [new Asker(places), new Asker(places)]
  await turned.settled
  expect(turned.refusal).toMatchObject({ code: 'TOO_BUSY', retryable: true })
  clock.advance(QUEUE_TIMEOUT_MS)
  await waits.settled
  expect(waits.refusal).toMatchObject({ code: 'TOO_BUSY', message: 'no place became free within 1 s' })
  leave?.()
  expect(places.tryTake()).toBeDefined()
})

test('a place that became free in the meantime is taken at once, and who is gone already gets none', async () => {
  const { places } = placesOf({ atOnce: 1, queueSize: 1 })
  const asker = new Asker(places)
  await asker.settled
  expect(asker.leave).toBeDefined()
  asker.leave?.()
  const gone = AbortSignal.abort(new Error('went away'))
  await expect(places.take({ moved: () => undefined, signal: gone })).rejects.toThrow('went away')
  expect(places.free).toBe(1)
})

test('what runs already has its place, also when there is none: nobody is let in until it is over', async () => {
  const { places } = placesOf({ atOnce: 1, queueSize: 1 })
  const [first, second] = [places.seize(), places.seize()]
  const waits = new Asker(places)
  first()
  await settled()
  expect([places.free, waits.leave]).toEqual([0, undefined])
  second()
  await waits.settled
  expect(waits.leave).toBeDefined()
})
