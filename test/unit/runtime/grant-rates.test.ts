/** How often a right may be used: what the executor counts, what it says when it is used up, and what nobody gets around. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RATE_META } from '../../../protocols/authority/messages.ts'
import { parseRight, wordsOfRight } from '../../../src/authority/rights.ts'
import { signDelegation } from '../../../src/authority/token.ts'
import { GrantRates } from '../../../src/runtime/grant-rates.ts'
import { HandClock, settled } from '../base/hand-clock.ts'
import { type Answer, device, laptop, owner, World } from './door-world.ts'

const often = (count: number, seconds: number) => ({ meta: { [RATE_META]: [count, seconds] } })

async function runs(world: World, chain: Parameters<World['open']>[1]): Promise<Answer | 'ran'> {
  const call = world.call(laptop, world.open(laptop, chain))
  const before = world.executor.started.length
  await settled()
  if (world.executor.started.length === before) return await call.answer()
  world.executor.started.at(-1)?.exit(0)
  await settled()
  return 'ran'
}

test('a grant of two uses a minute serves two, then says when to try again, and serves again then', async () => {
  const world = await World.open({})
  const chain = [world.grant(laptop, often(2, 60))]
  expect([await runs(world, chain), await runs(world, chain)]).toEqual(['ran', 'ran'])
  const refused = await runs(world, chain)
  expect(refused).toMatchObject({ t: 'refused', code: 'TOO_BUSY', message: expect.stringContaining('2/m') })
  expect(world.audit.facts.at(-1)).toMatchObject({ action: 'exec.denied', grant: chain[0]?.cid, details: { reason: expect.stringContaining('used up') } })
  world.clock.advance(29_999)
  expect(await runs(world, chain)).toMatchObject({ code: 'TOO_BUSY' })
  world.clock.advance(1)
  expect(await runs(world, chain)).toBe('ran')
  expect(await runs(world, chain)).toMatchObject({ code: 'TOO_BUSY' })
})

test('a refused request costs nothing, and another grant has uses of its own', async () => {
  const world = await World.open({})
  const [one, other] = [world.grant(laptop, often(1, 3_600)), world.grant(laptop, often(1, 3_600))]
  expect(await runs(world, [one])).toBe('ran')
  for (let i = 0; i < 5; i++) expect(await runs(world, [one])).toMatchObject({ code: 'TOO_BUSY' })
  world.clock.advance(3_600_000 - 1)
  const fresh = world.grant(laptop, often(1, 3_600))
  expect([await runs(world, [other]), await runs(world, [fresh])]).toContain('ran')
})

test('whoever a grant is handed on to shares what there is: two children of one parent have its rate together', async () => {
  const world = await World.open({})
  const parent = world.grant(owner, often(2, 3_600))
  const exp = Math.floor(world.clock.now() / 1_000) + 600
  const child = () => signDelegation(owner, { aud: laptop.did, sub: device.did, cmd: '/exec/run', pol: [], exp, nonce: world.random(16), ...often(2, 3_600) })
  expect([await runs(world, [parent, child()]), await runs(world, [parent, child()]), await runs(world, [parent, child()])]).toMatchObject([
    'ran',
    'ran',
    { code: 'TOO_BUSY' },
  ])
})

test.each([[[0, 60]], [[1, 0]], [[1, 86_401]], [[1_000_001, 60]], [[1]], [['1', 60]], ['1/m'], [{ count: 1, seconds: 60 }], [null]])(
  'a rate that cannot be read lets nothing run: %j',
  async (rate) => {
    const world = await World.open({})
    const chain = [world.grant(laptop, { meta: { [RATE_META]: rate } })]
    expect(await runs(world, chain)).toMatchObject({ t: 'refused', code: 'DENIED' })
  },
)

test('two requests that come together do not both take the last use', async () => {
  const world = await World.open({})
  const chain = [world.grant(laptop, often(1, 3_600))]
  const calls = [1, 2].map(() => world.call(laptop, world.open(laptop, chain)))
  await settled()
  expect(world.executor.started).toHaveLength(1)
  world.executor.started[0]?.exit(0)
  const answers = await Promise.all(calls.map((call) => call.answer()))
  expect(answers.map(({ t }) => t).sort()).toEqual(['ended', 'refused'])
})

test('a flood of grants never makes room for the used ones to be forgotten', () => {
  const clock = new HandClock()
  const rates = new GrantRates(clock)
  const chainOf = (cid: string) => [{ cid, meta: { [RATE_META]: [1, 86_400] } }] as unknown as Parameters<GrantRates['take']>[0]['chain']
  expect(rates.take({ chain: chainOf('mine') })).toBeUndefined()
  let taken = 0
  while (rates.take({ chain: chainOf(`flood ${taken}`) }) === undefined && taken < 20_000) taken++
  expect(taken).toBe(16_383)
  expect(rates.take({ chain: chainOf('mine') })).toMatchObject({ code: 'RATE', retryAfterMs: 86_400_000 })
  clock.advance(86_400_000)
  expect(rates.take({ chain: chainOf('another') })).toBeUndefined()
})

test('never more than the rate says in any stretch of time, whatever the moments', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 120 }),
      fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 60 }),
      (count, seconds, gaps) => {
        const clock = new HandClock()
        const rates = new GrantRates(clock)
        const chain = [{ cid: 'one', meta: { [RATE_META]: [count, seconds] } }] as unknown as Parameters<GrantRates['take']>[0]['chain']
        const taken: number[] = []
        for (const gap of gaps) {
          clock.advance(gap)
          if (rates.take({ chain }) === undefined) taken.push(clock.monotonic())
        }
        for (const [i, from] of taken.entries())
          for (const [j, to] of taken.entries())
            if (j >= i) expect(j - i + 1).toBeLessThanOrEqual(count + Math.floor(((to - from) * count) / (seconds * 1_000) + 1e-6))
      },
    ),
  )
})

test('words and rights are one', () => {
  for (const text of ['exec: make …; rate 10/m', 'exec: *; rate 1/d; approval', 'exec: npm test …; tty; rate 1000000/s'])
    expect(wordsOfRight(parseRight(text))).toBe(text)
  for (const text of ['exec: make; rate', 'exec: make; rate 0/m', 'exec: make; rate 10', 'exec: make; rate 10/w', 'exec: make; rate 1/m; rate 2/m'])
    expect(() => parseRight(text)).toThrow(expect.objectContaining({ code: 'BAD_RIGHT' }))
})
