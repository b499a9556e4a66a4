/** Callers take turns: however much one of them asks for, the others get their share, and nobody has more at once than it may. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Leave, type PlaceBounds, Places } from '../../../src/runtime/places.ts'
import { Turns } from '../../../src/runtime/turns.ts'
import { HandClock, settled } from '../base/hand-clock.ts'

const TIMEOUT_MS = 60_000

function placesOf(bounds: Partial<PlaceBounds>, own: Partial<PlaceBounds> = {}): { clock: HandClock; places: Places; own: { bounds: Partial<PlaceBounds> } } {
  const clock = new HandClock()
  const held = { bounds: own }
  const places = new Places({ clock, bounds: { atOnce: 1, queueSize: 1_000, queueTimeoutMs: TIMEOUT_MS, ...bounds }, boundsOf: () => held.bounds })
  return { clock, places, own: held }
}

/** Everybody who stands in the queue, and the order in which they were let in. */
class Line {
  readonly served: string[] = []
  readonly refused: unknown[] = []
  readonly numbers = new Map<string, number[]>()
  readonly leaves: { readonly caller: string; readonly leave: Leave }[] = []

  constructor(private readonly places: Places) {}

  ask(caller: string, name = caller): void {
    const moved = (place: number): void => void this.numbers.set(name, [...(this.numbers.get(name) ?? []), place])
    void this.places.take({ caller, moved, signal: new AbortController().signal }).then(
      (leave) => {
        this.served.push(name)
        this.leaves.push({ caller, leave })
      },
      (thrown: unknown) => this.refused.push(thrown),
    )
  }

  async end(): Promise<void> {
    await settled()
    this.leaves.shift()?.leave()
    await settled()
  }
}

test('who asks for a thousand places waits for the one who asks for one', async () => {
  const { places } = placesOf({})
  const line = new Line(places)
  for (let i = 0; i < 500; i++) line.ask('greedy', `greedy ${i}`)
  line.ask('modest')
  expect(places.placeFor('other')).toBe(3)
  await settled()
  expect(line.numbers.get('modest')?.at(-1), 'its number says so').toBe(2)
  await line.end()
  await line.end()
  expect(line.served).toEqual(['greedy 0', 'greedy 1', 'modest'])
})

/** Whether somebody had a second turn while another one, who waited all the time, had none. */
function overtakes(served: readonly string[], from: number): boolean {
  const again = served.indexOf(served[from] ?? '', from + 1)
  const between = served.slice(from + 1, again)
  return again > 0 && served.slice(again + 1).some((later) => later !== served[from] && !between.includes(later))
}

test('between any two turns of a caller that waits, every other caller that waits had one', async () => {
  await fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 60 }), (asked) => {
      const turns = new Turns<string>()
      for (const caller of asked) turns.add(caller, caller)
      const foretold = [...turns.inOrder()]
      const served = asked.map(() => turns.next(() => true) ?? '')
      expect(served, 'in the order that was foretold').toEqual(foretold)
      expect(served.toSorted()).toEqual(asked.toSorted())
      expect(served.filter((_, at) => overtakes(served, at))).toEqual([])
      expect([turns.size, turns.next(() => true)]).toEqual([0, undefined])
    }),
  )
})

test('the number that is foretold is the one that is got', async () => {
  await fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 30 }), fc.constantFrom('a', 'b', 'c', 'new'), (asked, caller) => {
      const turns = new Turns<object>()
      for (const one of asked) turns.add(one, {})
      const [mine, place] = [{}, turns.placeFor(caller)]
      turns.add(caller, mine)
      expect([...turns.inOrder()].indexOf(mine) + 1).toBe(place)
    }),
  )
})

type Step = { readonly t: 'ask' | 'end'; readonly caller: 'a' | 'b' | 'c' }
const steps = fc.array(fc.record({ t: fc.constantFrom<Step['t']>('ask', 'ask', 'end'), caller: fc.constantFrom<Step['caller']>('a', 'b', 'c') }), {
  maxLength: 40,
})

test('nobody ever has more at once or waiting than one may, and no place stays empty while somebody may have it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 3 }),
      steps,
      async (atOnce, most, queueSize, script) => {
        const { places } = placesOf({ atOnce }, { atOnce: most, queueSize })
        const line = new Line(places)
        const asked = { a: 0, b: 0, c: 0 }
        for (const { t, caller } of script) {
          if (t === 'end') await line.end()
          else {
            line.ask(caller)
            asked[caller]++
          }
          await settled()
          const running = (one: string): number => line.leaves.filter(({ caller: held }) => held === one).length
          for (const one of ['a', 'b', 'c']) expect(running(one)).toBeLessThanOrEqual(most)
          expect(line.leaves.length).toBeLessThanOrEqual(atOnce)
          expect(places.waiting).toBeLessThanOrEqual(queueSize * 3)
          const waits = asked.a + asked.b + asked.c - line.served.length - line.refused.length
          expect(waits).toBe(places.waiting)
          if (line.leaves.length < atOnce && waits > 0) expect(['a', 'b', 'c'].some((one) => running(one) === most)).toBe(true)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('a full queue of one’s own is said with when to try again, and is nobody else’s', async () => {
  const { places } = placesOf({ atOnce: 2 }, { atOnce: 1, queueSize: 1 })
  const line = new Line(places)
  for (let i = 0; i < 3; i++) line.ask('greedy')
  line.ask('modest')
  await settled()
  expect(line.served).toEqual(['greedy', 'modest'])
  expect(line.refused).toMatchObject([{ code: 'TOO_BUSY', hint: 'try again in 1s', fields: { retryAfterMs: 1_000 } }])
})

test('a limit that is raised while somebody waits lets them in', async () => {
  const { places, own } = placesOf({ atOnce: 4 }, { atOnce: 1 })
  const line = new Line(places)
  for (let i = 0; i < 3; i++) line.ask('a')
  await settled()
  expect(line.served).toHaveLength(1)
  own.bounds = { atOnce: 3 }
  places.revisit()
  await settled()
  expect(line.served).toHaveLength(3)
})

test('how long one has to wait is learnt from those who left', async () => {
  const { clock, places } = placesOf({ queueSize: 0 })
  const line = new Line(places)
  for (let i = 0; i < 40; i++) {
    line.ask('a')
    await settled()
    clock.advance(20_000)
    await line.end()
  }
  line.ask('a')
  line.ask('b')
  await settled()
  expect(line.refused).toMatchObject([{ fields: { retryAfterMs: expect.closeTo(20_000, -3) } }])
})
