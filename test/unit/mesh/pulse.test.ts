/** When a connection that somebody waits on counts as dead, and when not. */
import { expect, test } from 'vitest'
import { type Beating, Pulse } from '../../../src/mesh/pulse.ts'
import { HandClock, settled } from '../base/hand-clock.ts'

/** A connection whose bytes and death the test decides and sees. */
class Cable {
  readonly clock = new HandClock()
  heard = 0
  asked = 0
  isFull = false
  isDead = false
  answers = true
  readonly peer: Beating = { did: 'did:key:bob', connection: { id: 'one', status: 'open', abort: () => this.#die() } }
  readonly pulse = new Pulse<Beating>({
    clock: this.clock,
    heard: () => this.heard,
    isFull: () => this.isFull,
    ask: () => this.#ask(),
    log: () => undefined,
  })

  async beats(count: number): Promise<void> {
    for (let i = 0; i < count && !this.isDead; i++) {
      this.clock.advance(1_000)
      await settled()
    }
  }

  #die(): void {
    this.isDead = true
  }

  #ask(): Promise<void> {
    this.asked++
    return this.answers ? Promise.resolve() : new Promise(() => undefined)
  }
}

test('a connection on which bytes come is not asked; a quiet one is, and lives by its answers', async () => {
  const cable = new Cable()
  const over = cable.pulse.watch(cable.peer)
  for (let i = 0; i < 10; i++) {
    cable.heard++
    await cable.beats(1)
  }
  expect(cable.asked).toBe(0)
  await cable.beats(20)
  expect(cable.asked).toBeGreaterThan(5)
  expect(cable.isDead).toBe(false)
  over()
  await settled()
  expect(cable.clock.pending).toBe(0) // nobody waits: nothing is done
})

test('what answers three questions by silence is given up in the fourth second, and not before', async () => {
  const cable = new Cable()
  cable.answers = false
  cable.pulse.watch(cable.peer)
  await cable.beats(3)
  expect(cable.isDead).toBe(false)
  await cable.beats(1)
  expect(cable.isDead).toBe(true)
})

test('while our own bytes wait to get out, an answer may take longer', async () => {
  const cable = new Cable()
  cable.answers = false
  cable.isFull = true
  cable.pulse.watch(cable.peer)
  await cable.beats(15)
  expect(cable.isDead).toBe(false)
  await cable.beats(1)
  expect(cable.isDead).toBe(true)
})

test('a process that slept blames nobody: one late beat is one beat', async () => {
  const cable = new Cable()
  cable.answers = false
  cable.pulse.watch(cable.peer)
  cable.clock.advance(1_000)
  await settled()
  cable.heard++
  await cable.beats(3)
  expect(cable.isDead).toBe(false)
})

test('a probe gives up what says nothing in time, and leaves alone what does', async () => {
  const [silent, alive] = [new Cable(), new Cable()]
  silent.answers = false
  for (const cable of [silent, alive]) cable.pulse.probe(cable.peer, { withinMs: 500 })
  await settled()
  for (const cable of [silent, alive]) cable.clock.advance(500)
  expect([silent.isDead, alive.isDead]).toEqual([true, false])
})
