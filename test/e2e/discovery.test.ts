/**
 * Devices find each other: from one address in a code, after restarts on new ports, through the DHT alone, through mDNS alone, and
 * however long it takes. Each way is tested with the others switched off, and once more with all of them off, where nothing may be found.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Status } from '../../protocols/local/messages.ts'
import { type Config, failureOf, jsonOf, type Node, until, type World, world } from '../support/world.ts'

/** Everybody finds a device that moved within this time. */
const FOUND_AGAIN_MS = 30_000
const NO_WAY: Config = { mdns: false, dht: false, addressSync: false }
const ADMIN = { invite: ['--role', 'admin'] } as const

async function runs(w: World, from: Node, on: string, withinMs: number): Promise<void> {
  await until(`${from.name} runs a command on ${on}`, async () => (await w.run(from.home, on, 'echo', 'here')).stdout === 'here\n', withinMs)
}

/** Forgets where the other devices were; what is left are the ways of finding them. */
function forgetAddresses(home: string): void {
  rmSync(join(home, 'db/peers'), { recursive: true, force: true })
}

function portOf({ ready }: Node): string {
  return /\/tcp\/(\d+)/.exec(ready.addresses[0] ?? '')?.[1] ?? ''
}

/** Starts a stopped device again, on another port than before. */
async function moved(w: World, node: Node): Promise<Node> {
  const again = await w.up(node.home, '--listen', '/ip4/127.0.0.1/tcp/0')
  if (portOf(again) !== portOf(node)) return again
  await again.stop()
  return await w.up(node.home, '--listen', '/ip4/127.0.0.2/tcp/0')
}

test('a device that knew one other from its code runs commands on all the rest', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', ADMIN)
  const carol = await w.joiner(alice, 'carol')
  await runs(w, bob, 'carol', FOUND_AGAIN_MS)
  await w.connected(carol.home, 'alice', 'bob')
})

test('a device that comes back on another port is found by everybody within 30 s', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob')
  const carol = await w.joiner(alice, 'carol', ADMIN)
  await w.connected(carol.home, 'alice', 'bob')
  await bob.stop()
  const again = await moved(w, bob)
  expect(portOf(again)).not.toBe(portOf(bob))
  await Promise.all([runs(w, alice, 'bob', FOUND_AGAIN_MS), runs(w, carol, 'bob', FOUND_AGAIN_MS)])
  for (const { home } of [alice, carol]) {
    await until(
      'the new address is known',
      async () => (await w.devices(home)).find(({ name }) => name === 'bob')?.addresses.some((address) => address.endsWith(`/tcp/${portOf(again)}`)),
      FOUND_AGAIN_MS,
    )
  }
})

test('all devices of a mesh come back at once on other ports, and one known address is enough to bring them together', async () => {
  await using w = world()
  const alice = await w.founder('alice')
  const bob = await w.joiner(alice, 'bob', ADMIN)
  const carol = await w.joiner(alice, 'carol')
  await w.connected(bob.home, 'alice', 'carol')
  for (const node of [alice, bob, carol]) await node.stop()
  const first = await w.up(alice.home) // keeps its port
  const [second] = await Promise.all([moved(w, bob), moved(w, carol)])
  expect(portOf(first)).toBe(portOf(alice))
  await runs(w, second, 'carol', FOUND_AGAIN_MS)
})

test('a device that finds nobody keeps trying until somebody is there', async () => {
  await using w = world()
  // Alice cannot look for bob: only bob's own trying brings them together.
  const alice = await w.founder('alice', NO_WAY)
  const bob = await w.joiner(alice, 'bob')
  await w.connected(alice.home, 'bob')
  await alice.stop()
  forgetAddresses(alice.home)
  const alone = async (): Promise<boolean> => (await w.devices(bob.home)).every(({ name, path }) => name === 'bob' || path === null)
  await until('bob is alone', alone)
  const { uptimeSeconds } = jsonOf<Status>(await w.errand(bob.home, 'status', '--json'))
  await until('bob has tried in vain for a while', async () => jsonOf<Status>(await w.errand(bob.home, 'status', '--json')).uptimeSeconds > uptimeSeconds + 5)
  expect(await alone()).toBe(true)
  const again = await w.up(alice.home, '--listen', alice.ready.addresses[0]?.replace(/\/p2p\/.*/, '') ?? '')
  await until('they meet', async () => (await w.devices(again.home)).some(({ name, path }) => name === 'bob' && path === 'direct'), FOUND_AGAIN_MS)
})

