/** So many requests a minute of each caller, refused before they cost anything, with when to try again. */
import * as fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { RateGate } from '../../../src/runtime/rates.ts'
import { HandClock } from '../base/hand-clock.ts'
import { device, laptop, owner, taskId, World } from './door-world.ts'

let clock: HandClock
beforeEach(() => {
  clock = new HandClock()
})

function isTaken(gate: RateGate, caller: string): boolean {
  try {
    gate.take(caller)
    return true
  } catch {
    return false
  }
}

test('whoever is refused learns when, and is taken then', () => {
  const gate = new RateGate({ clock, self: 'me', perMinute: () => 6 })
  for (let i = 0; i < 6; i++) gate.take('a')
  expect(() => gate.take('a')).toThrow(
    expect.objectContaining({
      code: 'TOO_BUSY',
      retryable: true,
      hint: 'try again in 10s',
      fields: { reason: 'RATE', retryAfterMs: 10_000, requestsPerMinute: 6 },
    }),
  )
  clock.advance(9_999)
  expect(isTaken(gate, 'a')).toBe(false)
  clock.advance(1)
  expect([isTaken(gate, 'a'), isTaken(gate, 'a')]).toEqual([true, false])
})

test('one caller’s flood is nobody else’s, and the device itself is not counted', () => {
  const gate = new RateGate({ clock, self: 'me', perMinute: () => 1 })
  for (let i = 0; i < 100; i++) isTaken(gate, 'a')
  expect([isTaken(gate, 'a'), isTaken(gate, 'b'), isTaken(gate, 'me'), isTaken(gate, 'me')]).toEqual([false, true, true, true])
})

test('over any time, no more than the bucket holds and what flows in', async () => {
  await fc.assert(
    fc.property(fc.integer({ min: 1, max: 120 }), fc.array(fc.nat(5_000), { maxLength: 200 }), (perMinute, waits) => {
      const [hand, began] = [new HandClock(), 0]
      const gate = new RateGate({ clock: hand, self: 'me', perMinute: () => perMinute })
      let taken = 0
      for (const ms of waits) {
        hand.advance(ms)
        if (isTaken(gate, 'a')) taken++
        expect(taken).toBeLessThanOrEqual(perMinute + ((hand.monotonic() - began) * perMinute) / 60_000 + 1e-6)
      }
    }),
  )
})

test('a policy that changes the rate counts at once', () => {
  let perMinute = 100
  const gate = new RateGate({ clock, self: 'me', perMinute: () => perMinute })
  gate.take('a')
  perMinute = 2
  expect([1, 2, 3].map(() => isTaken(gate, 'a'))).toEqual([true, true, false])
})

test('a caller over its rate is refused before its right is looked at, and the log counts instead of growing', async () => {
  const world = await World.open({ perMinute: 3 })
  const chain = [world.grant(laptop)]
  const answers = []
  for (let i = 0; i < 200; i++) {
    const call = world.call(laptop, world.open(laptop, i < 3 ? chain : []))
    if (i < 3) continue
    answers.push(await call.answer())
  }
  expect(new Set(answers.map((answer) => answer.t === 'refused' && answer.code))).toEqual(new Set(['TOO_BUSY']))
  expect(world.audit.facts.filter(({ action }) => action === 'exec.denied').length).toBeLessThanOrEqual(20)
  expect(world.audit.facts.find(({ action }) => action === 'exec.denied')).toMatchObject({
    details: { reason: 'this device takes 3 requests a minute of one caller, and you have made more' },
  })
})

test('questions about tasks are counted with the rest', async () => {
  const world = await World.open({ perMinute: 2 })
  const task = { id: taskId(1) as never, submittedBy: laptop.did }
  const asked = { invocation: new Uint8Array(), proofs: [] }
  for (let i = 0; i < 2; i++) await world.gate.admit('/task/read', task, { caller: world.caller(laptop), ...asked })
  await expect(world.gate.admit('/task/read', task, { caller: world.caller(laptop), ...asked })).rejects.toMatchObject({ code: 'TOO_BUSY' })
  await world.gate.admit('/task/read', task, { caller: world.caller(device), ...asked })
  const chain = [world.grant(owner, { cmd: '/task/read' })]
  await world.gate.admit('/task/read', task, { caller: world.caller(owner), ...world.asks(owner, '/task/read', task.id, { chain }) })
})
