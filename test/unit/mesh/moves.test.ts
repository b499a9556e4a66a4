/** A machine that changes networks, and a device whose addresses do not all answer. */
import { createServer } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { knocked } from '../../../src/mesh/knock.ts'
import { type Move, watchMoves } from '../../../src/mesh/moves.ts'
import { HandClock, settled } from '../base/hand-clock.ts'

test('what came and what went is told, once, and nothing while all stays', async () => {
  const clock = new HandClock()
  const moves: Move[] = []
  let addresses = ['127.0.0.1', '10.0.0.2']
  const stop = watchMoves({ clock, addresses: () => addresses, moved: (move) => moves.push(move) })
  const looks = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      clock.advance(1_000)
      await settled()
    }
  }
  await looks(2)
  expect(moves).toEqual([])
  addresses = ['127.0.0.1', '10.0.0.3']
  await looks(3)
  expect(moves).toEqual([{ gone: new Set(['10.0.0.2']), come: new Set(['10.0.0.3']) }])
  stop()
  addresses = []
  await looks(3)
  expect(moves).toHaveLength(1)
})

test('of several addresses the one that answers is found, also when it answers only later', async () => {
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const at = server.address()
  const port = typeof at === 'object' ? at?.port : undefined
  await new Promise((resolve) => server.close(resolve))
  const over = new AbortController()
  let rounds = 0
  const addresses = [multiaddr('/ip4/127.0.0.1/tcp/1'), multiaddr(`/ip4/127.0.0.1/tcp/${port}`)]
  const found = knocked(
    async () => {
      rounds++
      if (rounds === 2) server.listen(port, '127.0.0.1')
      return await Promise.resolve(addresses)
    },
    { clock: systemClock, signal: over.signal },
  )
  expect((await found).toString()).toBe(`/ip4/127.0.0.1/tcp/${port}`)
  expect(rounds).toBeGreaterThanOrEqual(2)
  over.abort()
  await new Promise((resolve) => server.close(resolve))
})