test('a bootstrap address is tried again until somebody answers there', async () => {
  await using w = world()
  const alice = await w.founder('alice', NO_WAY)
  const bob = await w.joiner(alice, 'bob', { config: NO_WAY })
  const address = alice.ready.addresses[0] ?? ''
  for (const node of [alice, bob]) {
    await node.stop()
    forgetAddresses(node.home)
  }
  const again = await w.up(bob.home, '--bootstrap', address)
  await until('bob has tried in vain', async () => failureOf(await w.errand(again.home, 'run', 'alice', '--json', '--', 'true')).code === 'NO_ROUTE')
  await w.up(alice.home, '--listen', address.replace(/\/p2p\/.*/, ''))
  await w.connected(again.home, 'alice')
})

/** Bob was away while carol joined and moved: he has never dialled her, and nobody has told him where she is. */
async function strangersInOneMesh(w: World, config: Config): Promise<{ bob: Node; carol: Node }> {
  const alice = await w.founder('alice', config)
  const bob = await w.joiner(alice, 'bob', { ...ADMIN, config })
  await bob.stop()
  const carol = await w.joiner(alice, 'carol', { config })
  await carol.stop()
  const settled = await moved(w, carol)
  await w.connected(settled.home, 'alice')
  const back = await w.up(bob.home)
  await w.connected(back.home, 'alice')
  await until('bob has heard of carol', async () => (await w.devices(back.home)).some(({ name }) => name === 'carol'))
  return { bob: back, carol: settled }
}

test('the DHT alone leads to a device that was never dialled before and has moved', async () => {
  await using w = world()
  const { bob } = await strangersInOneMesh(w, { ...NO_WAY, dht: true })
  await runs(w, bob, 'carol', FOUND_AGAIN_MS)
})

test('address records alone lead to a device that was never dialled before and has moved', async () => {
  await using w = world()
  const { bob } = await strangersInOneMesh(w, { ...NO_WAY, addressSync: true })
  await runs(w, bob, 'carol', FOUND_AGAIN_MS)
})

test('with every way switched off that device cannot be found, and the error says so', async () => {
  await using w = world()
  const { bob, carol } = await strangersInOneMesh(w, NO_WAY)
  const refused = async (): Promise<void> => {
    const ran = await w.errand(bob.home, 'run', 'carol', '--json', '--', 'true')
    expect(ran.code).toBe(125)
    expect(failureOf(ran)).toMatchObject({ code: 'NO_ROUTE', message: expect.stringContaining('"carol"'), source: 'errand' })
  }
  await refused()
  // Long enough for every periodic exchange to have happened once.
  await until('they have been up for 20 s', async () => jsonOf<Status>(await w.errand(bob.home, 'status', '--json')).uptimeSeconds >= 20)
  await refused()
  expect(await w.audit(carol.home, '--actor', bob.did, '--action', 'exec.start')).toEqual([])
})

// Needs a machine on which multicast reaches its own sender, on loopback or on a network interface: Linux, macOS and containers with one.
test('mDNS alone brings devices of one network together', async () => {
  await using w = world()
  const config = { ...NO_WAY, mdns: true }
  const alice = await w.founder('alice', config)
  const bob = await w.joiner(alice, 'bob', { config })
  for (const node of [alice, bob]) {
    await node.stop()
    forgetAddresses(node.home)
  }
  const first = await moved(w, alice)
  await moved(w, bob)
  await runs(w, first, 'bob', FOUND_AGAIN_MS)
})
