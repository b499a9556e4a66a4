/** A device that is back asks another member than the caller before it does anything, once, and waits for nobody who is away for good. */
import { beforeEach, expect, test } from 'vitest'
import { Returning } from '../../../src/mesh/returning.ts'
import { HandClock } from '../base/hand-clock.ts'
import { alice, bob, carol, mallory } from '../runtime/mesh-world.ts'

let clock: HandClock
let asked: string[]
let members: readonly string[]
let returning: Returning

beforeEach(() => {
  clock = new HandClock()
  asked = []
  members = [alice, bob, carol].map(({ did }) => did)
  returning = new Returning({ self: alice.did, clock, members: () => members, freshen: (except) => Promise.resolve(void asked.push(except)) })
})

test('the first caller waits until somebody else was asked; the next ones do not, nor does who calls again', async () => {
  await returning.ask(bob.did)
  await returning.ask(bob.did)
  expect(asked).toEqual([bob.did])
  returning.compared(carol.did)
  await returning.ask(bob.did)
  await returning.ask(mallory.did)
  expect(asked).toEqual([bob.did])
})

test('what the caller itself showed is no news of the caller', async () => {
  returning.compared(bob.did)
  await returning.ask(bob.did)
  await returning.ask(carol.did)
  expect(asked).toEqual([bob.did])
})

test('nobody is asked where there is no third device, for what the device asks itself, and half a minute after it came back', async () => {
  await returning.ask(alice.did)
  members = [alice.did, bob.did]
  await returning.ask(bob.did)
  members = [alice.did, bob.did, carol.did]
  clock.advance(30_001)
  await returning.ask(bob.did)
  expect(asked).toEqual([])
  returning.back()
  await returning.ask(bob.did)
  expect(asked).toEqual([bob.did])
})

test('one who was heard before it went away does not count when it is back', async () => {
  returning.compared(carol.did)
  returning.back()
  await returning.ask(bob.did)
  expect(asked).toEqual([bob.did])
})
