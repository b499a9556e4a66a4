/** Both ends of a socket that may be cut without a word. */
import { expect, test } from 'vitest'
import { showSigns } from '../../../src/base/sign-of-life.ts'
import { HandClock, settled } from './hand-clock.ts'

class End {
  readonly clock = new HandClock()
  bytesRead = 0
  bytesWritten = 0
  writableLength = 0
  isDead = false
  said = 0
  expects = true
  #closed: (() => void) | undefined

  constructor() {
    const socket = Object.assign(this, { destroy: () => this.#die(), once: (_event: string, closed: () => void) => this.#hook(closed) })
    showSigns(socket, { clock: this.clock, say: () => void this.said++, expects: () => this.expects })
  }

  async beat(): Promise<void> {
    this.clock.advance(1_000)
    await settled()
  }

  #hook(closed: () => void): this {
    this.#closed = closed
    return this
  }

  #die(): this {
    this.isDead = true
    this.#closed?.()
    return this
  }
}

test('it speaks in every second in which nothing was sent, and only then', async () => {
  const end = new End()
  await end.beat()
  expect(end.said).toBe(1)
  end.bytesWritten += 100
  await end.beat()
  end.writableLength = 10 // what was said before has not left yet
  await end.beat()
  expect(end.said).toBe(1)
})

test('silence for more than three beats ends the socket, unless nothing is expected', async () => {
  const [silent, unheard] = [new End(), new End()]
  unheard.expects = false
  for (let i = 0; i < 3; i++) for (const end of [silent, unheard]) await end.beat()
  expect(silent.isDead).toBe(false)
  for (const end of [silent, unheard]) await end.beat()
  expect([silent.isDead, unheard.isDead]).toEqual([true, false])
  await settled()
  expect(silent.clock.pending).toBe(0)
})

test('one byte is a sign of life', async () => {
  const end = new End()
  for (let i = 0; i < 12; i++) {
    if (i % 3 === 0) end.bytesRead++
    await end.beat()
  }
  expect(end.isDead).toBe(false)
})
