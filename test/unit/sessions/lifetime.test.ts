import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Lifetime } from '../../../src/sessions/lifetime.ts'

const DAY = 86_400_000

test('it ends at its time, however much it is used', () => {
  const life = new Lifetime({ openedAt: 0, expiresAt: 100, idleMs: 1_000 })
  const release = life.hold(99)
  expect([life.lapse(99), life.lapse(100)]).toEqual([undefined, 'expired'])
  release(100)
  expect(life.lapse(101)).toBe('expired')
})

test('it ends when nobody used it for its while; a conversation that is open counts as use, and so does its end', () => {
  const life = new Lifetime({ openedAt: 0, expiresAt: DAY, idleMs: 10 })
  expect([life.lapse(9), life.lapse(10)]).toEqual([undefined, 'idle'])
  life.use(9)
  expect([life.lapse(18), life.lapse(19)]).toEqual([undefined, 'idle'])
  const [one, other] = [life.hold(18), life.hold(18)]
  one(20)
  one(20)
  expect(life.lapse(5_000), 'the other goes on').toBeUndefined()
  other(5_000)
  expect([life.lapse(5_009), life.lapse(5_010)]).toEqual([undefined, 'idle'])
})

test('it never outlives its time, nor its while after the last use, and a clock that goes back adds nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000)), fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 500 }), (uses, idleMs, expiresAt) => {
      const life = new Lifetime({ openedAt: 0, expiresAt, idleMs })
      for (const at of uses) life.use(at)
      const last = Math.max(0, ...uses)
      expect(life.endsAt(last)).toBe(Math.min(expiresAt, last + idleMs))
      expect(life.lapse(life.endsAt(last))).toBeDefined()
      expect(life.lapse(life.endsAt(last) - 1)).toBeUndefined()
    }),
  )
})
